"""Locks between threads and processes. The operating system frees those of a process that dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def try_lock(path: Path, seconds: float = 0.0) -> Iterator[bool]:
    """Hold the lock that a file is, unless somebody else still has it after some seconds. Gives whether it is held."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def wait_for_lock(path: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock that a file is, calling `while_waiting` as long as somebody else has it. Raises OSError."""
    while True:
        with try_lock(path, seconds=0.2) as is_ours:
            if is_ours:
                yield
                return
        while_waiting()
