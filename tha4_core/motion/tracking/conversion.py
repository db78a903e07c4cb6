"""From a tracked face to poses (spec section 7): blend shapes by their ARKit names and the turns of the head.

Every number of the conversion is a setting. The defaults are those of the published converter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from ... import pose
from ...errors import MotionError
from ...pose import Poses
from .. import timeline
from ..timeline import Array
from . import vowel_mix
from .face import Calibration, TrackedFace

BROW_DOWN = ("troubled", "angry", "lowered", "serious")
BLINK = ("wink", "relaxed")


@dataclass(frozen=True)
class ConversionSettings:
    """The thresholds of the conversion; a pair `…_low`, `…_high` is where something begins and where it is full.

    `brow_down` names the eyebrow that lowered brows move (one of BROW_DOWN), `blink` the eye that closed lids move
    (one of BLINK). `…_full` is the blend shape (or the angle in degrees) that counts as 1. `gaze` multiplies the eyes'
    turns. `body` is how much of the head's turn and tilt the body follows. `breathing_period` in seconds; 0: no breath.
    `iris_small` is how small the irises are, 0..1: no tracker sees that.
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
    iris_small: float = 0.0

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
        if not 0 <= self.iris_small <= 1:
            raise MotionError(f"iris_small is {self.iris_small:g}; it must be from 0 to 1.")


DEFAULT = ConversionSettings()


def to_poses(
    face: TrackedFace,
    fps: float | None = None,
    settings: ConversionSettings = DEFAULT,
    calibration: Calibration | None = None,
) -> Poses:
    """The recording as poses at an even rate, with its notes: `fps`, or the recording's own mean rate."""
    values = convert(face, settings, Calibration() if calibration is None else calibration)
    even, rate = timeline.make_even(face.times, values, fps)
    if settings.breathing_period > 0:
        times = timeline.frame_times(len(even), rate)
        even[:, pose.indices("breathing")[0]] = (1 - np.cos(2 * np.pi * times / settings.breathing_period)) / 2
    return timeline.to_poses(even, rate, face.notes)


def convert(face: TrackedFace, settings: ConversionSettings, calibration: Calibration) -> Array:
    """The pose of every recorded face, float64 `[N, 45]`, in range; breathing is 0."""
    shapes = _Shapes(face, calibration)
    values = {"iris_small": np.full(len(face), settings.iris_small)}
    values.update(_upper_face(shapes, settings))
    values.update(_mouth(shapes, settings))
    values.update(_gaze(shapes, settings))
    values.update(_turns(face.head - calibration.head, settings))
    result = np.zeros((len(face), pose.COUNT))
    for name, column in values.items():
        result[:, list(pose.indices(name))] = column[:, None]
    return result


class _Shapes:
    """Blend shapes by name, calibrated, 0 where there is none."""

    def __init__(self, face: TrackedFace, calibration: Calibration) -> None:
        self._face, self._neutral = face, calibration.shapes

    def __call__(self, name: str) -> Array:
        """0 up to the neutral value, and from there to 1."""
        neutral = min(self._neutral.get(name, 0.0), 0.99)
        return np.maximum((self._raw(name) - neutral) / (1 - neutral), 0.0)

    def signed(self, name: str) -> Array:
        """How far above (or below) the neutral value: what counts where two shapes pull against each other."""
        return self._raw(name) - self._neutral.get(name, 0.0)

    def _raw(self, name: str) -> Array:
        values = self._face.shapes.get(name)
        return np.zeros(len(self._face)) if values is None else values


def _clamp(x: Array, low: float = 0.0, high: float = 1.0) -> Array:
    return np.clip(x, low, high)


def _between(x: Array, low: float, high: float) -> Array:
    return _clamp((x - low) / (high - low))


def _smile(shape: _Shapes) -> Array:
    return (shape("mouthSmileLeft") + shape("mouthSmileRight")) / 2 + shape("mouthShrugUpper")


def _upper_face(shape: _Shapes, settings: ConversionSettings) -> dict[str, Array]:
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


def _gaze(shape: _Shapes, settings: ConversionSettings) -> dict[str, Array]:
    inward = shape.signed("eyeLookInLeft") - shape.signed("eyeLookInRight")
    outward = shape.signed("eyeLookOutLeft") - shape.signed("eyeLookOutRight")
    up = shape.signed("eyeLookUpLeft") + shape.signed("eyeLookUpRight")
    down = shape.signed("eyeLookDownLeft") + shape.signed("eyeLookDownRight")
    turns = {"iris_rotation_x": (up - down) / 2, "iris_rotation_y": (inward - outward) / 2}
    return {name: _clamp(value * settings.gaze, -1.0, 1.0) for name, value in turns.items()}


def _turns(head: Array, settings: ConversionSettings) -> dict[str, Array]:
    x, y, z = np.degrees(head).T
    turn, tilt = -y / settings.head_y_full, z / settings.neck_z_full
    signed = {
        "head_x": -x / settings.head_x_full,
        "head_y": turn,
        "neck_z": tilt,
        "body_y": turn * settings.body,
        "body_z": tilt * settings.body,
    }
    return {name: _clamp(value, -1.0, 1.0) for name, value in signed.items()}


def _mouth(shape: _Shapes, settings: ConversionSettings) -> dict[str, Array]:
    opened = _between(shape("jawOpen"), settings.jaw_open_low, settings.jaw_open_high)
    closed = opened <= 0
    lower, funnel = shape("mouthLowerDownLeft") + shape("mouthLowerDownRight"), shape("mouthFunnel")
    point = np.stack([opened, _clamp(lower), funnel, shape("mouthPucker")], axis=1)
    weights = np.where(closed[:, None], 0.0, vowel_mix.mix(point))
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
