"""A face as a datagram tells it, and checks that the readers of all protocols share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ....errors import MotionError

# In the order in which Live Link Face sends them.
ARKIT_SHAPES: tuple[str, ...] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawRight", "jawLeft", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthRight", "mouthLeft", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft",
    "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""ARKit's 52 blend shapes."""

_BY_SMALL_LETTERS = {name.casefold(): name for name in ARKIT_SHAPES}
_SIDES = {"_l": "left", "_r": "right"}
_LARGEST_ANGLE = 3600.0

Angles = tuple[float, float, float]
Reader = Callable[[bytes], "FacePacket | None"]
"""Reads one datagram. None: it is well-formed and holds no new face. Raises MotionError for anything else."""


@dataclass(frozen=True)
class FacePacket:
    """`shapes` 0..1 by ARKit's names; `angles` in degrees about x, y, z with the signs of TrackedFace's `head`.

    `pose` are parameters by their names that the tracker gives directly. `found` is false where it sees no face.
    """

    shapes: Mapping[str, float] = field(default_factory=dict)
    angles: Angles = (0.0, 0.0, 0.0)
    pose: Mapping[str, float] = field(default_factory=dict)
    found: bool = True


LOST = FacePacket(found=False)


def message(packet: FacePacket, source: str) -> dict[str, Any]:
    """The packet as the JSON object that pages get."""
    if not packet.found:
        return {"type": "face", "source": source, "found": False}
    shapes, pose = ({k: round(v, 4) for k, v in values.items()} for values in (packet.shapes, packet.pose))
    angles = [round(angle, 3) for angle in packet.angles]
    return {"type": "face", "source": source, "found": True, "shapes": shapes, "angles": angles, "pose": pose}


def arkit_name(name: str) -> str | None:
    """ARKit's name for a blend shape in any spelling: EyeBlinkLeft, eyeBlink_L. None for others."""
    small = name.casefold()
    return _BY_SMALL_LETTERS.get(small[:-2] + _SIDES[small[-2:]] if small[-2:] in _SIDES else small)


def arkit_shapes(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The blend shapes that ARKit has, each 0..1. Others, which trackers of today send beside them, are left out."""
    named = ((arkit_name(name), value) for name, value in values)
    return {name: clamp(value) for name, value in named if name is not None}


def clamp(value: float, lowest: float = 0.0, highest: float = 1.0) -> float:
    """The number in its range. Raises MotionError for NaN."""
    if math.isnan(value):
        raise MotionError("The packet has a value that is not a number.")
    return min(max(value, lowest), highest)


def degrees(x: float, y: float, z: float) -> Angles:
    """Three angles in degrees, each brought into -180..180. Raises MotionError where one makes no sense."""
    if not all(abs(angle) <= _LARGEST_ANGLE for angle in (x, y, z)):
        raise MotionError("The packet has an angle that is not finite or is too large.")
    return _wrap(x), _wrap(y), _wrap(z)


def _wrap(angle: float) -> float:
    return math.remainder(angle, 360.0)
