"""Folders that several threads and processes write to: their lock, room on the disk, checksums, small JSON files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..atomic_write import remedy, temporary_file
from ..errors import DownloadError

_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in "0123456789¹²³")}


@contextmanager
def locked(folder: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is missing.

    Raises DownloadError where nothing can be written, in the body too: a full disk can show itself at any step.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with wait_for_lock(folder / ".lock", while_waiting):
            yield
    except OSError as error:
        raise DownloadError(
            f"{folder}: cannot be written to ({error.strerror or error}). {remedy(error)} and try again."
        ) from error


@contextmanager
def wait_for_lock(path: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock that a file is, calling `while_waiting` as long as somebody else has it. Raises OSError.

    The operating system frees the lock of a process that dies.
    """
    while True:
        with try_lock(path, seconds=0.2) as is_ours:
            if is_ours:
                yield
                return
        while_waiting()


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


def sha256_of(path: Path, poll: Callable[[], None] = lambda: None) -> str:
    """The sha256 of a file in hexadecimal digits; `poll` is called after every block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            poll()
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """The bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def is_reserved_on_windows(name: str) -> bool:
    """Whether Windows takes the name of a file or folder for a device's (`con.png` too), or would shorten it."""
    return name[-1:] in {".", " "} or name.split(".")[0].rstrip(" ").lower() in _DEVICES


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file or it is damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file in one step."""
    with temporary_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2), "utf-8")
