"""MediaPipe face-landmarker results as JSON, however programs wrap them, and as ComfyUI's nodes hand them on.

A file is a list of frames, an object with such a list, one frame, or one frame a line (JSON lines). A frame has blend
shapes, a facial transformation matrix and, where known, its time; all may lie deeper, as in `{"results": {…}}` or
`{"faces": [{…}]}`. The results of the Python and of the JavaScript task are understood, and what the published
program saves (`blendshape_params`, `xform_matrix`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from ...errors import MotionError
from .. import cancellation, reading, timeline
from ..timeline import Array
from .face import TrackedFace, euler_angles
from .frame_list import MICROSECONDS, MILLISECONDS, NANOSECONDS, FrameList

ASSUMED_FPS = 30.0
"""The rate of a recording without times: what webcams give."""

# Keys are compared without underscores and in small letters (`_plain`).
_SHAPE_KEYS = ("blendshapes", "faceblendshapes", "blendshapeparams")
_MATRIX_KEYS = (
    "matrix",
    "xformmatrix",
    "transformationmatrix",
    *(f"facialtransformation{ending}" for ending in ("matrix", "matrixes", "matrices")),
)
_LISTS = ("frames", "results", "data", "recording", "samples")
_TIMES: dict[str, float | None] = {
    **dict.fromkeys(("timestampms", "timems"), MILLISECONDS),
    **dict.fromkeys(("timestampus", "timeus"), MICROSECONDS),
    **dict.fromkeys(("timestampns", "timens"), NANOSECONDS),
    **dict.fromkeys(("time", "timestamp", "t", "seconds", "frame", "frameindex", "framenumber"), None),
}
"""Keys of a frame's time, and how many of its units a second has; None: found from the steps between frames."""
_DEEPEST, _MOST_VISITED = 5, 200


def parse(text: str, name: str, fps: float | None = None) -> TrackedFace:
    """The tracked face in results as JSON. Frames that cannot be read are left out and counted in its notes.

    `fps` is the rate where the file gives neither times nor a rate. Raises MotionError, naming the file `name`, where
    it is not JSON or no frame has a face.
    """
    frames = FrameList(name)
    entries, rate = _entries(text, name, frames)
    times: list[tuple[float | None, float | None]] = []
    for index, entry in entries:
        cancellation.check()
        where = f"{name}, frame {index}"
        try:
            frame, time = _frame(entry, where), _time(entry, where)
        except MotionError as error:
            frames.leave_out(str(error))
        else:
            times.append(time)
            frames.add(time[0], *frame)
    units = next((units for time, units in times if time is not None), None)
    return frames.face(timeline.check_fps(rate or fps or ASSUMED_FPS), units)


def from_face_landmarks(landmarks: object, fps: float) -> TrackedFace:
    """The face in what ComfyUI's socket FACE_LANDMARKS carries: an object with a list of faces for each frame.

    It is the largest one in the first frame that has any, and in every later frame the one nearest to it. The frames
    follow each other at `fps`. Raises MotionError where no frame has a face, and for anything else.
    """
    timeline.check_fps(fps)
    name = "face_landmarks"
    found = landmarks.get("frames") if isinstance(landmarks, Mapping) else None
    if not isinstance(found, list):
        raise MotionError(f'{name} must be an object with a list "frames", not {reading.shorten(landmarks)}.')
    frames = FrameList(name)
    before: Array | None = None
    for index, faces in enumerate(found):
        where = f"{name}, frame {index}"
        if not isinstance(faces, list | tuple):
            raise MotionError(f"{where} must be a list of faces, not {reading.shorten(faces)}.")
        face, before = _followed(faces, before, where)
        frames.add(index / fps, *((None, None) if face is None else _frame(face, where)[:2]), len(faces) > 1)
    if before is None:
        raise MotionError("No face was found in any of the pictures. A real, well-lit face that looks ahead is needed.")
    return frames.face(fps)


