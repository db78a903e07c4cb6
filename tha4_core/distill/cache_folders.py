"""The folders of a cache: which are in use, and which are deleted to make room.

Each process has a lock file in every folder that it uses. The operating system frees the locks of a process that was
killed, so what such a process left can be told from what another one needs.
"""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..file_lock import try_lock, wait_for_lock

_IN_USE = "in-use-"

_log = logging.getLogger("tha4")


@contextmanager
def in_use(folder: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Within it, `evict` leaves this folder, in whichever process it runs. It is made where it is missing.

    Raises OSError where it cannot be written to.
    """
    with ExitStack() as stack:
        with _root_lock(folder.parent, while_waiting):
            folder.mkdir(exist_ok=True)
            stack.enter_context(try_lock(folder / f"{_IN_USE}{secrets.token_hex(4)}.lock"))
        yield


def evict(root: Path, limit: int, room: int, while_waiting: Callable[[], None] = lambda: None) -> None:
    """Delete the least recently used folders in `root` until the others have `limit` bytes and `room` bytes are free.

    Folders in use stay; where deleting all others would not make the room, none is deleted for it. What killed
    processes left in unused folders is always deleted. Raises OSError where the root cannot be written to.
    """
    with _root_lock(root, while_waiting):
        folders = sorted((f for f in root.iterdir() if f.is_dir()), key=lambda folder: folder.stat().st_mtime)
        unused = [folder for folder in folders if not _is_used(folder)]
        for folder in unused:
            _delete_leftovers(folder)
        sizes = {folder: _size(folder) for folder in folders}
        lacking = room - shutil.disk_usage(root).free
        can_be_had = lacking <= sum(sizes[folder] for folder in unused)
        excess = max(sum(sizes.values()) - limit, lacking if can_be_had else 0)
        for folder in unused:
            if excess <= 0:
                break
            excess -= sizes[folder]
            try:
                shutil.rmtree(folder)
            except OSError as error:  # on Windows, where somebody has a file of it open
                _log.warning("%s: these teacher's frames cannot be deleted now (%s).", folder, error.strerror)


@contextmanager
def _root_lock(root: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Within it, no other process evicts, and none begins to use a folder."""
    root.mkdir(parents=True, exist_ok=True)
    with wait_for_lock(root / ".lock", while_waiting):
        yield


def _is_used(folder: Path) -> bool:
    """Whether a process uses a folder; the lock files of those that did are deleted."""
    is_used = False
    for path in folder.glob(f"{_IN_USE}*.lock"):
        with try_lock(path) as nobody_has_it:
            is_used = is_used or not nobody_has_it
        if nobody_has_it:
            path.unlink(missing_ok=True)
    return is_used


def _delete_leftovers(folder: Path) -> None:
    for pattern in ("*.part", "*.lock"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """The bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _size(folder: Path) -> int:
    return sum(size_of(file) for file in folder.iterdir())
