"""Key frames: one track of keys for each parameter that moves, read at any time.

A track goes from each key to the next by the easing of the key that it arrives at. With the easing `spline` it follows
a PCHIP curve through the track's keys, which is smooth and never overshoots them (Fritsch and Butland 1984). Before a
track's first key and after its last it keeps still; in a loop it goes from its last key on to its first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .. import pose
from ..errors import MotionError
from ..pose import Poses
from . import cancellation, timeline
from .easing import SPLINE, check_name, ease
from .timeline import Array

DEFAULT_EASING = "ease-in-out"


@dataclass(frozen=True)
class Key:
    """A value at a time in seconds, and the easing by which it is reached from the key before."""

    time: float
    value: float
    easing: str = DEFAULT_EASING


@dataclass(frozen=True)
class Keyframes:
    """A motion: parameter index → its keys, times strictly rising; `length` in seconds.

    A parameter without keys is 0. Where `loop` is set the motion repeats every `length` seconds without a seam.
    Of a script, `line_times` has the time in seconds that each line is for, by its number from 1; of a line that waits
    (`hold`), when that is over.
    Raises MotionError for keys that are out of order, not finite, before 0 or (in a loop) after the length.
    """

    tracks: Mapping[int, tuple[Key, ...]]
    length: float
    loop: bool = False
    line_times: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.length) and self.length >= 0):
            raise MotionError(f"The length is {self.length:g} seconds; it must be 0 or more.")
        if self.loop and self.length == 0:
            raise MotionError("A loop needs a length above 0 seconds.")
        for index, keys in self.tracks.items():
            _check_track(index, keys, self.length if self.loop else math.inf)


def _check_track(index: int, keys: Sequence[Key], end: float) -> None:
    if not 0 <= index < pose.COUNT:
        raise MotionError(f"There is no parameter number {index}; there are {pose.COUNT}.")
    name = pose.NAMES[index]
    for text in {key.easing for key in keys}:
        check_name(text)
    for key in keys:
        if not (math.isfinite(key.time) and math.isfinite(key.value) and key.time >= 0):
            raise MotionError(f"{name} has a key with time {key.time} and value {key.value}; both must be finite.")
        if key.time > end:
            raise MotionError(
                f"{name} has a key at {key.time:g} s, after the loop's end at {end:g} s. Give a longer length."
            )
    if any(a.time >= b.time for a, b in itertools.pairwise(keys)):
        raise MotionError(f"The keys of {name} must be in order of time, one at each time.")
    if len(keys) > 1 and keys[-1].time - keys[0].time == end and keys[-1].value != keys[0].value:
        raise MotionError(
            f"{name} ends the loop at {keys[-1].value:g} but starts it at {keys[0].value:g}, with no time between. "
            f"Give a longer length, or end on the pose it starts with."
        )


def through(poses: Poses, times: Sequence[float], easing: str = SPLINE, length: float = 0.0) -> Keyframes:
    """A loopless motion through complete key poses, pose i at `times[i]` seconds; it lasts at least to the last."""
    if len(times) != len(poses):
        raise MotionError(f"There are {len(poses)} key poses and {len(times)} times; give one time for each pose.")
    values = timeline.to_array(poses)
    tracks = {
        i: tuple(Key(float(t), float(v), easing) for t, v in zip(times, values[:, i], strict=True))
        for i in range(pose.COUNT)
    }
    return Keyframes(tracks, max(length, float(times[-1])))


def at(motion: Keyframes, times: Array | Sequence[float]) -> Array:
    """The motion at times in seconds `[T]`, float64 `[T, 45]`; an overshooting easing may leave a number's range."""
    moments = np.asarray(times, dtype=np.float64)
    period = motion.length if motion.loop else None
    result = np.zeros((len(moments), pose.COUNT))
    for index, keys in motion.tracks.items():
        cancellation.check()
        if keys:
            result[:, index] = _track_at(keys, moments, period)
    return result


def sample(motion: Keyframes, fps: float, count: int | None = None) -> Poses:
    """The motion as poses at `fps`, in range; `count` frames, or as many as its length has."""
    frames = timeline.frame_count(motion.length, fps) if count is None else count
    return timeline.to_poses(at(motion, timeline.frame_times(frames, fps)), fps)


def _track_at(keys: Sequence[Key], moments: Array, period: float | None) -> Array:
    if period is not None:
        moments = _wrap(moments, keys[0].time, period)
        keys = _unroll(keys, period)
    times, values = np.array([k.time for k in keys]), np.array([k.value for k in keys])
    if len(keys) == 1:
        return np.full(len(moments), values[0])
    segment = np.clip(np.searchsorted(times, moments, side="right") - 1, 0, len(keys) - 2)
    named = {text: check_name(text) for text in {k.easing for k in keys}}
    names = np.array([named[k.easing] for k in keys[1:]])
    start, end = values[segment], values[segment + 1]
    span = (times[1:] - times[:-1])[segment]
    fraction = np.clip((moments - times[segment]) / span, 0.0, 1.0)
    result = np.empty(len(moments))
    for name in np.unique(names[segment]):
        chosen = names[segment] == name
        if name == SPLINE:
            slopes = pchip_slopes(times, values)
            a, b = slopes[segment] * span, slopes[segment + 1] * span
            result[chosen] = _hermite(fraction, start, end, a, b)[chosen]
        else:
            result[chosen] = (start + (end - start) * ease(str(name), fraction))[chosen]
    return result


def _wrap(moments: Array, start: float, period: float) -> Array:
    result: Array = start + np.mod(moments - start, period)
    return result


def _unroll(keys: Sequence[Key], period: float) -> list[Key]:
    """The keys of one turn with two of the turns before and after, which is as far as a spline's slopes look."""
    if len(keys) > 1 and keys[-1].time - keys[0].time >= period:
        # The last key is the first one come round again, and says how it is reached.
        keys = [replace(keys[0], easing=keys[-1].easing), *keys[1:-1]]
    turns = [Key(k.time + turn * period, k.value, k.easing) for turn in (-2, -1, 0, 1, 2) for k in keys]
    first = 2 * len(keys)
    return turns[first - 2 : first + len(keys) + 3]


def pchip_slopes(times: Array, values: Array) -> Array:
    """The slopes `[K]` of the monotone cubic through K >= 2 keys: 0 at a peak, a weighted harmonic mean between."""
    h, d = np.diff(times), np.diff(values) / np.diff(times)
    if len(d) == 1:
        return np.array([d[0], d[0]])
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    same = d[:-1] * d[1:] > 0
    safe = np.where(same, d[:-1], 1.0), np.where(same, d[1:], 1.0)
    inner = np.where(same, (w1 + w2) / (w1 / safe[0] + w2 / safe[1]), 0.0)
    return np.array([_end_slope(h[0], h[1], d[0], d[1]), *inner, _end_slope(h[-1], h[-2], d[-1], d[-2])])


def _end_slope(h0: float, h1: float, d0: float, d1: float) -> float:
    slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
    if slope * d0 <= 0:
        return 0.0
    return 3 * d0 if d0 * d1 <= 0 and abs(slope) > 3 * abs(d0) else slope


def _hermite(s: Array, start: Array, end: Array, slope_start: Array, slope_end: Array) -> Array:
    """The cubic with these ends and slopes, written so that equal ends with slopes 0 give exactly that value."""
    blend = s**2 * (3 - 2 * s)
    bend = s * (1 - s) ** 2 * slope_start - s**2 * (1 - s) * slope_end
    result: Array = start + (end - start) * blend + bend
    return result
