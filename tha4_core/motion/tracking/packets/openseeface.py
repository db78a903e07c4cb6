"""OpenSeeFace: 1785 bytes a face, several faces in one packet.

It sends no blend shapes, so the face is given as parameters of a pose: how far each eye is open, brows and mouth by its
features (each -1..1 about what is usual), and the gaze by the points of pupils and eyeballs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from ....errors import MotionError
from .face import LOST, Angles, FacePacket, clamp, degrees

_POINTS = 68
_FACE = struct.Struct(f"<d i 2f 2f B f 4f 3f 3f {_POINTS}f {2 * _POINTS}f {3 * (_POINTS + 2)}f 14f".replace(" ", ""))
SIZE = _FACE.size
_ID, _RIGHT_OPEN, _LEFT_OPEN, _SUCCESS, _EULER = 1, 4, 5, 6, 12
_POINTS_3D = 18 + 3 * _POINTS
_FEATURES = _POINTS_3D + 3 * (_POINTS + 2)
# The right and the left pupil, each with the centre of its eyeball.
_EYES = ((66, 68), (67, 69))
_GAZE_DEGREES = 10.0  # as of a pose made from a VMD's eyes

Values = Sequence[float]


def read(data: bytes) -> FacePacket:
    """The face that has been seen longest: of those with a pose the one with the lowest id.

    Raises MotionError where the packet is not a whole number of faces or a number in it is not finite.
    """
    if not data or len(data) % SIZE:
        raise MotionError(f"The packet has {len(data)} bytes; an OpenSeeFace packet has {SIZE} for each face.")
    seen = [values for values in _FACE.iter_unpack(data) if values[_SUCCESS]]
    return _face(min(seen, key=lambda values: int(values[_ID]))) if seen else LOST


def _face(values: Values) -> FacePacket:
    if not all(math.isfinite(value) for value in values):
        raise MotionError("The packet has a value that is not finite.")
    pose = {
        "eye_wink_right": clamp(1 - values[_RIGHT_OPEN]),
        "eye_wink_left": clamp(1 - values[_LEFT_OPEN]),
        **_brows_and_mouth(values[_FEATURES:]),
        **_gaze(values[_POINTS_3D:_FEATURES]),
    }
    return FacePacket({}, _angles(*values[_EULER : _EULER + 3]), pose)


def _angles(x: float, y: float, z: float) -> Angles:
    """The head's angles. A face that looks ahead has 180, 0 and 90 or -90, by how the pose was found."""
    x, y, z = degrees(x + 180, y, z - 90)
    return (x, y, z) if abs(z) <= 90 else degrees(x, y, z + 180)


def _brows_and_mouth(features: Values) -> dict[str, float]:
    _, _, _, brow_left, _, _, brow_right, _, corner_left, _, corner_right, _, opened, wide = features
    opened, wide = clamp(opened), clamp(wide, -1.0)
    pose = {
        "mouth_aaa": opened * (1 - abs(wide)),
        "mouth_iii": opened * max(wide, 0.0),
        "mouth_uuu": opened * max(-wide, 0.0),
    }
    for side, brow, corner in (("left", brow_left, corner_left), ("right", brow_right, corner_right)):
        pose[f"eyebrow_raised_{side}"], pose[f"eyebrow_lowered_{side}"] = clamp(brow), clamp(-brow)
        # A corner of the mouth counts downwards.
        pose[f"mouth_raised_corner_{side}"], pose[f"mouth_lowered_corner_{side}"] = clamp(-corner), clamp(corner)
    return pose


def _gaze(points: Values) -> dict[str, float]:
    """Where the eyes look, by the way from each eyeball's centre to its pupil; nothing where they are in one place."""
    ways = [[points[3 * pupil + i] - points[3 * centre + i] for i in range(3)] for pupil, centre in _EYES]
    x, y, z = (-(ways[0][i] + ways[1][i]) for i in range(3))  # to the person's left, up, ahead
    length = math.hypot(x, y, z)
    if not 1e-6 < length < math.inf:
        return {}
    up, left = (math.degrees(math.asin(clamp(way / length, -1.0))) / _GAZE_DEGREES for way in (y, x))
    return {"iris_rotation_x": clamp(up, -1.0), "iris_rotation_y": clamp(-left, -1.0)}
