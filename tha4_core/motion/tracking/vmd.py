"""Motions of MikuMikuDance (.vmd) as they stand in the file: keys of bones and facial morphs.

The file: 30 bytes that begin with "Vocaloid Motion Data", the model's name (20 bytes; 10 in the old version), a count
and that many bone keys of 111 bytes (name 15, frame, position 3 floats, rotation x y z w, interpolation 64 bytes), a
count and that many morph keys of 23 bytes (name 15, frame, weight); cameras and lights follow and are not read.
Numbers are little-endian, names Shift-JIS, frames a thirtieth of a second. Its space is left-handed with y up, and the
model faces -z.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MotionError
from .. import reading, timeline
from ..timeline import Array

FPS = 30.0
_BONE = np.dtype(
    [("name", "S15"), ("frame", "<u4"), ("position", "<f4", 3), ("rotation", "<f4", 4), ("curve", "u1", 64)]
)
_MORPH = np.dtype([("name", "S15"), ("frame", "<u4"), ("weight", "<f4")])
_MAGIC, _OLD, _NEW = b"Vocaloid Motion Data", b"Vocaloid Motion Data file", b"Vocaloid Motion Data 0002"

# Of the interpolation's 64 bytes, the rotation's x1, y1, x2, y2. The first is taken from the second row, which repeats
# the first one shifted: newer programs keep a flag in its place there.
_CURVE = [18, 7, 11, 15]

_SAME_ROTATION = 1e-4
_MAX_NAMES = 1000
"""A model has some hundreds of bones and morphs. More names than this are no motion, and would take long to convert."""


@dataclass(frozen=True)
class BoneTrack:
    """`frames` rising `[K]`, unit quaternions x y z w `[K, 4]`, and Bézier curves x1 y1 x2 y2 in 0..1 `[K, 4]`.

    The curve of a key leads to it from the key before. `moves` says whether any key differs from the first, in place
    or rotation.
    """

    frames: Array
    rotations: Array
    curves: Array
    moves: bool


@dataclass(frozen=True)
class VmdMotion:
    """A motion as read: bones and morphs by name (see `normal_name`); a morph is frames `[K]` and weights `[K]`."""

    model: str
    bones: Mapping[str, BoneTrack]
    morphs: Mapping[str, tuple[Array, Array]]
    last_frame: int


def is_vmd(content: bytes) -> bool:
    """Whether a file begins as a .vmd does."""
    return content.startswith(_MAGIC)


def load(path: Path | str) -> VmdMotion:
    """The motion in a .vmd file. Raises MotionError, naming the file, where it cannot be read."""
    return parse(reading.read_bytes(path), Path(path).name)


def parse(content: bytes, name: str = "The motion") -> VmdMotion:
    """The motion in the content of a .vmd file. Raises MotionError, naming it `name`, where it is none."""
    if not is_vmd(content):
        raise MotionError(f"{name} is not a .vmd motion: it does not begin with {_MAGIC.decode()}.")
    if not content.startswith((_OLD, _NEW)):
        raise MotionError(f"{name} is of an unknown version, {reading.shorten(content[:30])}.")
    start = 30 + (10 if content.startswith(_OLD) else 20)
    bones, position = _table(content, start, _BONE, f"{name}: bones")
    # A file without morphs may end here.
    morphs, _ = _table(content, position, _MORPH, f"{name}: morphs") if position < len(content) else (bones[:0], 0)
    for table in (bones, morphs):
        if len(np.unique(table["name"])) > _MAX_NAMES:
            raise MotionError(f"{name} has more than {_MAX_NAMES:,} different names of bones or morphs.")
    frames = np.concatenate([bones["frame"], morphs["frame"]])
    if not len(frames):
        raise MotionError(f"{name} has no keys of bones or morphs; it may be a motion of the camera alone.")
    last = int(frames.max())
    if last > timeline.MAX_FRAMES:
        raise MotionError(f"{name} has a key at frame {last:,}; at most {timeline.MAX_FRAMES:,} are read.")
    return VmdMotion(
        _text(content[30:start]),
        {k: _bone_track(rows, f"{name}, bone {k}") for k, rows in _by_name(bones).items()},
        {k: _morph_track(rows, f"{name}, morph {k}") for k, rows in _by_name(morphs).items()},
        last,
    )


def normal_name(name: str) -> str:
    """A name as it is looked up: kana full width, digits and letters narrow, without spaces around it."""
    return unicodedata.normalize("NFKC", name).strip()


# --- reading -------------------------------------------------------------------------------------------------------


def _table(content: bytes, position: int, row: np.dtype[Any], what: str) -> tuple[NDArray[Any], int]:
    if position + 4 > len(content):
        raise MotionError(f"{what}: the file ends before their number; it is truncated.")
    count = int.from_bytes(content[position : position + 4], "little")
    start, end = position + 4, position + 4 + count * row.itemsize
    if end > len(content):
        raise MotionError(f"{what}: {count:,} keys are announced, but the file ends before the last; it is truncated.")
    return np.frombuffer(content, row, count, start), end


def _text(raw: bytes) -> str:
    # A name of more than 15 bytes may be cut within a character.
    return raw.split(b"\0", 1)[0].decode("cp932", "replace").rstrip("\ufffd")


def _by_name(table: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The rows of each name, by frame; of several at one frame the last."""
    names, which = np.unique(table["name"], return_inverse=True)
    rows: dict[str, list[NDArray[Any]]] = {}
    order = np.argsort(which, kind="stable")
    pieces = np.split(table[order], np.cumsum(np.bincount(which, minlength=len(names)))[:-1]) if len(names) else []
    for raw, piece in zip(names, pieces, strict=True):
        rows.setdefault(normal_name(_text(bytes(raw))), []).append(piece)
    return {name: _by_frame(np.concatenate(pieces)) for name, pieces in rows.items()}


def _by_frame(rows: NDArray[Any]) -> NDArray[Any]:
    rows = rows[np.argsort(rows["frame"], kind="stable")]
    result: NDArray[Any] = rows[np.append(np.diff(rows["frame"].astype(np.int64)) > 0, True)]
    return result


def _bone_track(rows: NDArray[Any], where: str) -> BoneTrack:
    rotations = rows["rotation"].astype(np.float64)
    if not np.isfinite(rotations).all():
        raise MotionError(f"{where}: a rotation is not a finite number.")
    lengths = np.linalg.norm(rotations, axis=1, keepdims=True)
    unit = np.where(lengths > 1e-6, rotations / np.maximum(lengths, 1e-6), [0.0, 0.0, 0.0, 1.0])
    curves = np.clip(rows["curve"][:, _CURVE].astype(np.float64) / 127, 0, 1)
    moves = bool((rows["position"] != rows["position"][0]).any() or (np.abs(unit - unit[0]) > _SAME_ROTATION).any())
    return BoneTrack(rows["frame"].astype(np.float64), unit, curves, moves)


def _morph_track(rows: NDArray[Any], where: str) -> tuple[Array, Array]:
    weights = rows["weight"].astype(np.float64)
    if not np.isfinite(weights).all():
        raise MotionError(f"{where}: a weight is not a finite number.")
    return rows["frame"].astype(np.float64), weights
