"""CUDA graphs: the kernels of a function, recorded once, follow one another without the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")


def run_aside(work: Callable[[], T], device: torch.device) -> T:
    """`work()` on a stream of its own, as it must have run once before `capture`: set-up may not be part of a graph."""
    with torch.cuda.device(device):
        stream = _side_stream(torch.cuda.current_device())
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = work()
        torch.cuda.current_stream().wait_stream(stream)
    return result


@cache
def _side_stream(index: int) -> torch.cuda.Stream:
    """One for each device: PyTorch keeps unused memory for each stream apart."""
    return torch.cuda.Stream(index)  # type: ignore[no-untyped-call]


def capture(work: Callable[[], T], device: torch.device) -> tuple[Callable[[], None], T]:
    """A function that does again what `work` does on a CUDA device, and the result that it writes anew each time.

    Recording computes nothing. The graph reads and writes the memory that `work` does now, and keeps the memory that
    it takes. Raises RuntimeError where `work` does what a graph cannot hold, such as waiting for the device.
    """
    graph = torch.cuda.CUDAGraph()
    # Other threads may go on as they like.
    with torch.cuda.device(device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work()
    return graph.replay, result
