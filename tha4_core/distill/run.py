"""A distillation from start to end: check the job, compute the teacher's targets, train, evaluate, save the student."""

from __future__ import annotations

import json
import math
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.distributed
from torch import Tensor, nn

from ..atomic_write import delete_leftovers, is_reserved_on_windows, remedy
from ..errors import DistillError, WeightsError
from ..file_lock import try_lock
from ..picture.character import Character
from ..pose import check_poses
from ..student import Student
from ..teacher import Teacher
from ..weights import StateDict, load_strictly
from .batches import BodySampler, FaceSampler, generator, load_faces
from .cache_folders import evict, in_use
from .evaluation import evaluate
from .gpu_targets import GPUBodySampler, free_memory
from .gpu_trainer import GPUTrainer
from .initialisation import initialise
from .poses import sample_poses
from .recipe import PRESETS, Preset
from .reporting import Report, Reporter
from .target_cache import MIN_FREE, TargetCache, TeacherLike, compute_targets, fingerprint, missing_bytes
from .trainer import Progress, Trainer, load_checkpoint, matrix_precision, processes, rank, train

DISTILLED = "distilled"
"""The key of a student's metadata that holds what it was made from."""
HISTORY = "history"
"""The key of a student's metadata that holds its losses and scores."""

HELD_OUT_SEED = 2**31 - 1
"""Poses of this seed are never trained on."""

CACHE_LIMIT = 20 * 10**9
"""Bytes of teacher's frames that are kept; those of the run itself may be more."""

PRECISIONS = ("float32", "tf32")
"""What matrix products are computed in. bfloat16 is too coarse for a SIREN: 29.8 dB against float32."""

_POSE_MEMORY = 2**30  # bytes that a teacher's networks take for a pose: the upscaler's features, in and out
_LONGEST_NAME = 64
_SMALLEST_FIGURE = 0.01  # of the picture
_VISIBLE = 5  # of 255

_TIMED_SECONDS = 1.0  # of training, to tell how long all of it takes
_INITIALISATION = 2  # stream of random numbers


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


def distill(
    job: Job,
    *,
    restart: bool = False,
    tick: Callable[[], None] = lambda: None,
    report: Callable[[Report], None] = lambda report: None,
) -> Student:
    """Make the student, or resume where an equal job was stopped, or load it where it is finished.

    `tick` is called many times a second and `report` after every step; what they raise stops the run, which is saved.
    `restart` discards what is there of that name. Raises DistillError for names, pictures and poses that cannot serve,
    and where another job's work would be overwritten.
    """
    _check(job)
    identity = job.identity()
    finished = None if restart else _finished(job, identity)
    if finished is not None:
        return finished
    # ComfyUI runs its nodes in inference mode, in which nothing can be trained.
    with _locked(job), torch.inference_mode(False), torch.enable_grad(), matrix_precision(job.precision):
        checkpoint = None if restart else _checkpoint(job, identity)
        with _targets(job, identity, tick, report) as (training, held_out):
            trainer = _trainer(job, training, tick)
            if checkpoint is not None:
                trainer.resume(*checkpoint)
            train(trainer, job.checkpoint, identity, Reporter(trainer, held_out, tick, report).after_step)
            return _finish(job, trainer, held_out, identity)


def restore(job: Job, student: Student) -> bool:
    """Write the file of a student that was made by an equal job, where it is missing. Returns whether it was written.

    Raises DistillError where the disk refuses.
    """
    if job.path.exists() or json.loads(student.metadata.get(DISTILLED, "{}")) != job.identity():
        return False
    _save(job, student)
    return True


def history_of(student: Student) -> Progress:
    """The losses and scores of the run that made a student; empty where its file does not say."""
    about = json.loads(student.metadata.get(HISTORY, "{}"))
    return Progress(**about)


def _finished(job: Job, identity: dict[str, str]) -> Student | None:
    if not job.path.is_file():
        return None
    try:
        student = Student.load(job.path)
        made_from = json.loads(student.metadata.get(DISTILLED, "{}"))
    except ValueError as error:
        raise DistillError(
            f'The name "{job.name}" is taken, by a file that cannot be read: {error} Choose another name, or restart '
            "to replace it."
        ) from error
    if made_from == identity:
        return student
    raise DistillError(_name_taken(job, f"{job.path} is a student", made_from, identity))


