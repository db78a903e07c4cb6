"""Frames and seconds: frame k of a motion is at exactly k / fps seconds."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from .. import pose
from ..errors import MotionError
from ..pose import Poses

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]

MAX_FRAMES = 1_000_000
"""Over nine hours at 30 frames per second; more is a slip of the keyboard, not a motion."""
MAX_FPS = 1000.0


def check_fps(fps: float) -> float:
    """`fps` itself. Raises MotionError where it is not above 0 and at most 1000."""
    if not 0 < fps <= MAX_FPS:
        raise MotionError(f"fps is {fps:g}; it must be above 0 and at most {MAX_FPS:g}.")
    return float(fps)


def frame_times(count: int, fps: float) -> Array:
    """The times of the first `count` frames, in seconds, float64 `[count]`."""
    return np.arange(count, dtype=np.float64) / check_fps(fps)


def frame_count(seconds: float, fps: float) -> int:
    """How many frames `seconds` have at `fps`, at least 1.

    Raises MotionError for a length that is negative, not finite, or over MAX_FRAMES frames long.
    """
    if not (math.isfinite(seconds) and seconds >= 0):
        raise MotionError(f"The length is {seconds:g} seconds; it must be 0 or more.")
    if seconds * check_fps(fps) > MAX_FRAMES:
        raise MotionError(
            f"{seconds:g} seconds at {fps:g} fps are more than {MAX_FRAMES:,} frames. Give a shorter length."
        )
    return max(1, round(seconds * fps))


def to_poses(values: Array, fps: float, notes: tuple[str, ...] = ()) -> Poses:
    """Poses from numbers `[N, 45]` of any precision; what left its range is clamped to it."""
    return Poses(pose.limit(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))), check_fps(fps), notes)


def to_array(poses: Poses) -> Array:
    """The numbers of poses as a float64 array `[N, 45]` of its own."""
    return poses.values.detach().cpu().numpy().astype(np.float64)


def interpolate(poses: Poses, times: Array) -> Array:
    """Poses at any times in seconds `[T]`, float64 `[T, 45]`: linear between frames, constant beyond the ends."""
    values = to_array(poses)
    position = np.clip(np.asarray(times, dtype=np.float64) * poses.fps, 0, len(values) - 1)
    # A time that is a frame up to rounding is that frame, so that sampling at the same rate changes nothing.
    position = np.where(np.abs(position - np.round(position)) < 1e-6, np.round(position), position)
    first = np.minimum(position.astype(np.int64), max(len(values) - 2, 0))
    last = np.minimum(first + 1, len(values) - 1)
    result: Array = values[first] + (values[last] - values[first]) * (position - first)[:, None]
    return result


def make_even(times: Array, values: Array, fps: float | None = None) -> tuple[Array, float]:
    """Numbers `[N, C]` at uneven times in seconds `[N]` brought to an even rate, linear between them; and that rate.

    What does not come later than all before it is dropped. Without `fps` the mean rate of the times is taken. The
    first time becomes 0. Raises MotionError for a length or a rate that is out of bounds.
    """
    rising = np.concatenate([[True], times[1:] > np.maximum.accumulate(times)[:-1]])
    times, values = times[rising] - times[0], values[rising]
    if len(times) == 1:
        return values, check_fps(30.0 if fps is None else fps)
    rate = check_fps(min(round((len(times) - 1) / times[-1], 3), MAX_FPS) if fps is None else fps)
    moments = frame_times(frame_count(float(times[-1]) + 1 / rate, rate), rate)
    return np.stack([np.interp(moments, times, column) for column in values.T], axis=1), rate
