"""Open Sound Control: the messages in a packet."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ....errors import MotionError

_BUNDLE = b"#bundle\0"
_HEADER = len(_BUNDLE) + 8  # with its time tag
_DEEPEST = 8  # bundles in bundles

Argument = str | float | bool | None
Message = tuple[str, list[Argument]]


class _Malformed(Exception):  # noqa: N818 - a message that is left out
    """Not a message as OSC has them."""


def messages(data: bytes) -> Iterator[Message]:
    """The messages of a packet in their order, each an address and its arguments (of types i, f, s, T, F).

    A message of the bundle that is malformed, or has an argument of another type, is left out. Raises MotionError where
    the packet as a whole is not OSC.
    """
    if data[:1] not in (b"/", b"#"):
        raise MotionError("The packet is not OSC: it begins neither with / nor with #bundle.")
    yield from _element(data, 0, len(data), 0)


def _element(data: bytes, start: int, end: int, depth: int) -> Iterator[Message]:
    if not data.startswith(_BUNDLE, start, end):
        try:
            yield _message(data[start:end])
        except _Malformed:
            return
    elif depth >= _DEEPEST:
        raise MotionError(f"The packet has bundles in bundles, more than {_DEEPEST} deep.")
    else:
        yield from _bundle(data, start + _HEADER, end, depth)


def _bundle(data: bytes, at: int, end: int, depth: int) -> Iterator[Message]:
    while at + 4 <= end:
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4
        if size > end - at:
            raise MotionError("The packet is cut: a message is longer than what is left.")
        yield from _element(data, at, at + size, depth + 1)
        at += size


def _message(data: bytes) -> Message:
    address, at = _text(data, 0)
    types, at = _text(data, at) if at < len(data) else (",", at)
    if address[:1] != "/" or types[:1] != ",":
        raise _Malformed
    arguments: list[Argument] = []
    for kind in types[1:]:
        value, at = _argument(data, at, kind)
        arguments.append(value)
    return address, arguments


def _argument(data: bytes, at: int, kind: str) -> tuple[Argument, int]:
    if kind in "TF":
        return kind == "T", at
    if kind == "s":
        return _text(data, at)
    if kind not in "if" or at + 4 > len(data):
        raise _Malformed
    return struct.unpack_from(f">{kind}", data, at)[0], at + 4


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A text that ends with a zero and is padded to four bytes, and where the next one begins."""
    end = data.find(b"\0", at)
    if end < 0:
        raise _Malformed
    try:
        return data[at:end].decode("utf-8"), end + 4 - (end - at) % 4
    except UnicodeDecodeError:
        raise _Malformed from None
