"""Arithmetic on poses over time. Every function takes Poses and gives new ones; every result is in range.

Where two motions meet, the second is brought to the first one's frame rate, and the shorter one keeps its last pose to
the end of the longer, so that a single pose goes with a motion of any length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from .. import pose
from ..errors import MotionError
from ..pose import Poses
from . import groups, reading, timeline


def resample(poses: Poses, fps: float) -> Poses:
    """The same motion at another frame rate, linear between frames; it lasts as long as before."""
    if fps == poses.fps:
        return poses
    count = timeline.frame_count(len(poses) / poses.fps, fps)
    return timeline.to_poses(timeline.interpolate(poses, timeline.frame_times(count, fps)), fps)


def retime(poses: Poses, speed: float) -> Poses:
    """The motion `speed` times as fast at the same frame rate; the first and the last pose stay the ends."""
    if not 0.01 <= speed <= 100:
        raise MotionError(f"The speed is {speed:g}; it must be from 0.01 to 100.")
    count = max(1, round((len(poses) - 1) / speed) + 1)
    timeline.frame_count(count / poses.fps, poses.fps)
    times = np.linspace(0.0, (len(poses) - 1) / poses.fps, count)
    return timeline.to_poses(timeline.interpolate(poses, times), poses.fps)


def append(first: Poses, *others: Poses) -> Poses:
    """The motions one after the other."""
    return Poses(torch.cat([first.values, *(_like(first, other) for other in others)]), first.fps)


def crossfade(first: Poses, second: Poses, seconds: float) -> Poses:
    """The first motion, then the second, overlapping by `seconds` in which one eases into the other.

    The overlap is at most as long as the shorter motion. Raises MotionError where it is below 0.
    """
    if not seconds >= 0:
        raise MotionError(f"The cross-fade lasts {seconds:g} seconds; it must be 0 or more.")
    a, b = first.values, _like(first, second)
    overlap = min(round(min(seconds, 1e6) * first.fps), len(a), len(b))
    x = torch.arange(1, overlap + 1, device=a.device)[:, None] / (overlap + 1)
    weight = x * x * (3 - 2 * x)
    mixed = _lerp(a[len(a) - overlap :], b[:overlap], weight)
    return Poses(torch.cat([a[: len(a) - overlap], mixed, b[overlap:]]), first.fps)


def blend(a: Poses, b: Poses, amount: float) -> Poses:
    """The motion `amount` 0..1 of the way from a to b."""
    if not 0 <= amount <= 1:
        raise MotionError(f"The amount is {amount:g}; it must be from 0 to 1.")
    first, second = _pair(a, b)
    return Poses(pose.limit(_lerp(first, second, amount)), a.fps)


def add(a: Poses, b: Poses, amount: float = 1.0) -> Poses:
    """a + amount · b, kept in range."""
    _check_amount(amount)
    first, second = _pair(a, b)
    return Poses(pose.limit(first + amount * second), a.fps)


def scale(poses: Poses, amount: float) -> Poses:
    """Every number times `amount`, kept in range."""
    _check_amount(amount)
    return Poses(pose.limit(poses.values * amount), poses.fps)


def mask(poses: Poses, names: Sequence[str]) -> Poses:
    """The motion of some groups alone (brows, eyes, mouth, gaze, head, body); everything else is 0."""
    values = torch.zeros_like(poses.values)
    kept = list(groups.group_indices(tuple(names)))
    values[:, kept] = poses.values[:, kept]
    return Poses(values, poses.fps)


def replace(base: Poses, top: Poses, names: Sequence[str]) -> Poses:
    """The base with some groups (as in `mask`) taken from the top."""
    taken = list(groups.group_indices(tuple(names)))
    first, second = _pair(base, top)
    values = first.clone()
    values[:, taken] = second[:, taken]
    return Poses(values, base.fps)


def mirror(poses: Poses) -> Poses:
    """The motion in a mirror: left and right swapped, gaze and turns to the other side."""
    values = poses.values[:, list(groups.MIRRORED)].clone()
    values[:, list(groups.SIDEWAYS)] *= -1
    return Poses(values, poses.fps)


def reverse(poses: Poses) -> Poses:
    """The motion backwards."""
    return Poses(poses.values.flip(0), poses.fps)


def limit(poses: Poses, ranges: Mapping[str, tuple[float, float]]) -> Poses:
    """Named parameters (two-sided ones also without their side) clamped to (lowest, highest)."""
    values = poses.values.clone()
    for name, (low, high) in ranges.items():
        if not low <= high:
            raise MotionError(f"{name}: the lowest value {low:g} is above the highest, {high:g}.")
        columns = list(pose.indices(name))
        values[:, columns] = values[:, columns].clamp(low, high)
    return Poses(pose.limit(values), poses.fps)


def parse_limits(text: str) -> dict[str, tuple[float, float]]:
    """Ranges for `limit` from lines of PARAMETER LOWEST HIGHEST. Raises MotionError, naming the line."""
    ranges: dict[str, tuple[float, float]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) != 3:
            raise MotionError(f"Line {number} of the limits, {reading.shorten(line)}, is not PARAMETER LOWEST HIGHEST.")
        low, high = (reading.parse_number(word, f"line {number} of the limits") for word in words[1:])
        ranges[words[0]] = (low, high)
    return ranges


def _check_amount(amount: float) -> None:
    if not -100 <= amount <= 100:
        raise MotionError(f"The amount is {amount:g}; it must be from -100 to 100.")


def _lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    return a + (b - a) * t


def _like(first: Poses, other: Poses) -> Tensor:
    return resample(other, first.fps).values.to(first.values.device)


def _pair(a: Poses, b: Poses) -> tuple[Tensor, Tensor]:
    first, second = a.values, _like(a, b)
    count = max(len(first), len(second))
    return _lengthen(first, count), _lengthen(second, count)


def _lengthen(values: Tensor, count: int) -> Tensor:
    return torch.cat([values, values[-1:].expand(count - len(values), -1)])
