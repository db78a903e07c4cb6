"""Recordings of tracked faces: iFacialMocap logs, Live Link Face CSV, and MediaPipe face-landmarker JSON.

- iFacialMocap: text, one packet a line as the app sends it (version 2 `name&value|…|=head#rx,ry,rz,px,py,pz|…`, version
  1 `name-value|…`; values 0..100, degrees), each with or without its time in seconds and a space or tab before it.
- Live Link Face: the CSV that the app exports: `Timecode,BlendShapeCount,EyeBlinkLeft,…,HeadYaw,HeadPitch,HeadRoll,…`.
- MediaPipe: a list of frames (or an object with `fps` and `frames`), each with blend shapes, a facial transformation
  matrix and, where known, its time. The result of the Python and of the JavaScript task, as JSON, is understood.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import MotionError
from .. import reading, timeline
from ..timeline import Array
from .tracked import TrackedFace, euler_angles

SUFFIXES = (".txt", ".log", ".csv", ".json")
ASSUMED_FPS = 60.0
"""The rate of a recording that has no times: what the phone apps send at."""

_SHAPE = re.compile(r"([A-Za-z]+(?:_[LR])?)[&-](-?[0-9]+(?:\.[0-9]+)?)")
_STAMP = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)[\s,;]+(?=[A-Za-z=])")
_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,4}(?:\.\d{1,9})?)")
_CAMERA_RATES = (24, 25, 30, 48, 50, 60, 120)
_MAX_SHAPES = 500


@dataclass
class _Frames:
    """Frames as they are read, one after the other; shapes that a frame does not have are 0 in it."""

    times: list[float] = field(default_factory=list)
    shapes: list[Mapping[str, float]] = field(default_factory=list)
    heads: list[Sequence[float]] = field(default_factory=list)

    def add(self, time: float, shapes: Mapping[str, float], head: Sequence[float]) -> None:
        if len(self.times) >= timeline.MAX_FRAMES:
            raise MotionError(f"A recording may have at most {timeline.MAX_FRAMES:,} frames.")
        self.times.append(time)
        self.shapes.append(shapes)
        self.heads.append(head)

    def face(self, name: str) -> TrackedFace:
        if not self.times:
            raise MotionError(f"{name} has no tracked face in it.")
        known = sorted({shape for frame in self.shapes for shape in frame})
        if len(known) > _MAX_SHAPES:
            raise MotionError(f"{name} has {len(known)} different blend shapes; a face has about 52.")
        shapes = {shape: np.array([frame.get(shape, 0.0) for frame in self.shapes]) for shape in known}
        return TrackedFace(np.array(self.times), shapes, np.array(self.heads, dtype=np.float64).reshape(-1, 3))


def load(path: Path | str, fps: float | None = None) -> TrackedFace:
    """The tracked face in a file. `fps` is its rate where it has no times (by default 60).

    Raises MotionError, naming the file and the line or frame, where it cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise MotionError(f"{path.name}: tracked faces are read from {', '.join(SUFFIXES)} files.")
    return parse(reading.read_text(path), path.name, fps)


def parse(text: str, name: str = "The recording", fps: float | None = None) -> TrackedFace:
    """The tracked face in the text of a recording of any of the kinds, told apart by how it begins."""
    rate = timeline.check_fps(ASSUMED_FPS if fps is None else fps)
    start = text.lstrip()[:200]
    if start[:1] in ("{", "["):
        return parse_mediapipe(text, name, rate)
    if "timecode" in start.lower():
        return parse_live_link(text, name, fps)
    if "|" in text[:20_000]:
        return parse_ifacialmocap(text, name, rate)
    raise MotionError(f"{name} is none of: an iFacialMocap log, a Live Link Face CSV, a MediaPipe JSON.")


# --- iFacialMocap --------------------------------------------------------------------------------------------------


def parse_ifacialmocap(text: str, name: str, fps: float = ASSUMED_FPS) -> TrackedFace:
    """The tracked face in an iFacialMocap log; packet k is at k / fps where the lines have no times."""
    frames = _Frames()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        stamp = _STAMP.match(line)
        time = float(stamp.group(1)) if stamp else len(frames.times) / fps
        if not time <= timeline.MAX_FRAMES:
            raise MotionError(f"{name}, line {number}: the time must be seconds, not {reading.shorten(line)}.")
        frames.add(time, *parse_packet(line[stamp.end() :] if stamp else line, f"{name}, line {number}"))
    return frames.face(name)


