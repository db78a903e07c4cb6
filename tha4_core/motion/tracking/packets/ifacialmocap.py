"""iFacialMocap (versions 1 and 2) and Facemotion3D: the text of a packet, read as `tracking.ifacialmocap` reads logs.

Facemotion3D sends the same text, with names in full and some of its own that begin with `FM_`.
"""

from __future__ import annotations

from math import degrees as to_degrees

from ....errors import MotionError
from ... import reading
from ..ifacialmocap import END, parse_packet
from .face import FacePacket, arkit_shapes, degrees


def read(data: bytes) -> FacePacket:
    """The face in a packet. Raises MotionError where it is cut or is none."""
    shapes, head = parse_packet(reading.decode(data, "The packet").strip("\0").removesuffix(END))
    if head is None:
        raise MotionError("The packet ends before its head.")
    known = arkit_shapes(shapes.items())
    if not known:
        raise MotionError("The packet has none of ARKit's blend shapes.")
    x, y, z = head
    return FacePacket(known, degrees(to_degrees(x), to_degrees(y), to_degrees(z)))
