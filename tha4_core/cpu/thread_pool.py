"""A thread pool for pictures: every thread takes whole row tiles, one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from threading import Barrier, Lock
from typing import Any

import torch

RowTiles = Iterator[slice]
"""The row tiles of a picture that are still to do. A thread takes the next one when it has finished one."""

_TICK_SECONDS = 0.05
# The thread count that new threads start with belongs to the process: only one thread at a time may change it and put
# it back.
_default_lock = Lock()
_idle_executors: dict[int, deque[ThreadPoolExecutor]] = {}
"""Executors without work, by their number of threads: as many as callers have worked at once."""


class ThreadPool:
    """Runs a job over the row tiles of a picture: on every thread of the CPU, or at once where there is a GPU."""

    def __init__(self, executor: ThreadPoolExecutor | None, threads: int, tick: Callable[[], None]) -> None:
        self._executor, self.threads, self._tick = executor, threads, tick

    def run(self, tiles: Iterable[slice], job: Callable[[RowTiles], None]) -> None:
        """Call `job` once on every thread, each time with an iterator of tiles; every tile is in one of them.

        Returns when all tiles are done. The caller's `tick` is called on the caller's thread, at least once and about
        twenty times a second. What it or a job raises stops the others after their tile, and is raised.
        """
        queue = deque(tiles)
        if self._executor is None:
            self._tick()
            job(_take(queue))
            return
        workers = [self._executor.submit(_without_gradients, job, _take(queue)) for _ in range(self.threads)]
        try:
            waiting = set(workers)
            while waiting:
                done, waiting = wait(waiting, _TICK_SECONDS, FIRST_EXCEPTION)
                self._tick()
                for worker in done:
                    worker.result()
        finally:
            queue.clear()
            wait(workers)


@contextmanager
def exclusive_pool(device: torch.device, tick: Callable[[], None] | None = None) -> Iterator[ThreadPool]:
    """A pool for this caller alone, for work on `device`: on the CPU as many threads as PyTorch uses, elsewhere none.

    Every thread takes whole tiles, and no operation is split among threads, the caller's own within the context
    included. That way a tile stays in one core's cache, and threads wait for each other once a picture. A barrier in
    every operation costs little on an idle machine, but most of the time on a busy one.
    """
    tick = tick or _nothing
    if device.type != "cpu":
        yield ThreadPool(None, 1, tick)
        return
    threads = _intra_op_threads()
    with intra_op_threads(1), _exclusive_executor(threads) as executor:
        yield ThreadPool(executor, threads, tick)


@contextmanager
def _exclusive_executor(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that nobody else uses meanwhile. They are kept for the next caller.

    Threads that end leave memory behind: what the C library and the libraries of linear algebra hold for each of them.
    """
    idle = _idle_executors.setdefault(threads, deque())
    try:
        executor = idle.pop()
    except IndexError:
        executor = _executor(threads)
    try:
        yield executor
    finally:
        idle.append(executor)


@cache
def shared_pool(threads: int) -> ThreadPool:
    """The pool of so many CPU threads that the whole process shares: for work too short to start threads each time."""
    return ThreadPool(_executor(threads), threads, _nothing)


@contextmanager
def intra_op_threads(count: int) -> Iterator[None]:
    """Within it, PyTorch splits the operations of this thread, and of no other, among `count` threads.

    `torch.set_num_threads` also sets the count of threads that have not computed yet. One of those may be about to run
    somebody's graph, and would keep that count. So the default is put back at once.
    """
    before = _intra_op_threads()
    _set_intra_op_threads(count)
    try:
        yield
    finally:
        _set_intra_op_threads(before)


def _executor(threads: int) -> ThreadPoolExecutor:
    """Threads in which PyTorch splits no operation."""
    executor = ThreadPoolExecutor(threads, "tha4", torch.get_num_threads)
    started = Barrier(threads)
    with _default_intra_op_threads(1):
        wait([executor.submit(started.wait) for _ in range(threads)])
    return executor


def _intra_op_threads() -> int:
    with _default_lock:  # a thread that has not computed yet takes the default: not one that is about to be put back
        return torch.get_num_threads()


def _set_intra_op_threads(count: int) -> None:
    with _default_intra_op_threads(count):
        torch.set_num_threads(count)


@contextmanager
def _default_intra_op_threads(count: int) -> Iterator[None]:
    """Within it, threads that compute for the first time start with `count`."""
    with _default_lock:
        before = _in_new_thread(torch.get_num_threads)
        _in_new_thread(torch.set_num_threads, count)
        try:
            yield
        finally:
            _in_new_thread(torch.set_num_threads, before)


def _in_new_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def _take(queue: deque[slice]) -> RowTiles:
    while True:
        try:
            tile = queue.popleft()
        except IndexError:
            return
        yield tile


def _without_gradients(job: Callable[[RowTiles], None], tiles: RowTiles) -> None:
    with torch.no_grad():  # a setting of the thread, like the thread count
        job(tiles)


def _nothing() -> None:
    pass
