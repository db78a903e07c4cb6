"""What a student is to be made from, and what is refused before anything starts."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import DistillError
from ..picture.character import Character
from ..pose import check_poses
from ..student.model import Student
from .presets import PRESETS, Preset
from .store import TeacherLike, fingerprint

PRECISIONS = ("float32", "tf32")
"""What matrix products are computed in. bfloat16 is too coarse for a SIREN: 29.8 dB against float32."""

_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))}
_LONGEST_NAME = 64
_SMALLEST_FIGURE = 0.01  # of the picture
_VISIBLE = 5  # of 255


@dataclass(frozen=True)
class Job:
    """What a student is to be made from, and where. Two equal jobs make the same student.

    `students` is the folder for NAME.safetensors, `work` that for checkpoints and the teacher's frames. `poses`
    `[N, 45]` replaces those that the preset draws. `start_from` is a student whose weights training starts with, at the
    middle of the recipe.
    """

    character: Character
    teacher: TeacherLike
    name: str
    students: Path
    work: Path
    preset: Preset = PRESETS["good"]
    poses: Tensor | None = None
    seed: int = 0
    precision: str = "float32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    start_from: Student | None = None
    licence: str = ""

    @property
    def path(self) -> Path:
        """The student's file."""
        return self.students / f"{self.name}.safetensors"

    @property
    def checkpoint(self) -> Path:
        """The unfinished training's file."""
        return self.work / f"{self.name}.checkpoint.safetensors"

    def identity(self) -> dict[str, str]:
        """What the student depends on, each as a short text."""
        teacher, recipe = self.teacher, asdict(self.preset)
        del recipe["meaning"]  # words may change
        return {
            "character": fingerprint(self.character.picture),
            "teacher": fingerprint(teacher) if isinstance(teacher, nn.Module) else type(teacher).__qualname__,
            "poses": "drawn" if self.poses is None else fingerprint(self.poses),
            "preset": json.dumps(recipe),
            "seed": str(self.seed),
            "precision": self.precision,
            "start": "new" if self.start_from is None else fingerprint(self.start_from),
        }


def check(job: Job) -> None:
    """Raise DistillError or PoseError where name, precision, picture or poses cannot serve."""
    check_name(job.name)
    if job.precision not in PRECISIONS:
        raise DistillError(f"precision is {job.precision}; it must be one of {', '.join(PRECISIONS)}.")
    alpha = job.character.picture[..., 3]
    figure = float((alpha > _VISIBLE).float().mean())
    if figure < _SMALLEST_FIGURE:
        raise DistillError(f'The picture of "{job.character.name}" is empty: nothing of it is visible.')
    if bool((alpha == 255).all()):
        raise DistillError(
            f'The picture of "{job.character.name}" has no transparent background. Remove its background first; '
            "Load Character says how."
        )
    if job.poses is not None:
        check_poses(job.poses)


def check_name(name: str) -> None:
    """Raise DistillError unless a name can be a file's on every system and stays in its folder."""
    allowed = all(character.isalnum() or character in " _-." for character in name)
    plain = unicodedata.normalize("NFC", name) == name and name == name.strip() and not name.startswith(".")
    if not (name and allowed and plain and not name.endswith(".") and len(name) <= _LONGEST_NAME):
        raise DistillError(
            f'"{name}" cannot be a student\'s name: take up to {_LONGEST_NAME} letters, digits, spaces, "-", "_" and '
            '".", without a dot or space at either end.'
        )
    if name.split(".")[0].lower() in _RESERVED:
        raise DistillError(f'"{name}" cannot be a student\'s name: Windows keeps it for itself. Choose another.')
