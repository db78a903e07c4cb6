"""From a tracked face to poses (spec section 7): blend shapes by their ARKit names and the turns of the head.

Every number of the conversion is a setting. The defaults are those of the published converter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import product
from typing import cast

import numpy as np

from ... import pose
from ...errors import MotionError
from ...pose import Poses
from .. import timeline
from ..timeline import Array

BROW_DOWN = ("troubled", "angry", "lowered", "serious")
BLINK = ("wink", "relaxed")


@dataclass(frozen=True)
class TrackedFace:
    """A recording: `times` in seconds `[N]`; `shapes` name → numbers 0..1 `[N]`; `head` `[N, 3]`.

    `head` are the extrinsic x, y, z Euler angles in radians: x turns down, y to the character's left, z tilts to the
    character's right. A blend shape that is not there counts as 0.
    """

    times: Array
    shapes: Mapping[str, Array]
    head: Array

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Calibration:
    """What a tracker says of the neutral face: `head` angles `[3]` in radians, and blend shapes where they count."""

    head: Array = field(default_factory=lambda: np.zeros(3))
    shapes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrackedSettings:
    """The thresholds of the conversion; a pair `…_low`, `…_high` is where something begins and where it is full.

    `brow_down` names the eyebrow that lowered brows move (one of BROW_DOWN), `blink` the eye that closed lids move
    (one of BLINK). `…_full` is the blend shape (or the angle in degrees) that counts as 1. `gaze` multiplies the eyes'
    turns. `body` is how much of the head's turn and tilt the body follows. `breathing_period` in seconds; 0: no breath.
    """

    smile_low: float = 0.4
    smile_high: float = 0.6
    brow_down: str = "angry"
    brow_down_full: float = 0.4
    eye_wide_full: float = 0.5
    blink: str = "wink"
    blink_full: float = 0.8
    cheek_squint_low: float = 0.1
    cheek_squint_high: float = 0.7
    gaze: float = 4 / 3
    jaw_open_low: float = 0.1
    jaw_open_high: float = 0.4
    frown_full: float = 0.6
    funnel_low: float = 0.25
    funnel_high: float = 0.5
    head_x_full: float = 15.0
    head_y_full: float = 10.0
    neck_z_full: float = 15.0
    body: float = 1.0
    breathing_period: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("brow_down", BROW_DOWN), ("blink", BLINK)):
            if getattr(self, name) not in known:
                raise MotionError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)}.")
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.name.endswith("_full") and not 0 < value < math.inf:
                raise MotionError(f"{setting.name} is {value:g}; it must be above 0.")
            low = getattr(self, setting.name.replace("_high", "_low"))
            if setting.name.endswith("_high") and not 0 <= low < value < math.inf:
                raise MotionError(f"{setting.name} is {value:g}; it must be above its low, {low:g}.")
        if not (abs(self.gaze) <= 100 and abs(self.body) <= 100 and 0 <= self.breathing_period <= 1000):
            raise MotionError("gaze, body and breathing_period are out of bounds.")


DEFAULT = TrackedSettings()


def calibrate(face: TrackedFace, start: float = 0.0, end: float = 0.0, *, shapes: bool = False) -> Calibration:
    """The mean of the frames from `start` to `end` seconds (at least one frame), as what neutral looks like.

    With `shapes` the blend shapes are calibrated too, not only the head.
    """
    since = face.times - face.times[0]
    first = min(int(np.searchsorted(since, start)), len(face) - 1)
    chosen = slice(first, max(int(np.searchsorted(since, end, side="right")), first + 1))
    means = {name: float(np.clip(v[chosen], 0, 1).mean()) for name, v in face.shapes.items()} if shapes else {}
    return Calibration(face.head[chosen].mean(axis=0), means)


def to_poses(
    face: TrackedFace,
    fps: float | None = None,
    settings: TrackedSettings = DEFAULT,
    calibration: Calibration | None = None,
) -> Poses:
    """The recording as poses at an even rate: `fps`, or the recording's own mean rate."""
    values = convert(face, settings, Calibration() if calibration is None else calibration)
    even, rate = timeline.make_even(face.times, values, fps)
    if settings.breathing_period > 0:
        times = timeline.frame_times(len(even), rate)
        even[:, pose.indices("breathing")[0]] = (1 - np.cos(2 * np.pi * times / settings.breathing_period)) / 2
    return timeline.to_poses(even, rate)