def parse_packet(packet: str, where: str = "The packet") -> tuple[dict[str, float], tuple[float, float, float]]:
    """The blend shapes (0..1, ARKit names) and the head's angles (radians) of one iFacialMocap packet, version 1 or 2.

    Raises MotionError, naming `where`, for what is not one.
    """
    shapes: dict[str, float] = {}
    head: tuple[float, float, float] | None = None
    for part in packet.strip().split("|"):
        title, hash_sign, rest = part.partition("#")
        if hash_sign:
            if title.lstrip("=") == "head":
                head = _head(rest, where)
        elif match := _SHAPE.fullmatch(part.strip()):
            shapes[_long_name(match.group(1))] = float(np.clip(float(match.group(2)) / 100, 0.0, 1.0))
        elif part.strip() and part.strip() != "=":
            raise MotionError(f"{where}: {reading.shorten(part)} is not a blend shape with its value.")
    if head is None or not shapes:
        raise MotionError(
            f"{where}: an iFacialMocap packet has blend shapes and =head#; this is {reading.shorten(packet)}."
        )
    return shapes, head


def _head(text: str, where: str) -> tuple[float, float, float]:
    numbers = [reading.parse_number(part, f"{where}: head") for part in text.split(",")]
    if len(numbers) < 3:
        raise MotionError(f"{where}: head needs three angles, not {reading.shorten(text)}.")
    x, y, z = np.radians(numbers[:3]).tolist()
    return x, y, z


def _long_name(name: str) -> str:
    return {"_L": name[:-2] + "Left", "_R": name[:-2] + "Right"}.get(name[-2:], name)


# --- Live Link Face ------------------------------------------------------------------------------------------------


def parse_live_link(text: str, name: str, fps: float | None = None) -> TrackedFace:
    """The tracked face in a Live Link Face CSV.

    Its time code counts frames within the second: at `fps`, or at the lowest usual camera rate that has so many. The
    angles are radians and taken with ARKit's signs, as recordings show of the eyes' (pitch down, yaw to the
    character's left); of the head's roll there was no recording to see.
    """
    try:
        table = [row for row in csv.reader(text.splitlines()) if row]
    except csv.Error as error:
        raise MotionError(f"{name} is not a table of comma-separated values: {error}.") from error
    head = [cell.strip() for cell in table[0]] if table else []
    if len(table) < 2 or head[0].lower() != "timecode":
        raise MotionError(f"{name} must begin with a line of names, Timecode first, and have frames below it.")
    codes = [_timecode(row[0], f"{name}, line {i}") for i, row in enumerate(table[1:], start=2)]
    rate = _camera_rate(codes) if fps is None else timeline.check_fps(fps)
    frames = _Frames()
    for number, (row, (seconds, frame)) in enumerate(zip(table[1:], codes, strict=True), start=2):
        if len(row) != len(head):
            raise MotionError(f"{name}, line {number}: {len(row)} values for {len(head)} names.")
        where = f"{name}, line {number}"
        values = {
            k: reading.parse_number(v, f"{where}: {k}") for k, v in zip(head[1:], row[1:], strict=True) if v.strip()
        }
        turns = (values.get("HeadPitch", 0.0), values.get("HeadYaw", 0.0), values.get("HeadRoll", 0.0))
        frames.add(seconds + frame / rate, _arkit(values), turns)
    return frames.face(name)


def _arkit(values: Mapping[str, float]) -> dict[str, float]:
    extra = ("blendshapecount", "head", "lefteye", "righteye")
    return {k[:1].lower() + k[1:]: min(max(v, 0.0), 1.0) for k, v in values.items() if not k.lower().startswith(extra)}


def _timecode(text: str, where: str) -> tuple[float, float]:
    match = _TIMECODE.fullmatch(text.strip())
    if match is None:
        raise MotionError(f"{where}: the time code must be HH:MM:SS:FRAME, not {reading.shorten(text)}.")
    hours, minutes, seconds, frame = match.groups()
    return int(hours) * 3600.0 + int(minutes) * 60.0 + int(seconds), float(frame)


