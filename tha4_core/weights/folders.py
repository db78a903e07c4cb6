"""Folders that several threads and processes write to: their lock, room on the disk, names of files in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DownloadError


@contextmanager
def locked(folder: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is missing.

    The operating system frees the lock of a process that dies. Raises DownloadError where nothing can be written, in
    the body too: a full disk can show itself at any step.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0.2)
            except Timeout:
                while_waiting()
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DownloadError(f"{folder}: cannot be written to ({reason}). Free some space, try again.") from error
    finally:
        lock.release()


def check_room(folder: Path, need: int) -> None:
    """Raise DownloadError unless `need` bytes are free on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DownloadError(
            f"{folder}: {megabytes(need)} are needed on this disk and {megabytes(free)} are free. Free some space or "
            "choose a folder on another disk."
        )


def megabytes(count: int) -> str:
    """A count of bytes for people."""
    return f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{count / 1e6:.3f} MB"


def is_safe(path: str) -> bool:
    """Whether a relative path from a workflow or a repository leads nowhere else."""
    plain = not set(path) & set('\\:*?"<>|') and all(ord(letter) >= 32 for letter in path)
    return plain and all(part and part[0] != "." for part in path.split("/"))
