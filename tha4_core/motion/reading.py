"""Reading other people's files: bounded, and every failure a MotionError that names the file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..errors import MotionError

MAX_BYTES = 256 * 1024 * 1024
"""The largest file that is read as a motion: hours of tracking."""


def read_bytes(path: Path | str, limit: int = MAX_BYTES) -> bytes:
    """The whole file. Raises MotionError where it cannot be read, is empty, or is over `limit` bytes."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > limit:
            raise MotionError(f"{path.name} has {size:,} bytes; at most {limit:,} are read.")
        content = path.read_bytes()
    except OSError as error:
        raise MotionError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not content:
        raise MotionError(f"{path.name} is empty.")
    return content


def read_text(path: Path | str, limit: int = MAX_BYTES) -> str:
    """The file as text (UTF-8, or UTF-16 with its mark). Raises MotionError where it is not that."""
    return decode(read_bytes(path, limit), Path(path).name)


def decode(content: bytes, name: str) -> str:
    """The content of the file `name` as text (UTF-8, or UTF-16 with its mark). Raises MotionError where it is none."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise MotionError(f"{name} is not text in UTF-8: {error.reason} at byte {error.start}.") from error


def parse_json(text: str, name: str) -> Any:
    """The JSON value in a text. Raises MotionError, naming the file `name`, where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MotionError(f"{name} is not JSON: {error}.") from error


def number(value: object, what: str) -> float:
    """A JSON value as a finite float. Raises MotionError, naming `what`, for anything else, booleans included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MotionError(f"{what} must be a number, not {shorten(value)}.")
    try:
        result = float(value)
    except OverflowError as error:
        raise MotionError(f"{what} is too large.") from error
    if not math.isfinite(result):
        raise MotionError(f"{what} is {result}; it must be a finite number.")
    return result


def parse_number(text: str, what: str) -> float:
    """A text as a finite float. Raises MotionError, naming `what`, where it is none."""
    try:
        value = float(text)
    except ValueError as error:
        raise MotionError(f"{what} must be a number, not {shorten(text)}.") from error
    return number(value, what)


def shorten(value: object, length: int = 60) -> str:
    """A value as it may stand in a message: its first characters, unprintable ones escaped."""
    text = ascii(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"