def _camera_rate(codes: Sequence[tuple[float, float]]) -> float:
    most = max(frame for _, frame in codes)
    # Within one second of recording the highest frame number says nothing.
    if codes[-1][0] - codes[0][0] < 2 and most < ASSUMED_FPS:
        return ASSUMED_FPS
    return float(next((rate for rate in _CAMERA_RATES if most < rate), most + 1))


# --- MediaPipe -----------------------------------------------------------------------------------------------------

_SHAPE_KEYS = ("blendshapes", "blend_shapes", "blendShapes", "face_blendshapes", "faceBlendshapes")
_MATRIX_KEYS = ("matrix", "facial_transformation_matrix", "facial_transformation_matrixes",
                "facialTransformationMatrix", "facialTransformationMatrixes")  # fmt: skip
_SECOND_KEYS, _MILLISECOND_KEYS = ("time", "timestamp", "seconds"), ("timestamp_ms", "timestampMs", "time_ms")


def parse_mediapipe(text: str, name: str, fps: float = ASSUMED_FPS) -> TrackedFace:
    """The tracked face in MediaPipe face-landmarker results as JSON; frames in which no face was found are left out."""
    data = reading.parse_json(text, name)
    if isinstance(data, dict):
        fps = timeline.check_fps(reading.number(data.get("fps", fps), f"{name}: fps"))
        data = data.get("frames", [data])
    if not isinstance(data, list):
        raise MotionError(f'{name} must be a list of frames, or an object with a list "frames".')
    frames = _Frames()
    for index, entry in enumerate(data):
        where = f"{name}, frame {index}"
        if not isinstance(entry, dict):
            raise MotionError(f"{where} must be an object, not {reading.shorten(entry)}.")
        shapes = _mediapipe_shapes(_first(entry, _SHAPE_KEYS), where)
        if shapes:
            frames.add(_time(entry, index / fps, where), shapes, _mediapipe_head(_first(entry, _MATRIX_KEYS), where))
    return frames.face(name)


def _first(entry: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((entry[key] for key in keys if key in entry), None)


def _time(entry: Mapping[str, Any], otherwise: float, where: str) -> float:
    for keys, unit in ((_MILLISECOND_KEYS, 1000.0), (_SECOND_KEYS, 1.0)):
        value = _first(entry, keys)
        if value is not None:
            return reading.number(value, f"{where}: time") / unit
    return otherwise


def _mediapipe_shapes(value: Any, where: str) -> dict[str, float]:
    """Blend shapes as {name: score}, as a list of {categoryName, score}, or as such a list within a list or object."""
    for _ in range(3):
        if isinstance(value, dict) and "categories" in value:
            value = value["categories"]
        elif isinstance(value, list) and value and isinstance(value[0], list | dict) and not _is_category(value[0]):
            value = value[0]
    if value is None or value == []:
        return {}
    if isinstance(value, list):
        if not all(_is_category(item) for item in value):
            raise MotionError(f"{where}: blend shapes need categoryName and score, not {reading.shorten(value)}.")
        value = {str(item.get("categoryName", item.get("category_name"))): item.get("score") for item in value}
    if not isinstance(value, dict):
        raise MotionError(f"{where}: blend shapes must be names and numbers, not {reading.shorten(value)}.")
    return {k: min(max(reading.number(v, f"{where}: {k}"), 0.0), 1.0) for k, v in value.items()}


def _is_category(item: Any) -> bool:
    return isinstance(item, dict) and ("categoryName" in item or "category_name" in item)


def _mediapipe_head(value: Any, where: str) -> Sequence[float]:
    """The head's angles of a 4 × 4 (or 3 × 3) matrix: nested by rows, or flat as either task writes it; none: 0."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("data", value.get("packedData"))
    if value is None or value == []:
        return (0.0, 0.0, 0.0)
    matrix = _square(value, where)
    try:
        angles: list[float] = euler_angles(matrix[None])[0].tolist()
    except MotionError as error:
        raise MotionError(f"{where}: {error}") from error
    return angles


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
