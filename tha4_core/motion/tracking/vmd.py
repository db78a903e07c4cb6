"""Motions of MikuMikuDance (.vmd): facial morphs by their usual Japanese names, and turns of head, neck and upper body.

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

from ... import pose
from ...errors import MotionError
from ...pose import Poses
from .. import reading, timeline
from ..easing import cubic_bezier
from ..timeline import Array
from .tracked import euler_angles

FPS = 30.0
_BONE = np.dtype(
    [("name", "S15"), ("frame", "<u4"), ("position", "<f4", 3), ("rotation", "<f4", 4), ("curve", "u1", 64)]
)
_MORPH = np.dtype([("name", "S15"), ("frame", "<u4"), ("weight", "<f4")])
_MAGIC, _OLD, _NEW = b"Vocaloid Motion Data", b"Vocaloid Motion Data file", b"Vocaloid Motion Data 0002"

# Of the interpolation's 64 bytes, the rotation's x1, y1, x2, y2. The first is taken from the second row, which repeats
# the first one shifted: newer programs keep a flag in its place there.
_CURVE = [18, 7, 11, 15]

HEAD, BODY, EYES = ("首", "頭"), ("上半身", "上半身2"), ("両目",)
"""The bones that count, each chain from the inside out."""
_DEGREES = {"head_x": 15.0, "head_y": 10.0, "neck_z": 15.0, "body_y": 10.0, "body_z": 15.0, "iris": 10.0}

MORPHS: dict[str, dict[str, float]] = {
    "あ": {"mouth_aaa": 1.0},
    "あ2": {"mouth_aaa": 0.8},
    "い": {"mouth_iii": 1.0},
    "う": {"mouth_uuu": 1.0},
    "え": {"mouth_eee": 1.0},
    "えー": {"mouth_eee": 1.0},
    "お": {"mouth_ooo": 1.0},
    "ワ": {"mouth_aaa": 0.6, "mouth_raised_corner": 0.6},
    "▲": {"mouth_delta": 1.0},
    "∧": {"mouth_lowered_corner": 1.0},
    "ω": {"mouth_raised_corner": 0.6},
    "□": {"mouth_eee": 0.8},
    "むっ": {"mouth_lowered_corner": 0.6},
    "にやり": {"mouth_raised_corner": 1.0},
    "にやり2": {"mouth_smirk": 1.0},
    "にっこり": {"mouth_raised_corner": 1.0},
    "口角上げ": {"mouth_raised_corner": 1.0},
    "口角下げ": {"mouth_lowered_corner": 1.0},
    "口横広げ": {"mouth_iii": 0.5},
    "まばたき": {"eye_wink": 1.0},
    "笑い": {"eye_happy_wink": 1.0},
    "ウィンク": {"eye_happy_wink_left": 1.0},
    "ウィンク右": {"eye_happy_wink_right": 1.0},
    "ウィンク2": {"eye_wink_left": 1.0},
    "ウィンク2右": {"eye_wink_right": 1.0},
    "はぅ": {"eye_wink": 1.0},
    "なごみ": {"eye_relaxed": 1.0},
    "びっくり": {"eye_surprised": 1.0},
    "じと目": {"eye_unimpressed": 1.0},
    "下まぶた上げ": {"eye_raised_lower_eyelid": 1.0},
    "瞳小": {"iris_small": 1.0},
    "困る": {"eyebrow_troubled": 1.0},
    "怒り": {"eyebrow_angry": 1.0},
    "真面目": {"eyebrow_serious": 1.0},
    "キリッ": {"eyebrow_serious": 0.6},
    "上": {"eyebrow_raised": 1.0},
    "下": {"eyebrow_lowered": 1.0},
    "にこり": {"eyebrow_happy": 1.0},
}
"""Morph name (full width, digits narrow) → parameters. A two-sided one also goes by its name with 左 or 右 after it."""


@dataclass(frozen=True)
class BoneTrack:
    """`frames` rising `[K]`, unit quaternions x y z w `[K, 4]`, and Bézier curves x1 y1 x2 y2 in 0..1 `[K, 4]`.

    The curve of a key leads to it from the key before.
    """

    frames: Array
    rotations: Array
    curves: Array


@dataclass(frozen=True)
class VmdMotion:
    """A motion as read: bones and morphs by name (see `normal_name`); a morph is frames `[K]` and weights `[K]`."""

    model: str
    bones: Mapping[str, BoneTrack]
    morphs: Mapping[str, tuple[Array, Array]]
    last_frame: int


def load(path: Path | str) -> VmdMotion:
    """The motion in a .vmd file. Raises MotionError, naming the file, where it cannot be read."""
    return parse(reading.read_bytes(path), Path(path).name)


def parse(content: bytes, name: str = "The motion") -> VmdMotion:
    """The motion in the content of a .vmd file. Raises MotionError, naming it `name`, where it is none."""
    if not content.startswith(_MAGIC):
        raise MotionError(f"{name} is not a .vmd motion: it does not begin with {_MAGIC.decode()}.")
    if not content.startswith((_OLD, _NEW)):
        raise MotionError(f"{name} is of an unknown version, {reading.shorten(content[:30])}.")
    start = 30 + (10 if content.startswith(_OLD) else 20)
    bones, position = _table(content, start, _BONE, f"{name}: bones")
    # A file without morphs may end here.
    morphs, _ = _table(content, position, _MORPH, f"{name}: morphs") if position < len(content) else (bones[:0], 0)
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


def at(motion: VmdMotion, times: Array, turn: float = 1.0) -> Array:
    """The pose at times in seconds `[T]`, float64 `[T, 45]`, in range; `turn` multiplies the turns of head and body."""
    frames = np.asarray(times, dtype=np.float64) * FPS
    result = np.zeros((len(frames), pose.COUNT))
    for name, (keys, weights) in motion.morphs.items():
        for index, amount in _parameters(name).items():
            result[:, index] += amount * np.interp(frames, keys, weights)
    for name, value in _turns(motion, frames, turn).items():
        result[:, pose.indices(name)[0]] = value
    return np.clip(result, [p.minimum for p in pose.PARAMETERS], [p.maximum for p in pose.PARAMETERS])


def to_poses(motion: VmdMotion, fps: float = FPS, turn: float = 1.0) -> Poses:
    """The whole motion as poses at `fps`; its last key is the last frame. Raises MotionError for an odd `turn`."""
    if not abs(turn) <= 100:
        raise MotionError(f"turn is {turn:g}; it must be from -100 to 100.")
    count = timeline.frame_count(motion.last_frame / FPS + 1 / timeline.check_fps(fps), fps)
    return timeline.to_poses(at(motion, timeline.frame_times(count, fps), turn), fps)


def known(motion: VmdMotion) -> list[str]:
    """The names of the morphs and bones in the motion that move one of the 45 parameters."""
    bones = [bone for bone in (*HEAD, *BODY, *EYES) if bone in motion.bones]
    return [*(morph for morph in motion.morphs if _parameters(morph)), *bones]


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
    return raw.split(b"\0", 1)[0].decode("cp932", "replace")


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
    return BoneTrack(rows["frame"].astype(np.float64), unit, curves)


def _morph_track(rows: NDArray[Any], where: str) -> tuple[Array, Array]:
    weights = rows["weight"].astype(np.float64)
    if not np.isfinite(weights).all():
        raise MotionError(f"{where}: a weight is not a finite number.")
    return rows["frame"].astype(np.float64), weights


# --- from MikuMikuDance's parts to ours ----------------------------------------------------------------------------


def _parameters(morph: str) -> dict[int, float]:
    if morph in MORPHS:
        return {i: amount for name, amount in MORPHS[morph].items() for i in pose.indices(name)}
    side = {"左": "_left", "右": "_right"}.get(morph[-1:])
    if side is None or morph[:-1] not in MORPHS:
        return {}
    return {
        i: amount
        for name, amount in MORPHS[morph[:-1]].items()
        for i in pose.indices(name)
        if pose.NAMES[i] == name + side
    }


def _turns(motion: VmdMotion, frames: Array, turn: float) -> dict[str, Array]:
    """Head, body and gaze by the rule for tracked faces (spec section 7)."""
    (head_x, head_y, head_z), (_, body_y, body_z), (eyes_x, eyes_y, _) = (
        turn * np.degrees(_chain(motion, chain, frames)).T for chain in (HEAD, BODY, EYES)
    )
    return {
        "head_x": -head_x / _DEGREES["head_x"],
        "head_y": -head_y / _DEGREES["head_y"],
        "neck_z": head_z / _DEGREES["neck_z"],
        "body_y": -body_y / _DEGREES["body_y"],
        "body_z": body_z / _DEGREES["body_z"],
        "iris_rotation_x": -eyes_x / _DEGREES["iris"],
        "iris_rotation_y": -eyes_y / _DEGREES["iris"],
    }


def _chain(motion: VmdMotion, bones: tuple[str, ...], frames: Array) -> Array:
    """The Euler angles `[T, 3]` of bones one on the other, about x right, y up, z toward the viewer."""
    whole = np.broadcast_to(np.eye(3), (len(frames), 3, 3))
    for bone in bones:
        if bone in motion.bones:
            x, y, z, w = rotation_at(motion.bones[bone], frames).T
            # The other hand: z points the other way, so turns about x and y do too.
            whole = whole @ _matrices(-x, -y, z, w)
    return euler_angles(whole)


def rotation_at(track: BoneTrack, frames: Array) -> Array:
    """The rotation at frames `[T]`, unit quaternions x y z w `[T, 4]`: slerp by the Bézier curve of the key ahead."""
    keys = track.frames
    if len(keys) == 1:
        return np.repeat(track.rotations, len(frames), axis=0)
    segment = np.clip(np.searchsorted(keys, frames, side="right") - 1, 0, len(keys) - 2)
    part = np.clip((frames - keys[segment]) / (keys[segment + 1] - keys[segment]), 0.0, 1.0)
    x1, y1, x2, y2 = track.curves[segment + 1].T
    return _slerp(track.rotations[segment], track.rotations[segment + 1], cubic_bezier(part, x1, y1, x2, y2))


def _slerp(a: Array, b: Array, t: Array) -> Array:
    """From a to b `[T, 4]` the shorter way round the sphere; t `[T]` in 0..1."""
    cosine = (a * b).sum(axis=1)
    b, cosine = np.where(cosine < 0, -1.0, 1.0)[:, None] * b, np.abs(np.clip(cosine, -1, 1))
    angle = np.arccos(cosine)
    near = angle < 1e-4
    sine = np.where(near, 1.0, np.sin(angle))
    first = np.where(near, 1 - t, np.sin((1 - t) * angle) / sine)
    last = np.where(near, t, np.sin(t * angle) / sine)
    result: Array = first[:, None] * a + last[:, None] * b
    return result


def _matrices(x: Array, y: Array, z: Array, w: Array) -> Array:
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    result: Array = np.moveaxis(np.array(rows), 2, 0)
    return result
