"""What the readers of recordings share: frames as they are found, what is left out, and the times in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from ...errors import MotionError
from .. import timeline
from ..timeline import Array
from .face import TrackedFace

SECONDS, MILLISECONDS, MICROSECONDS, NANOSECONDS = 1.0, 1e3, 1e6, 1e9
"""Units of time by how many of them a second has."""

_NAMES = {MILLISECONDS: "milliseconds", MICROSECONDS: "microseconds", NANOSECONDS: "nanoseconds"}
_MAX_SHAPES = 500
_Item = TypeVar("_Item")
_STRAIGHT = (0.0, 0.0, 0.0)


class FrameList:
    """The frames of a recording as its reader finds them. `name` is the file's, `what` what it calls a frame."""

    def __init__(self, name: str, what: str = "frame") -> None:
        self._name, self._what = name, what
        self._times: list[float | None] = []
        self._shapes: list[Mapping[str, float] | None] = []
        self._heads: list[Sequence[float] | None] = []
        self._problems: list[str] = []
        self._with_several = 0

    def add(
        self,
        time: float | None,
        shapes: Mapping[str, float] | None,
        head: Sequence[float] | None,
        several: bool = False,
    ) -> None:
        """One frame: its time (None: it has none), blend shapes 0..1 (None: no face was seen) and head in radians.

        `several` says that more faces were seen in it than the one that is given.
        """
        if len(self._times) >= timeline.MAX_FRAMES:
            raise MotionError(f"{self._name}: a recording may have at most {timeline.MAX_FRAMES:,} frames.")
        self._times.append(time)
        self._shapes.append(shapes)
        self._heads.append(head if shapes is not None else None)
        self._with_several += several

    def leave_out(self, problem: str) -> None:
        """One frame that cannot be read, and why."""
        self._problems.append(problem)

    def leave_out_headless(self) -> None:
        """Leave out the frames without a head where others have one: they were cut before its place at their end."""
        if any(head is not None for head in self._heads):
            whole = [i for i, head in enumerate(self._heads) if head is not None]
            self._problems += ["a packet ends before its head."] * (len(self._heads) - len(whole))
            self._times = [self._times[i] for i in whole]
            self._shapes = [self._shapes[i] for i in whole]
            self._heads = [self._heads[i] for i in whole]

    def face(self, fps: float, units: float | None = SECONDS) -> TrackedFace:
        """The face in all the frames, with notes.

        A frame without a face or a head holds that of the frame before. `units` is how many units of time a second
        has; None: found from the steps between frames. `fps` is the rate of a recording without times, or whose times
        are frame numbers. Raises MotionError where no frame has a face.
        """
        found = [shapes for shapes in self._shapes if shapes is not None]
        if not found:
            raise MotionError(self._problems[0] if self._problems else f"{self._name} has no tracked face in it.")
        known = sorted({shape for frame in found for shape in frame})
        if len(known) > _MAX_SHAPES:
            raise MotionError(f"{self._name} has {len(known)} different blend shapes; a face has about 52.")
        held = _hold(self._shapes)
        shapes = {shape: np.array([frame.get(shape, 0.0) for frame in held]) for shape in known}
        heads = _hold(self._heads) if any(h is not None for h in self._heads) else [_STRAIGHT] * len(held)
        head = np.array(heads, dtype=np.float64).reshape(-1, 3)
        times, about_times = _in_seconds(self._times, fps, units)
        return TrackedFace(times, shapes, head, (*self._notes(bool(head.any())), *about_times))

    def _notes(self, has_head: bool) -> list[str]:
        lost = sum(shapes is None for shapes in self._shapes)
        headless = sum(head is None for head in self._heads) - lost
        left_out = len(self._problems)
        notes = []
        if left_out:
            notes.append(f"{_count(left_out, self._what)} left out; the first: {self._problems[0]}")
        if lost:
            notes.append(f"No face in {_number(lost, 'frame')}: the face before them is held.")
        if self._with_several:
            notes.append(f"Several faces in {_number(self._with_several, 'frame')}: one of them is followed.")
        if not has_head:
            notes.append("This recording holds no head (its turns are missing or all 0): the head stays still.")
        elif headless:
            notes.append(f"No head in {_number(headless, 'frame')}: the head before them is held.")
        return notes


def _hold(items: Sequence[_Item | None]) -> list[_Item]:
    """Each item, or the last one before it that is not None; the first that is not None stands before itself too."""
    last = next(item for item in items if item is not None)
    held = []
    for item in items:
        last = last if item is None else item
        held.append(last)
    return held


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _count(count: int, what: str) -> str:
    return f"{_number(count, what)} {'was' if count == 1 else 'were'}"


# --- times ---------------------------------------------------------------------------------------------------------


def _in_seconds(times: Sequence[float | None], fps: float, units: float | None) -> tuple[Array, list[str]]:
    """The times in seconds `[N]`, and notes on how they were read."""
    given = np.array([i for i, time in enumerate(times) if time is not None])
    raw = np.array([time for time in times if time is not None], dtype=np.float64)
    steps = np.diff(raw)
    if not (steps > 0).any():
        # A single frame needs no time.
        notes = [f"This recording has no times: {fps:g} frames a second are assumed."] if len(times) > 1 else []
        return timeline.frame_times(len(times), fps), notes
    notes = []
    if units is None:
        units = guess_units(raw)
        if units is None:
            notes.append(f"The times of this recording are frame numbers: {fps:g} frames a second are assumed.")
        elif units in _NAMES:
            notes.append(f"The times of this recording are read as {_NAMES[units]}.")
    seconds = np.interp(np.arange(len(times)), given, (raw - raw[0]) / (units or fps))
    late = int((seconds[1:] <= np.maximum.accumulate(seconds)[:-1]).sum())
    if late:
        notes.append(f"{_count(late, 'frame')} left out: no later than those before by their times.")
    return seconds, notes


def guess_units(times: Array) -> float | None:
    """How many units of time a second has, found from the usual step between frames; None: these are frame numbers.

    Trackers give from 0.5 to 250 frames a second, so the steps of the four units do not overlap: 0.004 to 2 seconds, 4
    to 2,000 milliseconds and so on. Whole numbers that rise by 1, 2 or 3 are frame numbers.
    """
    steps = np.diff(times)
    step = float(np.median(steps[steps > 0]))
    if 1 <= step < 4 and (times == np.round(times)).all():
        return None
    for units in (SECONDS, MILLISECONDS, MICROSECONDS):
        if step < 2 * units:
            return units
    return NANOSECONDS
