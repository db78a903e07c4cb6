"""Live Link Face: packets of version 6.

The angles are radians with ARKit's signs, as in the app's CSV (see `tracking.live_link`).
"""

from __future__ import annotations

import struct
from math import degrees as to_degrees

from ....errors import MotionError
from .face import ARKIT_SHAPES, LOST, FacePacket, arkit_shapes, degrees

_VERSION = 6
_ID_BYTES = 37
_NAME_AT = 4 + _ID_BYTES
_FRAME = struct.Struct(">ifii")
_COUNT = len(ARKIT_SHAPES) + 9
_VALUES = struct.Struct(f">{_COUNT}f")


def read(data: bytes) -> FacePacket:
    """The face in a packet; a packet that ends after its time has none. Raises MotionError where it is no packet."""
    if len(data) < _NAME_AT + 4 or int.from_bytes(data[:4], "little") != _VERSION:
        raise MotionError(f"The packet is not one of Live Link Face, version {_VERSION}.")
    name_length = int.from_bytes(data[_NAME_AT : _NAME_AT + 4], "big")
    at = _NAME_AT + 4 + name_length + _FRAME.size
    if len(data) < at:
        raise MotionError("The packet ends before its time.")
    if len(data) == at or data[at] == 0:
        return LOST
    if data[at] != _COUNT or len(data) < at + 1 + _VALUES.size:
        raise MotionError(f"The packet must have {_COUNT} values.")
    values = _VALUES.unpack_from(data, at + 1)
    yaw, pitch, roll = (to_degrees(angle) for angle in values[len(ARKIT_SHAPES) : len(ARKIT_SHAPES) + 3])
    return FacePacket(arkit_shapes(zip(ARKIT_SHAPES, values, strict=False)), degrees(pitch, yaw, roll))
