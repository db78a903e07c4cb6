"""Training in the form that a GPU wants, on a CPU: the same student as by the plain trainer, and nothing that waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.core.distill.conftest import TINY
from tests.elsewhere import ELSEWHERE, LikeMPS
from tha4_core import cuda_graph
from tha4_core.demo import DemoRig, demo_character
from tha4_core.distill import Job, Report, distill, gpu_targets, gpu_trainer, run, sample_poses, target_cache, trainer
from tha4_core.distill.batches import BodySampler, FaceSampler, generator, load_faces
from tha4_core.distill.gpu_targets import GPUBodySampler
from tha4_core.distill.gpu_trainer import GPUTrainer
from tha4_core.distill.initialisation import initialise
from tha4_core.distill.recipe import body_plan
from tha4_core.distill.target_cache import TargetCache, compute_targets
from tha4_core.distill.trainer import Trainer
from tha4_core.student import Student

Make = Callable[..., Trainer]
CPU = torch.device("cpu")
PRESET = replace(TINY, poses=6, steps=10)  # all three sizes of frames
CHUNK = 4  # poses in a file: two files
SIZES = [body_plan(PRESET, step).size for step in range(PRESET.steps)]


@pytest.fixture(scope="module")
def targets(rig: DemoRig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TargetCache]:
    folder, poses = tmp_path_factory.mktemp("targets"), sample_poses(PRESET.poses, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target_cache, "CHUNK", CHUNK)
        compute_targets(folder, demo_character(), rig, poses, lambda done: None)
        with TargetCache(folder, poses) as cache:
            yield cache


@pytest.fixture
def make(rig: DemoRig, targets: TargetCache) -> Make:
    def made(resident: bool | None, device: torch.device = CPU, tick: Callable[[], None] = lambda: None) -> Trainer:
        """A GPUTrainer with resident targets or without; None: the plain trainer."""
        student = Student(demo_character())
        initialise(student.face_morpher, student.body_morpher, generator(0, 0, 2), published=False)
        student.to(device)
        faces = load_faces(targets, device)
        face = FaceSampler(targets, faces, rig.face_mask(demo_character()))
        if resident is None:
            return Trainer(student, face, BodySampler(targets, faces, student.image), PRESET, 0, tick)
        body = GPUBodySampler(targets, faces, student.image, resident=resident)
        return GPUTrainer(student, face, body, PRESET, 0, tick)

    return made


@pytest.fixture(scope="module")
def plain(rig: DemoRig, targets: TargetCache) -> Trainer:
    """The plain trainer at its end."""
    return trained(make.__wrapped__(rig, targets)(None))


def trained(trainer: Trainer) -> Trainer:
    while not trainer.done:
        trainer.step()
    return trainer


def assert_alike(ours: Trainer, theirs: Trainer) -> None:
    for weight, wanted in zip(ours.student.parameters(), theirs.student.parameters(), strict=True):
        assert (weight - wanted).norm() <= 1e-4 * wanted.norm() + 1e-7
    assert (ours.progress.step, ours.progress.setbacks) == (theirs.progress.step, theirs.progress.setbacks)
    losses, wanted_losses = (torch.tensor(t.progress.losses) for t in (ours, theirs))
    torch.testing.assert_close(losses, wanted_losses, rtol=1e-3, atol=0)


@pytest.mark.parametrize("resident", [True, False])
def test_it_makes_the_student_that_the_plain_trainer_makes(make: Make, plain: Trainer, resident: bool) -> None:
    assert set(SIZES) == {128, 256, 512}
    assert_alike(trained(make(resident)), plain)


def test_where_targets_do_not_fit_after_all_they_are_sent(
    make: Make, plain: Trainer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(targets: TargetCache, device: torch.device) -> Tensor:
        raise torch.cuda.OutOfMemoryError("tried to allocate 3 GB")

    monkeypatch.setattr(gpu_targets, "_load", full)
    caplog.set_level("INFO", "tha4")
    ours = make(True)
    assert "each step's crops are sent (tried to allocate 3 GB)" in caplog.text
    assert_alike(trained(ours), plain)


class Waits(TorchDispatchMode):
    """Counts what a GPU would be waited for: numbers that are read, copies to the CPU, shapes that depend on numbers.

    Copies from the CPU are counted apart: out of pinned memory, which a machine without a GPU does not have, they wait
    for nothing. Any operation that mixes devices otherwise fails on PyTorch's meta device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.uploads = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation.overloadpacket.__name__
        tensors = [tensor for tensor in tree_leaves(args) if isinstance(tensor, Tensor)]
        elsewhere = [tensor.device == ELSEWHERE for tensor in tensors]
        if name == "copy_" and elsewhere == [True, False]:
            self.uploads += 1
        elif any(elsewhere):
            to_cpu = name == "_to_copy" and (kwargs or {}).get("device") == CPU
            if to_cpu or name in ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique2"):
                self.waits.append(name)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("resident", [True, False])
