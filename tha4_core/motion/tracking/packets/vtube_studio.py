"""VTube Studio on an iPhone, and what speaks like it: one JSON object a packet.

`Rotation` is in degrees: its y turns the head down, its x to the person's right, its z tilts it to the person's left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ....errors import MotionError
from ... import reading
from .face import LOST, FacePacket, arkit_shapes, degrees


def request(port: int) -> bytes:
    """What asks the phone to send to a port for the next five seconds."""
    return json.dumps({"messageType": "iOSTrackingDataRequest", "time": 5, "sentBy": "THA4", "ports": [port]}).encode()


def read(data: bytes) -> FacePacket:
    """The face in a packet. Raises MotionError where it is none."""
    content = reading.parse_json(reading.decode(data, "The packet"), "The packet")
    if not isinstance(content, Mapping) or not isinstance(content.get("FaceFound"), bool):
        raise MotionError('The packet must be an object with "FaceFound".')
    if not content["FaceFound"]:
        return LOST
    rotation, shapes = content.get("Rotation"), content.get("BlendShapes")
    if not isinstance(rotation, Mapping) or not isinstance(shapes, list):
        raise MotionError('The packet must have "Rotation" and "BlendShapes".')
    x, y, z = (reading.number(rotation.get(axis), f"Rotation.{axis}") for axis in "xyz")
    return FacePacket(arkit_shapes(_values(shapes)), degrees(y, -x, -z))


def _values(shapes: list[Any]) -> Iterator[tuple[str, float]]:
    for shape in shapes:
        if not isinstance(shape, Mapping) or not isinstance(shape.get("k"), str):
            raise MotionError('A blend shape must be an object with "k" and "v".')
        yield shape["k"], reading.number(shape.get("v"), "BlendShapes")
