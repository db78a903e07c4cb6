"""Writing files whole or not at all: under a temporary name first."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RETRY_SECONDS = 0.5


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