def _followed(faces: Sequence[Any], before: Array | None, where: str) -> tuple[Any, Array | None]:
    """The face to take among those of a frame, and its box; without one, none and the box before."""
    if not faces:
        return None, before
    boxes = [_box(face, where) for face in faces]
    if before is None:
        chosen = max(range(len(faces)), key=lambda i: float(np.prod(boxes[i][2:] - boxes[i][:2])))
    else:
        chosen = min(range(len(faces)), key=lambda i: float(np.abs(boxes[i] - before).sum()))
    return faces[chosen], boxes[chosen]


def _box(face: Any, where: str) -> Array:
    """The corners x, y, x, y of a face's box `[4]`; 0 where it has none."""
    try:
        box = np.asarray(face.get("bbox_xyxy", np.zeros(4)), dtype=np.float64)
    except (AttributeError, TypeError, ValueError) as error:
        raise MotionError(f"{where}: a face must be an object with blendshapes and bbox_xyxy.") from error
    if box.shape != (4,) or not np.isfinite(box).all():
        raise MotionError(f"{where}: bbox_xyxy must be four finite numbers.")
    return box


# --- frames in a file ----------------------------------------------------------------------------------------------


def _entries(text: str, name: str, frames: FrameList) -> tuple[Iterator[tuple[int, Any]], float | None]:
    """The frames of a file with their numbers, and the rate that it gives."""
    try:
        data = reading.parse_json(text, name)
    except MotionError as error:
        lines = _json_lines(text, name, frames)
        if not lines:
            raise error from None
        return iter(lines), None
    rate = None
    if isinstance(data, dict):
        rate = next((value for key, value in data.items() if _plain(key) in ("fps", "framerate")), None)
        rate = None if rate is None else reading.number(rate, f"{name}: fps")
        data = next((v for k, v in data.items() if _plain(k) in _LISTS and isinstance(v, list)), _numbered(data))
    if not isinstance(data, list):
        raise MotionError(f'{name} must be a list of frames, or an object with a list "frames".')
    return enumerate(data), rate


def _numbered(data: dict[str, Any]) -> list[Any]:
    """The frames of an object that has them by their numbers, or the object itself as the only frame."""
    return list(data.values()) if data and all(key.isdecimal() for key in data) else [data]


def _json_lines(text: str, name: str, frames: FrameList) -> list[tuple[int, Any]]:
    """The objects of a text with one on each line, with the numbers of their lines. Other lines are left out."""
    entries: list[tuple[int, Any]] = []
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                entries.append((number, json.loads(line)))
            except (ValueError, RecursionError) as error:
                problems.append(f"{name}, line {number} is not JSON: {error}.")
    entries = [entry for entry in entries if isinstance(entry[1], dict)]
    if entries:
        for problem in problems:
            frames.leave_out(problem)
    return entries


def _frame(entry: Any, where: str) -> tuple[dict[str, float] | None, Sequence[float] | None, bool]:
    """Blend shapes (None: no face), head (None: no matrix), and whether there are several faces."""
    if not isinstance(entry, dict):
        raise MotionError(f"{where} must be an object, not {reading.shorten(entry)}.")
    found, several = _find(entry, _SHAPE_KEYS)
    shapes, more = _shapes(found, where)
    head = _head(_find(entry, _MATRIX_KEYS)[0], where) if shapes else None
    return shapes or None, head, several or more


def _find(entry: dict[str, Any], keys: Sequence[str]) -> tuple[Any, bool]:
    """The value of the first of the keys, nearest to the top of a frame (None: none), and whether it is one of several.

    Of a list the first item counts: the first face.
    """
    level: list[tuple[Any, bool]] = [(entry, False)]
    for _ in range(_DEEPEST):
        for value, several in level:
            if isinstance(value, dict) and (found := _first(value, keys)) is not None:
                return found, several
        level = [below for value, several in level for below in _below(value, several)][:_MOST_VISITED]
    return None, False


def _below(value: Any, several: bool) -> Iterator[tuple[Any, bool]]:
    if isinstance(value, dict):
        yield from ((item, several) for item in value.values() if isinstance(item, dict | list))
    elif value and isinstance(value[0], dict | list):
        yield value[0], several or len(value) > 1


