"""The 45 numbers that pose a character: their names, order, ranges and groups (spec section 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .errors import PoseError


@dataclass(frozen=True)
class Parameter:
    """One of the 45 numbers.

    `group` is the part of the character that it moves: eyebrow, eye, iris, mouth, head, body or breathing. Left and
    right are the character's own.
    """

    index: int
    name: str
    group: str
    meaning: str
    minimum: float
    maximum: float = 1.0


# (name without side, group, two-sided, minimum, meaning)
_TABLE: tuple[tuple[str, str, bool, float, str], ...] = (
    ("eyebrow_troubled", "eyebrow", True, 0.0, "Inner end up, as when worried"),
    ("eyebrow_angry", "eyebrow", True, 0.0, "Inner end down, as when angry"),
    ("eyebrow_lowered", "eyebrow", True, 0.0, "The whole brow lower"),
    ("eyebrow_raised", "eyebrow", True, 0.0, "The whole brow higher"),
    ("eyebrow_happy", "eyebrow", True, 0.0, "A high, round arc, as when glad"),
    ("eyebrow_serious", "eyebrow", True, 0.0, "Flat and low, as when concentrating"),
    ("eye_wink", "eye", True, 0.0, "The lids close; at 1 the eye is shut"),
    ("eye_happy_wink", "eye", True, 0.0, "The eye shuts upwards, as in a laugh"),
    ("eye_surprised", "eye", True, 0.0, "The eye opens wide"),
    ("eye_relaxed", "eye", True, 0.0, "The upper lid sinks softly"),
    ("eye_unimpressed", "eye", True, 0.0, "The upper lid lies flat over the iris"),
    ("eye_raised_lower_eyelid", "eye", True, 0.0, "The lower lid rises"),
    ("iris_small", "iris", True, 0.0, "The iris shrinks"),
    ("mouth_aaa", "mouth", False, 0.0, 'The mouth says "ah"'),
    ("mouth_iii", "mouth", False, 0.0, 'The mouth says "ee"'),
    ("mouth_uuu", "mouth", False, 0.0, 'The mouth says "oo", lips forward'),
    ("mouth_eee", "mouth", False, 0.0, 'The mouth says "eh"'),
    ("mouth_ooo", "mouth", False, 0.0, 'The mouth says "oh"'),
    ("mouth_delta", "mouth", False, 0.0, "An open triangle, as in glee"),
    ("mouth_lowered_corner", "mouth", True, 0.0, "The corner of the mouth goes down"),
    ("mouth_raised_corner", "mouth", True, 0.0, "The corner of the mouth goes up"),
    ("mouth_smirk", "mouth", False, 0.0, "A crooked little smile"),
    ("iris_rotation_x", "iris", False, -1.0, "The gaze up (positive) or down"),
    ("iris_rotation_y", "iris", False, -1.0, "The gaze to one side or the other"),
    ("head_x", "head", False, -1.0, "The head nods up or down, about 15 degrees at 1"),
    ("head_y", "head", False, -1.0, "The head turns to one side or the other, about 10 degrees at 1"),
    ("neck_z", "head", False, -1.0, "The head tilts about the neck, about 15 degrees at 1"),
    ("body_y", "body", False, -1.0, "The body turns to one side or the other, about 10 degrees at 1"),
    ("body_z", "body", False, -1.0, "The body tilts to one side or the other, about 15 degrees at 1"),
    ("breathing", "breathing", False, 0.0, "The chest rises; 0 is breathed out, 1 breathed in"),
)


def _parameters() -> tuple[Parameter, ...]:
    rows = [
        (name + side, group, meaning, minimum)
        for name, group, two_sided, minimum, meaning in _TABLE
        for side in (("_left", "_right") if two_sided else ("",))
    ]
    return tuple(Parameter(index, *row) for index, row in enumerate(rows))


PARAMETERS = _parameters()
NAMES = tuple(parameter.name for parameter in PARAMETERS)
COUNT = len(PARAMETERS)

EYEBROW = slice(0, 12)
FACE = slice(12, 39)
HEAD_FREE = slice(0, 39)
"""Eyebrow and face together: everything that does not turn or tilt the character."""
ROTATION = slice(39, 45)

# A value that left its range by float rounding alone is not a mistake worth stopping a render for.
_RANGE_TOLERANCE = 1e-4

_MINIMA = torch.tensor([parameter.minimum for parameter in PARAMETERS])
_MAXIMA = torch.tensor([parameter.maximum for parameter in PARAMETERS])


@dataclass(frozen=True)
class Poses:
    """A sequence of poses: what the socket THA4_POSES carries.

    `values` is float32 `[N, 45]` with N >= 1, every number finite and in its range; `fps` is frames per second,
    above 0. `notes` say what a reader of a file left out or did not find in it, a sentence or two each; they are not
    part of the motion, and what is made from it does not carry them on.
    Raises PoseError where that does not hold.
    """

    values: Tensor
    fps: float = 30.0
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.fps > 0:
            raise PoseError(f"fps is {self.fps}; it must be above 0.")
        object.__setattr__(self, "values", check_poses(self.values))

    def __len__(self) -> int:
        return self.values.shape[0]


def indices(name: str) -> tuple[int, ...]:
    """The indices that a parameter name means: one, or two for a two-sided name given without its side.

    Raises PoseError for an unknown name.
    """
    found = tuple(
        p.index for p in PARAMETERS if name in (p.name, p.name.removesuffix("_left"), p.name.removesuffix("_right"))
    )
    if not found:
        raise PoseError(f'There is no pose parameter named "{name[:80]}". The parameters are: {", ".join(NAMES)}.')
    return found


def make_pose(values: Mapping[str, float]) -> Tensor:
    """One pose, float32 `[1, 45]`, from named numbers; whatever is not named is 0.

    A two-sided name may be given without its side and then sets both. Raises PoseError for unknown names and bad
    values.
    """
    pose = torch.zeros(1, COUNT)
    for name, value in values.items():
        pose[0, list(indices(name))] = _in_float32(value)
    return check_poses(pose)


def _in_float32(value: float) -> float:
    """The value, or infinity where it is beyond float32: PyTorch would raise an error of its own."""
    if abs(value) > torch.finfo(torch.float32).max:
        return math.inf if value > 0 else -math.inf
    return float(value)


def check_poses(poses: Tensor | Sequence[Sequence[float]] | Sequence[float]) -> Tensor:
    """The poses as float32 `[N, 45]` on the device they are on; one pose `[45]` becomes `[1, 45]`.

    Raises PoseError, naming the pose and the parameter, where a pose does not have 45 numbers, a number is not finite,
    or a number is outside its range.
    """
    try:
        # By way of float64: a number beyond float32 becomes infinite there, and is refused below.
        tensor = torch.as_tensor(poses, dtype=None if isinstance(poses, Tensor) else torch.float64).float()
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise PoseError(f"A pose is {COUNT} numbers; this is not: {error}.") from error
    if tensor.ndim == 1:
        tensor = tensor[None]
    if tensor.ndim != 2 or tensor.shape[1] != COUNT or tensor.shape[0] == 0:
        raise PoseError(f"Poses have the shape [N, {COUNT}] with N of at least 1; these have {list(tensor.shape)}.")
    _refuse(tensor, ~torch.isfinite(tensor), "is not a finite number")
    minima, maxima = _MINIMA.to(tensor.device), _MAXIMA.to(tensor.device)
    outside = (tensor < minima - _RANGE_TOLERANCE) | (tensor > maxima + _RANGE_TOLERANCE)
    _refuse(tensor, outside, "is outside its range")
    return tensor


def limit(poses: Tensor) -> Tensor:
    """The poses `[N, 45]` with every number clamped to its range."""
    return poses.clamp(_MINIMA.to(poses.device), _MAXIMA.to(poses.device))


def _refuse(poses: Tensor, bad: Tensor, complaint: str) -> None:
    if not bool(bad.any()):
        return
    row, column = (int(i) for i in bad.nonzero()[0])
    parameter = PARAMETERS[column]
    raise PoseError(
        f"Pose {row}: {parameter.name} = {poses[row, column].item():g} {complaint} "
        f"({parameter.minimum:g} to {parameter.maximum:g})."
    )
