"""Folders that several threads and processes write to: one lock, one place to prepare files, one small JSON note."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import DownloadError

STAGING = ".staging-"


@contextmanager
def locked(folder: Path, tick: Callable[[], None]) -> Iterator[None]:
    """Hold the one lock of a folder, which is made where it is missing; `tick` is called while another holds it.

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
                tick()
    except OSError as error:
        raise DownloadError(f"{folder}: this folder cannot be written to ({error.strerror}).") from error
    try:
        yield
    except OSError as error:
        raise DownloadError(f"{folder}: cannot be written to ({error.strerror or error}). Nothing changed.") from error
    finally:
        lock.release()


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder inside a locked `folder` to prepare files in. It goes, and so do those that a crash left behind."""
    for left in folder.glob(f"{STAGING}*"):
        shutil.rmtree(left, ignore_errors=True)
    stage = Path(tempfile.mkdtemp(prefix=STAGING, dir=folder))
    try:
        stage.chmod(0o755)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def size_of(path: Path) -> int:
    """The bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file or it is damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(json.dumps(content, indent=2), "utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
