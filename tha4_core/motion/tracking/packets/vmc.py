"""VMC: the blend values and bones of an avatar, as VSeeFace, Warudo, VMagicMirror and others send them.

Blend values count from the next `/VMC/Ext/Blend/Apply` on; their names are VRM 0's, VRM 1's or ARKit's. The head's
angles are those of the bones Neck and Head together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

from ....pose import NAMES, indices
from ... import expressions, groups
from . import osc
from .face import Angles, FacePacket, arkit_name, clamp, degrees
from .osc import Argument

_VALUE, _APPLY, _BONE = "/VMC/Ext/Blend/Val", "/VMC/Ext/Blend/Apply", "/VMC/Ext/Bone/Pos"
_VOWELS = {"a": "aaa", "i": "iii", "u": "uuu", "e": "eee", "o": "ooo", "aa": "aaa", "ih": "iii", "ou": "uuu",
           "ee": "eee", "oh": "ooo"}  # fmt: skip
_EMOTIONS = {"joy": "happy", "angry": "angry", "sorrow": "sad", "fun": "content", "happy": "happy", "sad": "sad",
             "relaxed": "content", "surprised": "surprised"}  # fmt: skip
_LIDS = {"blink": "eye_wink", "blink_l": "eye_wink_left", "blink_r": "eye_wink_right", "blinkleft": "eye_wink_left",
         "blinkright": "eye_wink_right"}  # fmt: skip
_GAZE = {"lookup": ("iris_rotation_x", 1), "lookdown": ("iris_rotation_x", -1),
         "lookleft": ("iris_rotation_y", -1), "lookright": ("iris_rotation_y", 1)}  # fmt: skip
_BONES = ("Neck", "Head", "LeftEye", "RightEye")
_GAZE_DEGREES = 10.0  # as of a pose made from a VMD's eyes

Quaternion = tuple[float, float, float, float]  # x, y, z, w
_STRAIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)


class VmcReader:
    """Reads datagrams one after the other: each tells a part of the face, and the rest is as before."""

    def __init__(self) -> None:
        self._coming: dict[str, float] = {}
        self._values: dict[str, float] = {}
        self._bones: dict[str, Quaternion] = {}

    def __call__(self, data: bytes) -> FacePacket | None:
        """The face after a datagram that applies blend values, or that turns the head of an avatar without them."""
        applied = turned = False
        for address, arguments in osc.messages(data):
            if address == _VALUE:
                self._take_value(arguments)
            elif address == _APPLY:
                self._values.update(self._coming)
                applied = True
            elif address == _BONE:
                turned |= self._take_bone(arguments)
        if not applied and (self._coming or not turned):
            return None
        return FacePacket(_shapes(self._values), self._angles(), {**self._gaze(), **_pose(self._values)})

    def _take_value(self, arguments: Sequence[Argument]) -> None:
        if len(arguments) < 2 or not isinstance(arguments[0], str):
            return
        name, value = arkit_name(arguments[0]) or arguments[0].casefold(), _number(arguments[1])
        if math.isfinite(value) and (arkit_name(name) or name in _meanings()):
            self._coming[name] = clamp(value)

    def _take_bone(self, arguments: Sequence[Argument]) -> bool:
        """Whether the arguments turn the head."""
        if len(arguments) < 8 or arguments[0] not in _BONES:
            return False
        x, y, z, w = (_number(argument) for argument in arguments[4:8])
        length = math.hypot(x, y, z, w)
        if not 0.1 < length < 10:
            return False
        # Unity's axes are x to the person's right, y up, z ahead, left-handed; ours x to the left, right-handed.
        self._bones[str(arguments[0])] = (x / length, -y / length, -z / length, w / length)
        return arguments[0] in ("Neck", "Head")

    def _angles(self) -> Angles:
        return _euler(_product(self._bones.get("Neck", _STRAIGHT), self._bones.get("Head", _STRAIGHT)))

    def _gaze(self) -> dict[str, float]:
        eyes = [_euler(self._bones[name]) for name in _BONES[2:] if name in self._bones]
        if not eyes:
            return {}
        down, left = (sum(eye[axis] for eye in eyes) / len(eyes) / _GAZE_DEGREES for axis in (0, 1))
        return {"iris_rotation_x": clamp(-down, -1.0), "iris_rotation_y": clamp(-left, -1.0)}


def _number(value: Argument) -> float:
    """An argument as a number; NaN where it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _shapes(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if arkit_name(name)}


def _pose(values: Mapping[str, float]) -> dict[str, float]:
    """The parameters that VRM's names move; where several move one, they add up.

    Those that stay at 0 are left out: an avatar with ARKit's blend shapes has these names too, unused.
    """
    pose: dict[str, float] = {}
    for name, value in values.items():
        for parameter, amount in _meanings().get(name, {}).items():
            pose[parameter] = clamp(pose.get(parameter, 0.0) + amount * value, -1.0)
    return {parameter: value for parameter, value in pose.items() if value}


@cache
def _meanings() -> Mapping[str, Mapping[str, float]]:
    """What each of VRM's names moves at 1: parameter → amount."""
    return {
        **{name: {f"mouth_{vowel}": 1.0} for name, vowel in _VOWELS.items()},
        **{name: {NAMES[index]: 1.0 for index in indices(lid)} for name, lid in _LIDS.items()},
        **{name: {parameter: float(sign)} for name, (parameter, sign) in _GAZE.items()},
        **{name: _emotion(expression) for name, expression in _EMOTIONS.items()},
    }


def _emotion(name: str) -> dict[str, float]:
    """What an expression of the library moves in the face. Vowels, gaze and head have messages of their own."""
    parts = {*groups.GROUPS["brows"], *groups.GROUPS["eyes"], *groups.GROUPS["mouth"]} - set(groups.VOWELS)
    found = expressions.built_in()[name].values
    return {NAMES[index]: value for index, value in found.items() if index in parts and value}


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def _euler(rotation: Quaternion) -> Angles:
    """The extrinsic x, y, z Euler angles in degrees of a unit quaternion."""
    x, y, z, w = rotation
    return degrees(
        math.degrees(math.atan2(2 * (y * z + w * x), 1 - 2 * (x * x + y * y))),
        math.degrees(-math.asin(min(max(2 * (x * z - w * y), -1.0), 1.0))),
        math.degrees(math.atan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))),
    )
