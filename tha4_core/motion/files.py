"""Poses as files: .json to read and edit, .csv for spreadsheets, .npz for programs. Each round trip is exact.

- `.json`: `{"format": "tha4-poses", "version": 1, "fps": 30.0, "poses": [{"head_y": 0.5, …}, …]}`, one pose a line,
  without the parameters that are 0. A two-sided parameter may be written without its side.
- `.csv`: a comment line with the fps, a line of names (`time` and the 45), a line for each pose.
- `.npz`: arrays `values` float32 `[N, 45]`, `fps` and `names`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import pose
from ..atomic_write import remedy, temporary_file
from ..errors import MotionError, PoseError
from ..pose import Poses
from . import cancellation, reading, timeline
from .timeline import Array

SUFFIXES = (".json", ".csv", ".npz")
FORMAT = "tha4-poses"
_FPS_COMMENT = re.compile(r"#.*?fps\s*=\s*([^\s,;]+)")


def save(poses: Poses, path: Path | str) -> None:
    """Write poses to a .json, .csv or .npz file, under a temporary name first. Raises MotionError for other names."""
    path = Path(path)
    writers: dict[str, Callable[[Poses], bytes]] = {
        ".json": lambda p: to_json(p).encode(),
        ".csv": lambda p: to_csv(p).encode(),
        ".npz": _to_npz,
    }
    write_bytes(path, writers[_suffix(path)](poses))


def load(path: Path | str) -> Poses:
    """The poses in a .json, .csv or .npz file. Raises MotionError or PoseError where they cannot be read."""
    path = Path(path)
    readers: dict[str, Callable[[bytes, str], Poses]] = {
        ".json": lambda content, name: from_json(reading.decode(content, name), name),
        ".csv": lambda content, name: from_csv(reading.decode(content, name), name),
        ".npz": from_npz,
    }
    return readers[_suffix(path)](reading.read_bytes(path), path.name)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside `path`, then rename it. Raises MotionError where that fails."""
    try:
        with temporary_file(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise MotionError(
            f"{path} cannot be written: {error.strerror or error}. {remedy(error)}, or choose another folder."
        ) from error


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MotionError(f"{path.name}: poses are kept in {', '.join(SUFFIXES)} files.")
    return suffix


# --- .json ---------------------------------------------------------------------------------------------------------


def to_json(poses: Poses) -> str:
    """Poses as the text of a .json file."""
    # numpy writes a float32 in the fewest digits that give it back.
    lines = [
        ", ".join(f'"{pose.NAMES[i]}": {row[i]!s}' for i in np.flatnonzero(row)) for row in poses.values.cpu().numpy()
    ]
    body = ",\n".join(f"  {{{line}}}" for line in lines)
    return f'{{"format": "{FORMAT}", "version": 1, "fps": {float(poses.fps)!r}, "poses": [\n{body}\n]}}\n'


def is_json(text: str) -> bool:
    """Whether a text says that it is a file of poses as `to_json` makes them."""
    return text.lstrip()[:1] == "{" and f'"{FORMAT}"' in text


def from_json(text: str, name: str = "The text") -> Poses:
    """The poses in a text such as `to_json` makes. Raises MotionError, naming the file `name` and the pose."""
    data = reading.parse_json(text, name)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise MotionError(f'{name} is not a file of poses: it must be an object with "format": "{FORMAT}".')
    if data.get("version") != 1:
        raise MotionError(f"{name} is of version {reading.shorten(data.get('version'))}; this pack reads 1.")
    entries = data.get("poses")
    if not isinstance(entries, list):
        raise MotionError(f'{name}: "poses" must be a list.')
    values = np.zeros((_check_count(len(entries), name), pose.COUNT))
    for row, entry in enumerate(entries):
        cancellation.check()
        _fill(values[row], entry, f"{name}, pose {row}")
    return _poses(values, reading.number(data.get("fps"), f"{name}: fps"), name)


def _fill(row: Array, entry: Any, where: str) -> None:
    if not isinstance(entry, dict):
        raise MotionError(f"{where} must be an object of names and numbers, not {reading.shorten(entry)}.")
    for parameter, value in entry.items():
        try:
            row[_INDEX.get(parameter) or list(pose.indices(parameter))] = reading.number(value, f"{where}: {parameter}")
        except PoseError as error:
            raise MotionError(f"{where}: {error}") from error


_INDEX = {name: [index] for index, name in enumerate(pose.NAMES)}


# --- .csv ----------------------------------------------------------------------------------------------------------


def to_csv(poses: Poses) -> str:
    """Poses as the text of a .csv file."""
    lines = [f"# fps = {float(poses.fps)!r}", ",".join(("time", *pose.NAMES))]
    times = timeline.frame_times(len(poses), poses.fps)
    for time, row in zip(times, poses.values.cpu().numpy(), strict=True):
        lines.append(",".join((f"{time:.6f}", *map(str, row))))
    return "\n".join(lines) + "\n"


def is_csv(text: str) -> bool:
    """Whether a text begins as one that `to_csv` makes: with a comment that gives the fps, or names of parameters."""
    begin = text[:10_000].lstrip()
    lines = [line for line in begin.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    titles = {cell.strip() for cell in lines[0].split(",")} if lines else set()
    bare = {name.removesuffix("_left").removesuffix("_right") for name in pose.NAMES}
    return bool(_FPS_COMMENT.match(begin) or titles & {"time", *bare, *pose.NAMES})


def from_csv(text: str, name: str = "The text") -> Poses:
    """The poses in a text such as `to_csv` makes.

    Columns may be missing (0) and in any order, two-sided ones without their side. Without a comment that gives the
    fps, the column `time` (seconds) must be there, and its frames are then brought to their mean rate.
    Raises MotionError, naming the file `name`, the line and the column.
    """
    given = _FPS_COMMENT.match(text.lstrip())
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    try:
        table = list(csv.reader(lines))
    except csv.Error as error:
        raise MotionError(f"{name} is not a table of comma-separated values: {error}.") from error
    if len(table) < 2:
        raise MotionError(f"{name} needs a line of parameter names and at least one line of numbers.")
    _check_count(len(table) - 1, name)
    head = [cell.strip() for cell in table[0]]
    numbers = _numbers(table[1:], head, name)
    values = np.zeros((len(numbers), pose.COUNT))
    for column, title in enumerate(head):
        if title not in ("time", "frame"):
            values[:, _columns(title, name)] = numbers[:, [column]]
    if given:
        return _poses(values, reading.parse_number(given.group(1), f"{name}: fps"), name)
    return _timed(values, numbers[:, head.index("time")] if "time" in head else None, name)


def _numbers(rows: list[list[str]], head: list[str], name: str) -> Array:
    for number, row in enumerate(rows, start=1):
        if len(row) != len(head):
            raise MotionError(f"{name}, pose {number - 1}: {len(row)} numbers for {len(head)} names.")
    values = np.zeros((len(rows), len(head)))
    for i, row in enumerate(rows):
        cancellation.check()
        values[i] = [
            reading.parse_number(cell, f"{name}, pose {i}: {title}") for cell, title in zip(row, head, strict=True)
        ]
    return values


def _columns(title: str, name: str) -> list[int]:
    try:
        return list(pose.indices(title))
    except PoseError as error:
        raise MotionError(f"{name}: {error}") from error


def _timed(values: Array, times: Array | None, name: str) -> Poses:
    if times is None or len(times) < 2:
        raise MotionError(f'{name} does not say its frame rate: begin it with a line "# fps = 30".')
    even, rate = timeline.make_even(times, values)
    return _poses(even, rate, name)


# --- .npz ----------------------------------------------------------------------------------------------------------


def _to_npz(poses: Poses) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, values=poses.values.cpu().numpy(), fps=np.float64(poses.fps), names=np.array(pose.NAMES)
    )
    return buffer.getvalue()


def is_npz(content: bytes) -> bool:
    """Whether a file begins as an .npz does."""
    return content.startswith(b"PK")


def from_npz(content: bytes, name: str = "The file") -> Poses:
    """The poses in the content of an .npz file. Raises MotionError or PoseError, naming the file `name`."""
    try:
        arrays = _read_npz(content, name)
    except MotionError:
        raise
    # An archive can be broken in more ways than its reader lists: zip, zlib, struct and header errors of many types.
    except Exception as error:
        raise MotionError(f"{name} is not an .npz file of poses: {error}.") from error
    values, fps, names = arrays["values"], arrays["fps"], arrays["names"]
    if names.tolist() != list(pose.NAMES):
        raise MotionError(f"{name}: names must be the {pose.COUNT} parameters in their order.")
    if values.dtype.kind != "f" or fps.dtype.kind not in "fiu" or fps.shape != ():
        raise MotionError(f"{name}: values must be an array of floats and fps one number.")
    _check_count(len(values) if values.ndim == 2 else 1, name)
    return _poses(values, float(fps), name)


def _read_npz(content: bytes, name: str) -> dict[str, Any]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        missing = {"values", "fps", "names"} - set(archive.files)
        if missing:
            raise MotionError(f"{name} lacks {', '.join(sorted(missing))}; a file of poses has values, fps and names.")
        # A small archive may claim to unpack to anything.
        size = sum(entry.file_size for entry in archive.zip.infolist())
        if size > reading.MAX_BYTES:
            raise MotionError(f"{name} unpacks to {size:,} bytes; at most {reading.MAX_BYTES:,} are read.")
        return {key: archive[key] for key in ("values", "fps", "names")}


def _check_count(count: int, name: str) -> int:
    if not 1 <= count <= timeline.MAX_FRAMES:
        raise MotionError(f"{name} has {count:,} poses; it must have from 1 to {timeline.MAX_FRAMES:,}.")
    return count


def _poses(values: Any, fps: float, name: str) -> Poses:
    try:
        return Poses(torch.from_numpy(np.array(values, dtype=np.float32)), timeline.check_fps(fps))
    except (PoseError, MotionError) as error:
        raise type(error)(f"{name}: {error}") from error