def _checkpoint(job: Job, identity: dict[str, str]) -> tuple[StateDict, Progress] | None:
    if not job.checkpoint.is_file():
        return None
    tensors, progress, made_from = load_checkpoint(job.checkpoint)
    if made_from != identity:
        raise DistillError(_name_taken(job, f"{job.checkpoint} is an unfinished training", made_from, identity))
    return tensors, progress


def _name_taken(job: Job, what: str, found: dict[str, str], wanted: dict[str, str]) -> str:
    different = [key for key in wanted if found.get(key) != wanted[key]]
    return (
        f'The name "{job.name}" is taken: {what} made with another {", ".join(different)}. Choose another name, or '
        "restart to replace it."
    )


@contextmanager
def _locked(job: Job) -> Iterator[None]:
    """Hold the name, so that no two runs write the same files; what a killed run left half-written is deleted."""
    if rank() != 0:
        yield
        return
    with ExitStack() as stack:
        with _writing_to(job.work):
            job.work.mkdir(parents=True, exist_ok=True)
            if not stack.enter_context(try_lock(job.work / f"{job.name}.lock")):
                raise DistillError(f'"{job.name}" is being distilled by another process. Wait for it, or stop it.')
            for path in (job.checkpoint, job.path):
                delete_leftovers(path)
        yield


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """Within it, an error of the file system becomes a DistillError that names the folder."""
    try:
        yield
    except OSError as error:
        raise DistillError(
            f"{folder}: cannot be written to ({error.strerror or error}). {remedy(error)} and start again."
        ) from error


@contextmanager
def _targets(
    job: Job, identity: dict[str, str], tick: Callable[[], None], report: Callable[[Report], None]
) -> Iterator[tuple[TargetCache, TargetCache]]:
    """The teacher's targets to train on, and those for evaluation: of held-out poses, or of some of the poses given."""
    poses = sample_poses(job.preset.poses, job.seed) if job.poses is None else check_poses(job.poses)
    if job.poses is None:
        held_out = sample_poses(job.preset.held_out, HELD_OUT_SEED)
    else:
        held_out = poses[torch.linspace(0, len(poses) - 1, min(len(poses), job.preset.held_out)).round().long()]
    root = job.work / "teacher"
    sets = [(root / fingerprint(identity["teacher"], identity["character"], p), p) for p in (poses, held_out)]
    with ExitStack() as stack:
        if rank() == 0:
            with _writing_to(root):
                for folder, _ in sets:
                    stack.enter_context(in_use(folder, tick))
                missing = sum(missing_bytes(folder, some) for folder, some in sets)
                evict(root, CACHE_LIMIT, missing + MIN_FREE if missing else 0, tick)
        frames = _TeacherFrames(job, len(poses) + len(held_out), tick, report)
        for folder, some in reversed(sets):  # the few for evaluation first: they suffice to time a step of training
            frames.compute(folder, some)
        _wait_for_all()
        training, held_out_targets = (stack.enter_context(TargetCache(folder, some)) for folder, some in sets)
        yield training, held_out_targets