def _plain(key: str) -> str:
    return key.lower().replace("_", "")


def _first(entry: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((value for key, value in entry.items() if _plain(str(key)) in keys), None)


def _time(entry: dict[str, Any], where: str) -> tuple[float | None, float | None]:
    """The time of a frame and how many of its units a second has; None where it does not say."""
    within = (value for value in entry.values() if isinstance(value, dict))
    for key, value in (item for part in (entry, *within) for item in part.items()):
        if _plain(str(key)) in _TIMES and not isinstance(value, dict | list) and value is not None:
            return _moment(value, f"{where}: {key}"), _TIMES[_plain(str(key))]
    return None, None


def _moment(value: Any, what: str) -> float:
    """A time as a number: a JSON number, or a text that is one or a date and time in ISO 8601 (then in seconds)."""
    if not isinstance(value, str):
        return reading.number(value, what)
    # A date has a "-" behind its year; a number may begin with one.
    if "-" not in value[1:]:
        return reading.parse_number(value, what)
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise MotionError(f"{what} must be a number or a date and time, not {reading.shorten(value)}.") from error


def _shapes(value: Any, where: str) -> tuple[dict[str, float], bool]:
    """Blend shapes as {name: score}, as a list of {categoryName, score}, or as such a list within a list or object.

    And whether there are those of several faces.
    """
    several = False
    for _ in range(3):
        if isinstance(value, dict) and "categories" in value:
            value = value["categories"]
        elif isinstance(value, list) and value and isinstance(value[0], list | dict) and not _is_category(value[0]):
            several = len(value) > 1
            value = value[0]
    if value is None or value == []:
        return {}, False
    if isinstance(value, list):
        if not all(_is_category(item) for item in value):
            raise MotionError(f"{where}: blend shapes need categoryName and score, not {reading.shorten(value)}.")
        value = {str(item.get("categoryName", item.get("category_name"))): item.get("score") for item in value}
    if not isinstance(value, dict):
        raise MotionError(f"{where}: blend shapes must be names and numbers, not {reading.shorten(value)}.")
    return {k: min(max(reading.number(v, f"{where}: {k}"), 0.0), 1.0) for k, v in value.items()}, several


def _is_category(item: Any) -> bool:
    return isinstance(item, dict) and ("categoryName" in item or "category_name" in item)


# --- the head ------------------------------------------------------------------------------------------------------


def _head(value: Any, where: str) -> Sequence[float] | None:
    """The head's angles of a 4 × 4 (or 3 × 3) matrix: nested by rows, or flat as either task writes it; none: None."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    # A list of matrices, one for each face.
    if isinstance(value, list) and value and _is_matrix(value[0]):
        value = value[0]
    if isinstance(value, dict):
        value = value.get("data", value.get("packedData"))
    if value is None or value == []:
        return None
    matrix = _square(value, where)
    try:
        angles: list[float] = euler_angles(matrix[None])[0].tolist()
    except MotionError as error:
        raise MotionError(f"{where}: {error}") from error
    return angles


def _is_matrix(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and (len(value) in (9, 16) or isinstance(value[0], list))
    )


def _square(value: Any, where: str) -> Array:
    rows = value if isinstance(value, list) else []
    flat = [n for row in rows for n in (row if isinstance(row, list) else [row])]
    numbers = np.array([reading.number(n, f"{where}: matrix") for n in flat])
    nested = all(isinstance(row, list) and len(row) == len(rows) for row in rows)
    if len(numbers) not in (9, 16) or not (nested or len(rows) == len(numbers)):
        raise MotionError(f"{where}: the matrix must have 4 × 4 or 3 × 3 numbers, not {reading.shorten(value)}.")
    size = 3 if len(numbers) == 9 else 4
    matrix = numbers.reshape(size, size)
    # Flat ones are written column by column, except where the shift stands at the ends of the rows.
    by_columns = not nested and not (size == 4 and matrix[:3, 3].any())
    return matrix.T if by_columns else matrix
