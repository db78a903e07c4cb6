"""From a MikuMikuDance motion to poses: facial morphs by name, and turns of head, upper body and eyes.

A pose has no parameter for leaning forward or back, so `head_x` shows where the face looks: the pitch of the whole
chain, hips, upper body, neck and head. Who bows looks down, and who leans forward with the head held back looks ahead.
Turns and tilts have parameters of their own for the body, and those of the head come on top of them, as in the model:
`body_y` and `body_z` are the upper body's, `head_y` and `neck_z` those of neck and head relative to it.

An angle in degrees is divided by what counts as 1 (spec section 7) and limited softly (`soft_limit`), so that a dance
that turns further than a pose can does not stick at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from ... import pose
from ...errors import MotionError
from ...pose import Poses
from .. import cancellation, timeline
from ..easing import cubic_bezier
from ..timeline import Array
from . import vmd_morphs
from .face import euler_angles
from .vmd import FPS, BoneTrack, VmdMotion

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

BODY, HEAD, EYES = ("腰", "上半身", "上半身2"), ("首", "頭"), ("左目", "右目")
BOTH_EYES = "両目"
"""The bones that count, each chain from the inside out. The eyes follow 両目 and then turn by themselves."""
SOFT_LIMIT_START = 0.6

_DEGREES = {"head_x": 15.0, "head_y": 10.0, "neck_z": 15.0, "body_y": 10.0, "body_z": 15.0, "iris": 10.0}
_VISIBLE = 0.01
_MOST_NAMES = 8


def to_poses(motion: VmdMotion, fps: float = FPS, turn: float = 1.0) -> Poses:
    """The whole motion as poses at `fps`, with notes on what is left out; its last key is the last frame.

    `turn` multiplies the turns of head, body and eyes. Raises MotionError for an odd `turn`.
    """
    if not abs(turn) <= 100:
        raise MotionError(f"turn is {turn:g}; it must be from -100 to 100.")
    count = timeline.frame_count(motion.last_frame / FPS + 1 / timeline.check_fps(fps), fps)
    return timeline.to_poses(at(motion, timeline.frame_times(count, fps), turn), fps, notes(motion))


def at(motion: VmdMotion, times: Array, turn: float = 1.0) -> Array:
    """The pose at times in seconds `[T]`, float64 `[T, 45]`, in range; `turn` multiplies the turns."""
    frames = np.asarray(times, dtype=np.float64) * FPS
    result = np.zeros((len(frames), pose.COUNT))
    for name, (keys, weights) in motion.morphs.items():
        for index, amount in (vmd_morphs.parameters(name) or {}).items():
            result[:, index] += amount * np.interp(frames, keys, weights)
    for name, value in _turns(motion, frames, turn).items():
        result[:, pose.indices(name)[0]] = value
    return np.clip(result, [p.minimum for p in pose.PARAMETERS], [p.maximum for p in pose.PARAMETERS])


def soft_limit(x: Array) -> Array:
    """Any number brought into -1..1: the same up to k = SOFT_LIMIT_START, then ever flatter, rising everywhere.

    Beyond k it is k + (1 - k) · 2/π · atan(π/2 · (|x| - k) / (1 - k)), with the sign of x. Slope and curvature have no
    step at k.
    """
    k = SOFT_LIMIT_START
    beyond = np.maximum(np.abs(x) - k, 0.0) / (1 - k)
    inside = np.minimum(np.abs(x), k)
    return cast(Array, np.sign(x) * (inside + (1 - k) * 2 / np.pi * np.arctan(np.pi / 2 * beyond)))


# --- what is left out ----------------------------------------------------------------------------------------------


def notes(motion: VmdMotion) -> tuple[str, ...]:
    """What of the motion no pose can show: moving morphs and bones without a parameter, by name."""
    morphs = {
        name: used
        for name, (keys, weights) in motion.morphs.items()
        if vmd_morphs.parameters(name) is None and (used := _frames_used(keys, weights, motion.last_frame))
    }
    by_use = sorted(morphs, key=lambda name: -morphs[name])
    bones = [name for name, track in motion.bones.items() if track.moves and name not in _known_bones()]
    found = []
    if morphs:
        found.append(f"Facial morphs left out: {_listed([f'{name} ({morphs[name]} frames)' for name in by_use])}.")
    if bones:
        found.append(f"Bones left out (a pose turns head, upper body and eyes): {_listed(bones)}.")
    return tuple(found)


def _known_bones() -> set[str]:
    return {*BODY, *HEAD, *EYES, BOTH_EYES}


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _frames_used(keys: Array, weights: Array, last_frame: int) -> int:
    """In how many frames a morph shows, a segment between keys counting wholly where either of its ends shows."""
    shows = np.abs(weights) > _VISIBLE
    segments = np.append(shows[:-1] | shows[1:], shows[-1])
    lengths = np.diff(keys, append=last_frame + 1.0)
    before = keys[0] if shows[0] else 0.0
    return int(lengths[segments].sum() + before)


# --- turns ---------------------------------------------------------------------------------------------------------


def _turns(motion: VmdMotion, frames: Array, turn: float) -> dict[str, Array]:
    body, head = _chain(motion, BODY, frames), _chain(motion, HEAD, frames)
    facing = (body * head).apply([0.0, 0.0, 1.0])
    pitch = np.degrees(-np.arcsin(np.clip(facing[:, 1], -1, 1)))
    (_, body_y, body_z), (_, head_y, head_z) = _angles(body), _angles(head)
    eyes_x, eyes_y, _ = _gaze(motion, frames)
    turns = {
        "head_x": -pitch / _DEGREES["head_x"],
        "head_y": -head_y / _DEGREES["head_y"],
        "neck_z": head_z / _DEGREES["neck_z"],
        "body_y": -body_y / _DEGREES["body_y"],
        "body_z": body_z / _DEGREES["body_z"],
        "iris_rotation_x": -eyes_x / _DEGREES["iris"],
        "iris_rotation_y": -eyes_y / _DEGREES["iris"],
    }
    return {name: soft_limit(turn * value) for name, value in turns.items()}


def _angles(rotation: Rotation) -> Array:
    """The extrinsic Euler angles about x right, y up, z toward the viewer in degrees `[3, T]`."""
    return cast(Array, np.degrees(euler_angles(rotation.as_matrix())).T)


def _gaze(motion: VmdMotion, frames: Array) -> Array:
    """The mean of both eyes' angles in degrees `[3, T]`; an eye without a bone looks as the other does."""
    together = _chain(motion, (BOTH_EYES,), frames)
    eyes = [_chain(motion, (eye,), frames) for eye in EYES if eye in motion.bones]
    angles = [_angles(together * eye) for eye in eyes] or [_angles(together)]
    return cast(Array, np.mean(angles, axis=0))


