"""How far the distillation of a name is, by its files alone: without the character and the teacher that it needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import DistillError
from ..file_lock import try_lock
from ..weights import read_safetensors
from .run import DISTILLED, HISTORY, check_name
from .trainer import Progress, load_checkpoint


@dataclass(frozen=True)
class Status:
    """What the files of a name say. `state` is "finished", "stopped", or "running" where a process holds the name.

    `preset` is the recipe's name, `steps` how many it has, `crops` how many examples a step has.
    """

    state: str
    preset: str
    steps: int
    crops: int
    progress: Progress


def read_status(students: Path, work: Path, name: str) -> Status | None:
    """What the files of a name say; None where there are none, or the student was not made by distillation.

    The folders are those of a `Job`. Raises DistillError for names that cannot be, and for damaged checkpoints, and
    WeightsError for damaged students.
    """
    check_name(name)
    checkpoint, student = work / f"{name}.checkpoint.safetensors", students / f"{name}.safetensors"
    if checkpoint.is_file() and not (student.is_file() and student.stat().st_mtime > checkpoint.stat().st_mtime):
        _, progress, made_from = load_checkpoint(checkpoint)
        return _status("running" if _is_held(work / f"{name}.lock") else "stopped", made_from, progress)
    if not student.is_file():
        return None
    _, about = read_safetensors(student)
    try:
        made_from, history = json.loads(about.get(DISTILLED, "{}")), json.loads(about.get(HISTORY, "{}"))
        return _status("finished", made_from, Progress(**history)) if made_from else None
    except (ValueError, TypeError, AttributeError) as error:
        raise DistillError(f"{student}: what it was made from cannot be read ({error}).") from error


def _status(state: str, made_from: dict[str, str], progress: Progress) -> Status:
    try:
        recipe = json.loads(made_from["preset"])
        return Status(state, str(recipe["name"]), int(recipe["steps"]), int(recipe["crops"]), progress)
    except (KeyError, ValueError, TypeError) as error:
        raise DistillError(f"The recipe of this training cannot be read ({error}).") from error


def _is_held(lock: Path) -> bool:
    """Whether a process holds a lock; it lets go of it however it ends."""
    if not lock.is_file():
        return False
    try:
        with try_lock(lock) as nobody_has_it:
            return not nobody_has_it
    except OSError:  # a folder that this user cannot write to
        return False
