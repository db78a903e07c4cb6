"""CUDA graphs: the kernels of a function, recorded once, follow one another without the CPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import RLock, local
from typing import Any, TypeVar

import torch

T = TypeVar("T")

_lock = RLock()  # what another thread started on a stream that is recorded would become a part of the graph
_thread = local()
_log = logging.getLogger("tha4")


def is_available(device: torch.device) -> bool:
    """Whether graphs may be captured on a device: on CUDA, where PyTorch's allocator is its own.

    With CUDA's (cudaMallocAsync, which ComfyUI chooses for most GPUs) a capture that fails can end the process, because
    PyTorch frees what was never allocated; and CUDA keeps a graph's memory when the graph is gone.
    """
    return device.type == "cuda" and _has_own_allocator()


@cache
def _has_own_allocator() -> bool:
    backend = torch.cuda.get_allocator_backend()
    if backend != "native":
        _log.info(
            "No CUDA graphs are captured, because PyTorch's allocator is %s. Training on this GPU may be faster with "
            "its own (ComfyUI: --disable-cuda-malloc).", backend,
        )  # fmt: skip
    return backend == "native"


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
        index, pool = torch.cuda.current_device(), torch.cuda.graph_pool_handle()
        recording = torch.cuda.graph(graph, pool, _side_stream(index), "thread_local")  # other threads go on
        try:
            # After a capture that failed, `recording` leaves its stream as the current one.
            with torch.cuda.stream(torch.cuda.current_stream()), recording:
                result = work()
        except BaseException:
            _end_allocation(index, pool)
            raise
    return graph.replay, result


def _end_allocation(index: int, pool: Any) -> None:
    """Have PyTorch's allocator forget a capture that failed.

    Without its pull request 180395 (2.12) PyTorch does not do so itself where CUDA has ended the capture, and from then
    on fails whenever its cache is emptied.
    """
    names = ("_cuda_endAllocateToPool", "_cuda_endAllocateCurrentStreamToPool")  # the second in older ones
    end = next(getattr(torch._C, name) for name in names if hasattr(torch._C, name))
    with suppress(RuntimeError):  # it has forgotten it
        end(index, pool)
