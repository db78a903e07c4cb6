"""Live Link Face: the CSV that the app exports.

Its columns are `Timecode,BlendShapeCount,EyeBlinkLeft,…,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,…`. The angles are
radians and taken with ARKit's signs, as recordings show of the eyes' (pitch down, yaw to the character's left); of the
head's roll there was no recording to see.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import MotionError
from .. import cancellation, reading, timeline
from .face import TrackedFace
from .frame_list import FrameList

ASSUMED_FPS = 60.0
"""The rate of the time code's frames in a recording too short to show it."""

_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,4}(?:\.\d{1,9})?)")
_CAMERA_RATES = (24, 25, 30, 48, 50, 60, 120)
_DAY = 24 * 3600.0
_COUNT = "BlendShapeCount"
_HEAD = ("HeadPitch", "HeadYaw", "HeadRoll")

Row = tuple[float, float, Mapping[str, float]]
"""Whole seconds of a time code, its frame within the second, and the numbers of a line by their names."""


def parse(text: str, name: str, fps: float | None = None) -> TrackedFace:
    """The tracked face in a CSV. Lines that are cut or spoilt are left out and counted in its notes.

    The time code counts frames within the second: at `fps`, or at the lowest usual camera rate that has so many.
    Raises MotionError, naming the file `name`, where no line can be read.
    """
    try:
        table = [(i, row) for i, row in enumerate(csv.reader(text.splitlines()), start=1) if row]
    except csv.Error as error:
        raise MotionError(f"{name} is not a table of comma-separated values: {error}.") from error
    titles = [cell.strip() for cell in table[0][1]] if table else []
    if len(table) < 2 or titles[0].lower() != "timecode":
        raise MotionError(f"{name} must begin with a line of names, Timecode first, and have frames below it.")
    frames = FrameList(name, "line")
    rows: list[Row] = []
    for number, row in table[1:]:
        cancellation.check()
        try:
            rows.append(_row(row, titles, f"{name}, line {number}"))
        except MotionError as error:
            frames.leave_out(str(error))
    if rows:
        _add(rows, frames, fps)
    return frames.face(ASSUMED_FPS)


def _row(row: Sequence[str], titles: Sequence[str], where: str) -> Row:
    seconds, frame = _timecode(row[0], where)
    # A line without a face may end after its time code and the number 0.
    ends_early = len(row) < len(titles) and all(cell.strip() in ("", "0") for cell in row[1:])
    if len(row) != len(titles) and not ends_early:
        raise MotionError(f"{where}: {len(row)} values for {len(titles)} names.")
    cells = dict(zip(titles[1:], row[1:], strict=False))
    return seconds, frame, {k: reading.parse_number(v, f"{where}: {k}") for k, v in cells.items() if v.strip()}


def _add(rows: Sequence[Row], frames: FrameList, fps: float | None) -> None:
    rate = _camera_rate(rows) if fps is None else timeline.check_fps(fps)
    # After midnight the time code begins again.
    seconds = np.unwrap([row[0] for row in rows], period=_DAY)
    for time, (_, frame, values) in zip(seconds, rows, strict=True):
        shapes = _arkit(values)
        head = tuple(values.get(angle, 0.0) for angle in _HEAD) if any(angle in values for angle in _HEAD) else None
        seen = bool(shapes) and values.get(_COUNT) != 0
        frames.add(float(time) + frame / rate, shapes if seen else None, head)


def _arkit(values: Mapping[str, float]) -> dict[str, float]:
    extra = (_COUNT.lower(), "head", "lefteye", "righteye")
    return {k[:1].lower() + k[1:]: min(max(v, 0.0), 1.0) for k, v in values.items() if not k.lower().startswith(extra)}


def _timecode(text: str, where: str) -> tuple[float, float]:
    match = _TIMECODE.fullmatch(text.strip())
    if match is None:
        raise MotionError(f"{where}: the time code must be HH:MM:SS:FRAME, not {reading.shorten(text)}.")
    hours, minutes, seconds, frame = match.groups()
    return int(hours) * 3600.0 + int(minutes) * 60.0 + int(seconds), float(frame)


def _camera_rate(rows: Sequence[Row]) -> float:
    most = max(frame for _, frame, _ in rows)
    # Within one second of recording the highest frame number says nothing.
    if abs(rows[-1][0] - rows[0][0]) < 2 and most < ASSUMED_FPS:
        return ASSUMED_FPS
    return float(next((rate for rate in _CAMERA_RATES if most < rate), most + 1))