def _chain(motion: VmdMotion, bones: tuple[str, ...], frames: Array) -> Rotation:
    """The rotation of bones one on the other, about x right, y up, z toward the viewer, for each frame."""
    # Not at the top: it takes longer to import than the rest of the pack.
    from scipy.spatial.transform import Rotation

    whole = Rotation.identity(len(frames))
    for bone in bones:
        cancellation.check()
        if bone in motion.bones:
            # The other hand: z points the other way, so turns about x and y do too.
            whole = whole * Rotation.from_quat(rotation_at(motion.bones[bone], frames) * [-1, -1, 1, 1])
    return whole


def rotation_at(track: BoneTrack, frames: Array) -> Array:
    """The rotation at frames `[T]`, unit quaternions x y z w `[T, 4]`: slerp by the Bézier curve of the key ahead."""
    from scipy.spatial.transform import Rotation

    keys = track.frames
    if len(keys) == 1:
        return np.repeat(track.rotations, len(frames), axis=0)
    segment = np.clip(np.searchsorted(keys, frames, side="right") - 1, 0, len(keys) - 2)
    part = np.clip((frames - keys[segment]) / (keys[segment + 1] - keys[segment]), 0.0, 1.0)
    x1, y1, x2, y2 = track.curves[segment + 1].T
    eased = cubic_bezier(part, x1, y1, x2, y2)
    first, last = Rotation.from_quat(track.rotations[segment]), Rotation.from_quat(track.rotations[segment + 1])
    # A rotation vector is never longer than half a turn, so this is the shorter way round.
    way = Rotation.from_rotvec(eased[:, None] * (first.inv() * last).as_rotvec())
    return cast(Array, (first * way).as_quat())
