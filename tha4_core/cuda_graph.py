"""CUDA graphs: the kernels of a function, recorded once, follow one another without the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock, local
from typing import TypeVar

import torch

T = TypeVar("T")

_lock = RLock()  # what another thread started on a stream that is recorded would become a part of the graph
_thread = local()


@contextmanager
def forbidden() -> Iterator[None]:
    """Within it, this thread is to capture nothing.

    For threads beside others that wait for the whole device or empty PyTorch's cache, as ComfyUI does between prompts:
    during a capture both are errors, in the thread that does them.
    """
    before, _thread.is_forbidden = is_forbidden(), True
    try:
        yield
    finally:
        _thread.is_forbidden = before


def is_forbidden() -> bool:
    """Whether this thread is within `forbidden`."""
    return bool(getattr(_thread, "is_forbidden", False))


def run_aside(work: Callable[[], T], device: torch.device) -> T:
    """`work()` on a stream of its own, as it must have run once before `capture`: set-up may not be part of a graph."""
    with _lock, torch.cuda.device(device):
        before, stream = torch.cuda.current_stream(), _side_stream(torch.cuda.current_device())
        stream.wait_stream(before)
        try:
            with torch.cuda.stream(stream):
                return work()
        finally:
            before.wait_stream(stream)


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
    with _lock, torch.cuda.device(device):
        # PyTorch's own stream for captures is on the device of the first one: on another it would record nothing. That
        # of `run_aside` also has the matrix products' workspace, which a graph would otherwise hold.
        stream = _side_stream(torch.cuda.current_device())
        recording = torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local")  # others go on
        # After a capture that failed, `recording` leaves its stream as the current one.
        with torch.cuda.stream(torch.cuda.current_stream()), recording:
            result = work()
    return graph.replay, result