def convert(face: TrackedFace, settings: TrackedSettings, calibration: Calibration) -> Array:
    """The pose of every recorded face, float64 `[N, 45]`, in range; breathing is 0."""
    shapes = _Shapes(face, calibration)
    values: dict[str, Array] = {}
    values.update(_upper_face(shapes, settings))
    values.update(_mouth(shapes, settings))
    values.update(_turns(shapes, face.head - calibration.head, settings))
    result = np.zeros((len(face), pose.COUNT))
    for name, column in values.items():
        result[:, list(pose.indices(name))] = column[:, None]
    return result


class _Shapes:
    """Blend shapes by name, calibrated, 0 where there is none."""

    def __init__(self, face: TrackedFace, calibration: Calibration) -> None:
        self._face, self._neutral = face, calibration.shapes

    def __call__(self, name: str) -> Array:
        values = self._face.shapes.get(name)
        if values is None:
            return np.zeros(len(self._face))
        neutral = min(self._neutral.get(name, 0.0), 0.99)
        return values if neutral == 0 else np.maximum((values - neutral) / (1 - neutral), 0.0)


def _clamp(x: Array, low: float = 0.0, high: float = 1.0) -> Array:
    return np.clip(x, low, high)


def _between(x: Array, low: float, high: float) -> Array:
    return _clamp((x - low) / (high - low))


def _smile(shape: _Shapes) -> Array:
    return (shape("mouthSmileLeft") + shape("mouthSmileRight")) / 2 + shape("mouthShrugUpper")


def _upper_face(shape: _Shapes, settings: TrackedSettings) -> dict[str, Array]:
    smile = _smile(shape)
    s = _between(smile, settings.smile_low, settings.smile_high)
    values = {"eyebrow_happy": _clamp(smile) * s}
    for side, ending in (("Left", "_left"), ("Right", "_right")):
        blink = _clamp(shape(f"eyeBlink{side}") / settings.blink_full)
        squint = shape(f"cheekSquint{side}")
        one = {
            "eyebrow_raised": _clamp(shape("browInnerUp") + shape(f"browOuterUp{side}")),
            f"eyebrow_{settings.brow_down}": (1 - s) * _clamp(shape(f"browDown{side}") / settings.brow_down_full),
            "eye_surprised": _clamp(shape(f"eyeWide{side}") / settings.eye_wide_full),
            f"eye_{settings.blink}": (1 - s) * blink,
            "eye_happy_wink": s * blink,
            "eye_raised_lower_eyelid": _between(squint, settings.cheek_squint_low, settings.cheek_squint_high),
        }
        values.update({name + ending: value for name, value in one.items()})
    return values


def _turns(shape: _Shapes, head: Array, settings: TrackedSettings) -> dict[str, Array]:
    sideways = (
        shape("eyeLookInLeft") - shape("eyeLookOutLeft") - shape("eyeLookInRight") + shape("eyeLookOutRight")
    ) / 2
    up = (shape("eyeLookUpLeft") + shape("eyeLookUpRight") - shape("eyeLookDownLeft") - shape("eyeLookDownRight")) / 2
    x, y, z = np.degrees(head).T
    turn, tilt = -y / settings.head_y_full, z / settings.neck_z_full
    signed = {
        "iris_rotation_x": up * settings.gaze,
        "iris_rotation_y": sideways * settings.gaze,
        "head_x": -x / settings.head_x_full,
        "head_y": turn,
        "neck_z": tilt,
        "body_y": turn * settings.body,
        "body_z": tilt * settings.body,
    }
    return {name: _clamp(value, -1.0, 1.0) for name, value in signed.items()}


