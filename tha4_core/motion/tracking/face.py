"""A tracked face over time: blend shapes by their ARKit names and the turns of the head, and what is neutral in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from ...errors import MotionError
from ..timeline import Array


@dataclass(frozen=True)
class TrackedFace:
    """A recording: `times` in seconds `[N]`; `shapes` name → numbers 0..1 `[N]`; `head` `[N, 3]`; `notes` (see Poses).

    `head` are the extrinsic x, y, z Euler angles in radians: x turns down, y to the character's left, z tilts to the
    character's right. A blend shape that is not there counts as 0.
    """

    times: Array
    shapes: Mapping[str, Array]
    head: Array
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Calibration:
    """What a tracker says of the neutral face: `head` angles `[3]` in radians, and blend shapes where they count."""

    head: Array = field(default_factory=lambda: np.zeros(3))
    shapes: Mapping[str, float] = field(default_factory=dict)


def calibrate(face: TrackedFace, start: float = 0.0, end: float = 0.0, *, shapes: bool = False) -> Calibration:
    """The median of the frames from `start` to `end` seconds (at least one frame), as what neutral looks like.

    With `shapes` the blend shapes are calibrated too, not only the head. A blink among the frames makes no difference.
    """
    since = face.times - face.times[0]
    first = min(int(np.searchsorted(since, start)), len(face) - 1)
    chosen = slice(first, max(int(np.searchsorted(since, end, side="right")), first + 1))
    neutral = {name: float(np.median(values[chosen])) for name, values in face.shapes.items()} if shapes else {}
    return Calibration(np.median(face.head[chosen], axis=0), neutral)


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
