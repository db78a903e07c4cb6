"""Our training against the published recipe at equal processor time, on a real teacher's frames.

Run from the root of the repository: `python -m tests.benchmarks.distill [--minutes 20] [--poses 300]`. The teacher is
the reference character's published student, which renders real frames; its targets are computed first and are not
counted. Every preset gets the same processor seconds (of all threads), so a busy machine changes nothing; ours is
scaled to end just there, the published one stops where its time is over.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

from tests import recipe
from tha4_core.distill import PRESETS, Preset, evaluate, sample_poses
from tha4_core.distill.batches import BodySampler, FaceSampler, generator, load_faces
from tha4_core.distill.evaluation import unmoved
from tha4_core.distill.initialisation import initialise
from tha4_core.distill.target_cache import TargetCache, compute_targets
from tha4_core.distill.trainer import Trainer
from tha4_core.picture import model_space as images
from tha4_core.picture.character import Character
from tha4_core.student import FACE_COLUMNS, FACE_ROWS, Student
from tha4_core.teacher import Targets

LAMBDA_00 = recipe.REFERENCE / "reference" / "lambda_00"
_HELD_OUT = 12
_POINTS = 8  # of a curve


class StudentAsTeacher:
    """A published student that shows what a teacher shows."""

    def __init__(self, student: Student) -> None:
        self.student = student

    @torch.no_grad()
    def targets(self, character: Character, poses: Tensor) -> Targets:
        output = self.student(poses)
        full = images.paste(output["face_patch"], self.student.image, FACE_ROWS, FACE_COLUMNS)
        face = images.crop(full, slice(32, 224), slice(160, 352))
        return Targets(output["blended"], output["warped"], output["grid_change"], full, face)

    def face_mask(self, character: Character) -> Tensor:
        """This teacher has no alphas that show where the face moves: no mask."""
        return torch.zeros(1, 128, 128)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=20.0, help="of each preset, on all threads")
    parser.add_argument("--poses", type=int, default=300)
    parser.add_argument("--presets", nargs="*", default=["good", "paper"], choices=PRESETS)
    parser.add_argument("--work", type=Path, help="keep the teacher's frames in this folder (1 GB)")
    options = parser.parse_args()
    seconds = options.minutes * 60 * torch.get_num_threads()
    student = Student.load(LAMBDA_00)
    teacher = StudentAsTeacher(student)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {seconds:.0f} processor seconds each")
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        training, held_out = (_targets(work, teacher, n, s) for n, s in ((options.poses, 0), (_HELD_OUT, 1)))
        print(f"unmoved picture: {unmoved(student.image, held_out)!r}")
        for name in options.presets:
            _curve(PRESETS[name], student, teacher, training, held_out, seconds)


def _targets(folder: Path, teacher: StudentAsTeacher, count: int, seed: int) -> TargetCache:
    poses = sample_poses(count, seed)
    compute_targets(folder / str(seed), teacher.student.character, teacher, poses, lambda done: None)
    return TargetCache(folder / str(seed), poses)


def _curve(
    preset: Preset,
    picture: Student,
    teacher: StudentAsTeacher,
    training: TargetCache,
    held_out: TargetCache,
    seconds: float,
) -> None:
    trainer = _trainer(preset, picture, teacher, training)
    if not preset.published:
        trainer = _trainer(preset.over(round(seconds / _cost(trainer))), picture, teacher, training)
    spent, marks = 0.0, [seconds * (point + 1) / _POINTS for point in range(_POINTS)]
    while spent < seconds and not trainer.done:
        start = time.process_time()
        trainer.step()
        spent += time.process_time() - start
        if spent >= marks[0] or trainer.done:
            marks = marks[1:] or [float("inf")]
            scores = evaluate(trainer.student, held_out)
            step = trainer.progress.step
            rate = step * preset.crops * preset.side**2 / spent
            print(f"{preset.name:>6} {spent:6.0f} s {step:6} steps {rate / 1e3:7.0f}k pixels/s  {scores!r}", flush=True)


def _cost(trainer: Trainer) -> float:
    """Processor seconds of a step, once it runs as it will."""
    for _ in range(3):
        trainer.step()
    start = time.process_time()
    for _ in range(20):
        trainer.step()
    return (time.process_time() - start) / 20


def _trainer(preset: Preset, picture: Student, teacher: StudentAsTeacher, training: TargetCache) -> Trainer:
    student = Student(picture.character)
    initialise(student.face_morpher, student.body_morpher, generator(0, 0, 2), published=preset.published)
    faces, mask = load_faces(training, torch.device("cpu")), teacher.face_mask(picture.character)
    face, body = FaceSampler(training, faces, mask), BodySampler(training, faces, student.image)
    return Trainer(student, face, body, preset, 0, lambda: None)


if __name__ == "__main__":
    main()