def _mouth(shape: _Shapes, settings: TrackedSettings) -> dict[str, Array]:
    opened = _between(shape("jawOpen"), settings.jaw_open_low, settings.jaw_open_high)
    closed = opened <= 0
    lower, funnel = shape("mouthLowerDownLeft") + shape("mouthLowerDownRight"), shape("mouthFunnel")
    point = np.stack([opened, _clamp(lower), funnel, shape("mouthPucker")], axis=1)
    weights = np.where(closed[:, None], 0.0, mouth_mix(point))
    rounded = _clamp(weights[:, 2] + weights[:, 3])
    share = _between(funnel, settings.funnel_low, settings.funnel_high)
    frown = _clamp((shape("mouthFrownLeft") + shape("mouthFrownRight")) / settings.frown_full)
    return {
        "mouth_raised_corner": _clamp(_smile(shape)),
        "mouth_lowered_corner": np.where(closed, frown, 0.0),
        "mouth_aaa": weights[:, 0],
        "mouth_iii": weights[:, 1],
        "mouth_uuu": rounded * (1 - share),
        "mouth_ooo": rounded * share,
    }


# --- an open mouth as a mix of four vowels -------------------------------------------------------------------------

# Columns: what a, i, u and o look like as (open, lip lowered, funnel, pucker).
_VOWELS = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0.5, 0.3, 0.25, 0.75], [1, 0.5, 0.5, 0.4]]).T
_SPARSITY = 0.01
_FREE, _NONE, _ALL = 0, 1, 2


def mouth_mix(points: Array) -> Array:
    """The weights of a, i, u, o, float64 `[N, 4]` in 0..1, that mix best to the points `[N, 4]`.

    They minimise ‖mix - point‖₂ + 0.01 · ‖weights‖₁ (spec section 7). The problem is convex, and once it is known
    which weights are 0, which 1 and which between, it has a closed form: all 81 cases are tried, and the best one that
    keeps its weights between 0 and 1 is the answer.
    """
    best, lowest = np.zeros((len(points), 4)), np.full(len(points), np.inf)
    for case in product((_FREE, _NONE, _ALL), repeat=4):
        weights = _solve_case(points, np.array(case))
        if weights is None:
            continue
        inside = ((weights >= -1e-12) & (weights <= 1 + 1e-12)).all(axis=1)
        cost = np.linalg.norm(weights @ _VOWELS.T - points, axis=1) + _SPARSITY * np.abs(weights).sum(axis=1)
        better = inside & (cost < lowest)
        best[better], lowest[better] = weights[better], cost[better]
    return np.clip(best, 0.0, 1.0)


def _solve_case(points: Array, case: Array) -> Array | None:
    """The best weights where some are fixed at 0 or 1; the free ones may come out anywhere. None: they run away.

    With B the free columns and q what they are to mix to: the minimum of ‖Bu - q‖ + c·Σu has Bᵀ(Bu - q) = -c‖Bu - q‖,
    so u lies off the least-squares solution by c·‖Bu - q‖·(BᵀB)⁻¹1, and Pythagoras gives ‖Bu - q‖.
    """
    weights = np.zeros((len(points), 4))
    weights[:, case == _ALL] = 1.0
    free = case == _FREE
    if free.any():
        columns = _VOWELS[:, free]
        wanted = points - weights @ _VOWELS.T
        nearest = wanted @ np.linalg.pinv(columns).T
        left = np.linalg.norm(nearest @ columns.T - wanted, axis=1)
        direction = np.linalg.inv(columns.T @ columns).sum(axis=1)
        bend = 1 - _SPARSITY**2 * direction.sum()
        if bend <= 0:
            return None
        residual = left / math.sqrt(bend)
        weights[:, free] = nearest - _SPARSITY * residual[:, None] * direction
    return weights


def euler_angles(matrices: Array) -> Array:
    """The extrinsic x, y, z Euler angles in radians `[N, 3]` of rotation matrices `[N, 3, 3]` (or larger ones' corner).

    A matrix that also scales counts by its directions alone. Raises MotionError for one without directions.
    """
    corner = np.asarray(matrices, dtype=np.float64)[:, :3, :3]
    lengths = np.linalg.norm(corner, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 1e-9).all()):
        raise MotionError("A head's matrix is not a rotation: it has a column of length 0 or without a finite length.")
    r = corner / lengths
    x, y, z = (
        np.arctan2(r[:, 2, 1], r[:, 2, 2]),
        -np.arcsin(np.clip(r[:, 2, 0], -1, 1)),
        np.arctan2(r[:, 1, 0], r[:, 0, 0]),
    )
    return cast(Array, np.stack([x, y, z], axis=1))