class _TeacherFrames:
    """Computes the teacher's frames of all sets of poses, and reports how long the whole run still takes."""

    def __init__(self, job: Job, total: int, tick: Callable[[], None], report: Callable[[Report], None]) -> None:
        self._job, self._total, self._tick, self._report = job, total, tick, report
        self._done = 0  # frames of the sets that are complete
        self._complete: tuple[Path, Tensor] | None = None  # the last such set
        self._rate, self._training = 0.0, math.inf  # frames a second, seconds

    def compute(self, folder: Path, poses: Tensor) -> None:
        """Compute the frames of one set that its folder lacks."""
        job, start, first = self._job, 0.0, -1

        def on_progress(done: int) -> None:
            nonlocal start, first
            self._tick()
            if first < 0:
                self._training = self._time_training() if done < len(poses) else self._training
                start, first = time.monotonic(), done
            elif done > first:
                self._rate = (done - first) / max(1e-6, time.monotonic() - start)
            self._tell(self._done + done)

        with torch.inference_mode():
            at_once = poses_at_once(job.device)
            compute_targets(folder, job.character, job.teacher, poses, on_progress, at_once=at_once)
        if isinstance(job.teacher, Teacher):
            job.teacher.clear_cache()  # its CUDA graphs keep memory that training needs
        self._done += len(poses)
        self._complete = folder, poses

    def _tell(self, done: int) -> None:
        left = (self._total - done) / self._rate + self._training if self._rate else math.inf
        self._report(Report("teacher", done, self._total, self._rate, left, Progress()))

    def _time_training(self) -> float:
        """About how many seconds the training will take, by its first steps on a set that is complete."""
        if self._complete is None or processes() > 1:  # of several processes each would need all the others
            return math.inf
        folder, poses = self._complete
        seconds: list[float] = []  # a step
        with TargetCache(folder, poses) as targets, torch.inference_mode(False), torch.enable_grad():
            trainer, begun = _trainer(self._job, targets, self._tick), time.monotonic()
            while len(seconds) < 2 or time.monotonic() - begun < _TIMED_SECONDS:
                if trainer.done:
                    break
                start, first = time.monotonic(), trainer.progress.step
                trainer.step()  # several of them on a GPU
                seconds.append((time.monotonic() - start) / max(1, trainer.progress.step - first))
        return self._job.preset.steps * min(seconds[1:] or seconds)  # the first step is slower


def poses_at_once(device: torch.device) -> int:
    """How many poses a teacher shows at once: one on a CPU, up to 16 where a GPU's free memory is known."""
    if device.type != "cuda":
        return 1 if device.type == "cpu" else 4
    fit = free_memory(device) // 2 // _POSE_MEMORY
    return next(count for count in (16, 8, 4, 2, 1) if count <= max(1, fit))


def _trainer(job: Job, training: TargetCache, tick: Callable[[], None]) -> Trainer:
    student = Student(Character(job.character.picture.clone(), job.character.name))
    initialise(
        student.face_morpher,
        student.body_morpher,
        generator(job.seed, 0, _INITIALISATION),
        published=job.preset.published,
    )
    preset = job.preset
    if job.start_from is not None:
        preset = preset.from_a_student()
        for name in ("face_morpher", "body_morpher"):
            weights = {k: v.cpu().clone() for k, v in job.start_from.get_submodule(name).state_dict().items()}
            load_strictly(student.get_submodule(name), weights, f"the student to start from ({name})")
    student.to(job.device)
    with torch.inference_mode():
        mask = job.teacher.face_mask(job.character)
    return make_trainer(student, training, mask.clone(), preset, job.seed, tick)


def make_trainer(
    student: Student, training: TargetCache, mask: Tensor, preset: Preset, seed: int, tick: Callable[[], None]
) -> Trainer:
    """The trainer for the student's device; `mask` `[1, 128, 128]` is the teacher's `face_mask`."""
    faces = load_faces(training, student.image.device)
    face = FaceSampler(training, faces, mask)
    if student.image.device.type == "cuda" and processes() == 1 and not preset.published:
        return GPUTrainer(student, face, GPUBodySampler(training, faces, student.image), preset, seed, tick)
    return Trainer(student, face, BodySampler(training, faces, student.image), preset, seed, tick)


def _finish(job: Job, trainer: Trainer, held_out: TargetCache, identity: dict[str, str]) -> Student:
    student = trainer.student.eval().requires_grad_(False)
    scores = evaluate(student, held_out)
    student.metadata = {
        "licence": job.licence,
        "made_by": f"THA4 for ComfyUI, preset {job.preset.name}",
        "scores": json.dumps(asdict(scores)),
        DISTILLED: json.dumps(identity),
        HISTORY: json.dumps(asdict(trainer.progress)),
    }
    if rank() == 0:
        _save(job, student)
        job.checkpoint.unlink(missing_ok=True)
    _wait_for_all()
    return student


def _save(job: Job, student: Student) -> None:
    try:
        student.save(job.path)
    except WeightsError as error:
        raise DistillError(
            f"The student could not be saved. {error} Then start again: the training is kept."
        ) from error


def _wait_for_all() -> None:
    if processes() > 1:
        torch.distributed.barrier()


def _check(job: Job) -> None:
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
    if is_reserved_on_windows(name):
        raise DistillError(f'"{name}" cannot be a student\'s name: Windows keeps it for itself. Choose another.')
