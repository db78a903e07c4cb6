"""Threads that share the tiles of a picture out among themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from threading import Barrier, Lock
from typing import Any

import torch

Tiles = Iterator[slice]
"""The tiles that are still to do; a worker takes the next one whenever it has finished one."""

_TICK_SECONDS = 0.05
_default = Lock()  # what is set for threads to come is the process's: two that change it and put it back would mix


class Crew:
    """Runs a job over the tiles of a picture: on every thread of the CPU, or at once where there is a GPU."""

    def __init__(self, pool: ThreadPoolExecutor | None, threads: int, tick: Callable[[], None]) -> None:
        self._pool, self.threads, self._tick = pool, threads, tick

    def share(self, tiles: Iterable[slice], job: Callable[[Tiles], None]) -> None:
        """Call `job` once on every thread, each time with an iterator of tiles; every tile is in one of them.

        Returns when all tiles are done. The caller's `tick` is called on the caller's thread, at least once and some
        twenty times a second. What it or a job raises stops the others after their tile, and is raised.
        """
        left = deque(tiles)
        if self._pool is None:
            self._tick()
            job(_take(left))
            return
        workers = [self._pool.submit(_without_gradients, job, _take(left)) for _ in range(self.threads)]
        try:
            waiting = set(workers)
            while waiting:
                done, waiting = wait(waiting, _TICK_SECONDS, FIRST_EXCEPTION)
                self._tick()
                for worker in done:
                    worker.result()
        finally:
            left.clear()
            wait(workers)


@contextmanager
def gathered(device: torch.device, tick: Callable[[], None] | None = None) -> Iterator[Crew]:
    """A crew for work on `device`: on the CPU as many threads as PyTorch uses, elsewhere the caller's alone.

    Every thread takes whole tiles, and no operation is split among threads, the caller's own within the context
    included. That way a tile stays in one core's cache, and threads wait for each other once a picture. A barrier in
    every operation costs little on an idle machine, but most of the time on a busy one.
    """
    tick = tick or _nothing
    if device.type != "cpu":
        yield Crew(None, 1, tick)
        return
    threads = _own_threads()
    with own_threads(1), _pool(threads) as pool:
        yield Crew(pool, threads, tick)


@cache
def standing(threads: int) -> Crew:
    """A crew of so many threads on the CPU that stays: for what is too short to gather one each time."""
    return Crew(_pool(threads), threads, _nothing)


@contextmanager
def own_threads(count: int) -> Iterator[None]:
    """Within it, PyTorch splits the operations of this thread, and of no other, among `count` threads.

    `torch.set_num_threads` also sets what threads start with that have not computed before: among them may be the one
    that is about to run somebody's graph, and would keep it. So that default is put back at once.
    """
    before = _own_threads()
    _set_own_threads(count)
    try:
        yield
    finally:
        _set_own_threads(before)


def _pool(threads: int) -> ThreadPoolExecutor:
    """Of threads in which PyTorch splits nothing."""
    pool = ThreadPoolExecutor(threads, "tha4", torch.get_num_threads)
    started = Barrier(threads)
    with _default_of(1):
        wait([pool.submit(started.wait) for _ in range(threads)])
    return pool


def _own_threads() -> int:
    with _default:  # a thread that computes for the first time takes the default: not one that is about to be put back
        return torch.get_num_threads()


def _set_own_threads(count: int) -> None:
    with _default_of(count):
        torch.set_num_threads(count)


@contextmanager
def _default_of(count: int) -> Iterator[None]:
    """Within it, threads that compute for the first time start with `count`."""
    with _default:
        before = _in_new_thread(torch.get_num_threads)
        _in_new_thread(torch.set_num_threads, count)
        try:
            yield
        finally:
            _in_new_thread(torch.set_num_threads, before)


def _in_new_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def _take(left: deque[slice]) -> Tiles:
    while True:
        try:
            tile = left.popleft()
        except IndexError:
            return
        yield tile


def _without_gradients(job: Callable[[Tiles], None], tiles: Tiles) -> None:
    with torch.no_grad():  # a setting of the thread, like the one above
        job(tiles)


def _nothing() -> None:
    pass