def test_a_block_of_steps_waits_once(make: Make, resident: bool) -> None:
    with LikeMPS():
        elsewhere = make(resident, ELSEWHERE)
        elsewhere.step()  # what is set up once may wait
    assert elsewhere.progress.step < PRESET.steps
    steps = PRESET.steps - elsewhere.progress.step
    with LikeMPS(), Waits() as counted:
        elsewhere.step()
    assert elsewhere.done
    assert counted.waits == ["_to_copy"]  # the losses
    assert counted.uploads == steps * (2 if resident else 3) + 1  # where more crops begin to lie beside the figure


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for CUDA graphs, which need a GPU. What happens: "aside", "capture", "repeat".

    What is captured computes nothing then; it runs again and again into the same memory, as a graph's kernels do.
    """
    events: list[str] = []

    def run_aside(work: Callable[[], Tensor], device: torch.device) -> Tensor:
        events.append("aside")
        return work()

    def capture(work: Callable[[], Tensor], device: torch.device) -> tuple[Callable[[], None], Tensor]:
        events.append("capture")
        result = torch.zeros(2)

        def repeat() -> None:
            events.append("repeat")
            result.copy_(work())

        return repeat, result

    monkeypatch.setattr(cuda_graph, "run_aside", run_aside)
    monkeypatch.setattr(cuda_graph, "capture", capture)
    monkeypatch.setattr(cuda_graph, "is_available", lambda device: True)
    return events


def test_each_size_of_frames_is_one_graph(make: Make, plain: Trainer, graphs: list[str]) -> None:
    assert_alike(trained(make(True)), plain)
    set_up, graph = ["aside", "aside"], ["aside", "aside", "capture", "repeat"]
    assert [SIZES.count(size) for size in (128, 256, 512)] == [2, 3, 5]
    assert len({body_plan(PRESET, step).shares for step in range(5, 10)}) == 2  # within the last of them
    assert graphs == [*set_up, *graph, *graph, "repeat", "repeat"]


def test_where_no_graph_can_be_captured_it_goes_on_without(
    make: Make, plain: Trainer, graphs: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(work: Callable[[], Tensor], device: torch.device) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(cuda_graph, "capture", refused)
    assert_alike(trained(make(True)), plain)
    assert "cannot be captured here, which costs time (operation not permitted" in caplog.text


def test_a_training_that_diverges_goes_back_to_where_the_plain_one_goes(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainers = []
    for module, resident in ((trainer, None), (gpu_trainer, True)):
        calls: list[None] = []

        def sometimes(*arguments: Any, of: Any = module.face_pixels, calls: list[None] = calls) -> Tensor:
            calls.append(None)
            pixels: Tensor = of(*arguments)
            return pixels * float("nan") if len(calls) == 6 else pixels

        monkeypatch.setattr(module, "face_pixels", sometimes)
        trainers.append(trained(make(resident)))
    assert trainers[0].progress.setbacks == 1
    assert_alike(trainers[1], trainers[0])


class StoppedError(Exception):
    """What an interrupt raises."""


def test_stopped_within_a_block_it_ends_as_if_it_was_not(
    job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints are the plain trainer's: either goes on from the other's."""

    def on_a_gpu(student: Student, training: TargetCache, mask: Tensor, *rest: Any) -> Trainer:
        faces = load_faces(training, CPU)
        body = GPUBodySampler(training, faces, student.image)
        return GPUTrainer(student, FaceSampler(training, faces, mask), body, *rest)

    work = tmp_path / "files of few poses"
    unbroken = distill(job(name="unbroken", work=work))
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 8:
            raise StoppedError

    plainly = run.make_trainer
    monkeypatch.setattr(run, "make_trainer", on_a_gpu)
    with pytest.raises(StoppedError):
        distill(job(work=work), tick=tick)
    monkeypatch.setattr(run, "make_trainer", plainly)
    ticks = 0
    with pytest.raises(StoppedError):
        distill(job(work=work), tick=tick)
    monkeypatch.setattr(run, "make_trainer", on_a_gpu)
    student = distill(job(work=work))
    for ours, theirs in zip(student.parameters(), unbroken.parameters(), strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm() + 1e-7


def test_the_time_left_is_told_by_the_step_however_many_are_taken_at_once(
    job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    class InBlocks(Trainer):
        """Takes half a second of a made-up clock for a step, and two steps at once."""

        def step(self) -> None:
            for _ in range(min(2, self.preset.steps - self.progress.step)):
                super().step()
                now[0] += 0.5

    def in_blocks(student: Student, training: TargetCache, mask: Tensor, *rest: Any) -> Trainer:
        faces = load_faces(training, CPU)
        return InBlocks(student, FaceSampler(training, faces, mask), BodySampler(training, faces, student.image), *rest)

    monkeypatch.setattr(run, "make_trainer", in_blocks)
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: now[0]))
    reports: list[Report] = []
    made = job(poses=sample_poses(3, 5), work=tmp_path / "no frames yet")
    distill(made, report=reports.append)
    told = [report.seconds_left for report in reports if report.stage == "teacher"]
    assert told[-1] == pytest.approx(made.preset.steps * 0.5, abs=0.01)
