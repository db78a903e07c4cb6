"""Writing files whole or not at all: under a temporary name first. Names that Windows cannot have."""

from __future__ import annotations

import errno
import os
import secrets
import time
import zlib
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
    temporary = path.with_name(f"{_prefix(path)}{secrets.token_hex(4)}.part")
    try:
        yield temporary
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def delete_leftovers(path: Path) -> None:
    """Delete the temporary files that killed processes left of `path`. Nobody may be writing it."""
    for temporary in path.parent.glob(f"{_prefix(path)}*.part"):
        temporary.unlink(missing_ok=True)


def remedy(error: OSError) -> str:
    """What a user can do about a file that could not be written: the beginning of a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some disk space"
    return "Make sure that files can be written there"


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


def _prefix(path: Path) -> str:
    """How the names of temporary files begin that become `path`."""
    return f".{zlib.crc32(os.fsencode(path.name)):08x}-"
