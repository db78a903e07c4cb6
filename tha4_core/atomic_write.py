"""Writing files whole or not at all: under a temporary name first. Names that Windows cannot have."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RETRY_SECONDS = 0.5
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in "0123456789¹²³")}


@contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, whose folder is made: what was written there becomes `path` at the end.

    After an error it is removed, and `path` is what it was. The name is short: Windows takes paths of 259 characters.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.part")
    try:
        yield temporary
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace(source: Path, target: Path) -> None:
    """`os.replace`, tried twice: on Windows a virus scanner opens new files for a moment."""
    try:
        os.replace(source, target)
    except PermissionError:
        time.sleep(_RETRY_SECONDS)
        os.replace(source, target)


def is_reserved_on_windows(name: str) -> bool:
    """Whether Windows takes the name of a file or folder for a device's (`con.png` too), or would shorten it."""
    return name[-1:] in {".", " "} or name.split(".")[0].rstrip(" ").lower() in _DEVICES
