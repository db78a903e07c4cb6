"""Whole distillations, shrunk: they learn, they survive, they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import REPOSITORY
from tests.core.distill.conftest import TINY
from tests.recipe import recipe_teacher, recipe_tha3
from tha4_core.demo import DemoRig, demo_character
from tha4_core.distill import Job, Report, __main__, distill, draw_curves, evaluate, history_of, sample_poses
from tha4_core.distill.evaluation import unmoved
from tha4_core.distill.target_cache import TargetCache, compute_targets
from tha4_core.errors import DistillError, PoseError
from tha4_core.picture.character import Character
from tha4_core.student import Student
from tha4_core.teacher import Teacher

pytestmark = pytest.mark.usefixtures("windows_files")

Make = Callable[..., Job]


class StoppedError(Exception):
    """What an interrupt raises."""


def weights(student: Student) -> list[Tensor]:
    return [parameter.detach().cpu() for parameter in student.parameters()]


def same(a: Student, b: Student) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def stop_at(step: int) -> Callable[[Report], None]:
    def report(report: Report) -> None:
        if report.stage == "training" and report.done >= step:
            raise StoppedError

    return report


@pytest.fixture(scope="module")
def unbroken(rig: object, work: Path, tmp_path_factory: pytest.TempPathFactory) -> Student:
    """The tiny student of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("unbroken")
    (work / "teacher").mkdir(exist_ok=True)
    (folder / "teacher").symlink_to(work / "teacher")
    torch.set_num_threads(1)
    return distill(Job(demo_character(), rig, "demo", folder, folder, TINY))


def test_a_student_comes_with_its_file_history_and_reports(job: Make, unbroken: Student) -> None:
    reports: list[Report] = []
    made = job()
    student = distill(made, report=reports.append)
    assert same(student, unbroken)
    assert same(Student.load(made.path), unbroken)
    assert made.path.stat().st_size < 2_400_000
    assert {report.stage for report in reports} == {"teacher", "training"}
    assert reports[-1].done == reports[-1].total == TINY.steps
    assert reports[-1].preview().size == (512, 256)
    assert [row[0] for row in history_of(student).losses] == list(range(1, TINY.steps + 1))
    assert draw_curves(history_of(student), TINY.steps).size == (960, 420)
    assert not made.checkpoint.exists()


def test_a_recipe_in_other_words_is_the_same(job: Make) -> None:
    assert job(preset=replace(TINY, meaning="In other words.")).identity() == job().identity()
    assert job(preset=replace(TINY, steps=13)).identity() != job().identity()


def test_a_teacher_is_the_same_however_many_threads_made_it(job: Make) -> None:
    one = job(teacher=DemoRig()).identity()
    torch.set_num_threads(2)
    assert job(teacher=DemoRig()).identity() == one


def test_a_finished_student_comes_back_at_once(job: Make) -> None:
    student = distill(job())

    def never(report: Report) -> None:
        raise AssertionError

    assert same(distill(job(), report=never), student)


def test_a_run_that_was_stopped_ends_as_if_it_was_not(job: Make, unbroken: Student) -> None:
    for step in (3, 4, 9):
        with pytest.raises(StoppedError):
            distill(job(), report=stop_at(step))
        assert job().checkpoint.is_file()
    assert same(distill(job()), unbroken)


def test_a_stop_in_the_middle_of_a_step_leaves_the_step_before(job: Make, unbroken: Student) -> None:
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 25:
            raise StoppedError

    with pytest.raises(StoppedError):
        distill(job(), tick=tick)
    assert same(distill(job()), unbroken)


def test_two_processes_make_what_one_makes(job: Make, unbroken: Student, tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, torch
        from pathlib import Path
        from tests.core.distill.conftest import TINY
        from tha4_core.demo import DemoRig, demo_character
        from tha4_core.distill import Job, distill
        torch.set_num_threads(1)
        torch.distributed.init_process_group("gloo")
        folder = Path(sys.argv[1])
        distill(Job(demo_character(), DemoRig(), "demo", folder, folder / "work", TINY))
        torch.distributed.destroy_process_group()
    """)
    path = tmp_path / "shared.py"
    path.write_text(script)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(path)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path)], cwd=REPOSITORY, env=environment, check=True, timeout=300)
    for ours, theirs in zip(weights(Student.load(job().path)), weights(unbroken), strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm()


def test_a_training_that_diverges_goes_back_at_half_the_rate(job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from tha4_core.distill import trainer

    face_terms = trainer.face_terms

    def sometimes(*arguments: Tensor) -> tuple[Tensor, Tensor]:
        plain, masked = face_terms(*arguments)
        calls.append(None)
        return (plain * float("nan") if len(calls) == 6 else plain), masked

    calls: list[None] = []
    monkeypatch.setattr(trainer, "face_terms", sometimes)
    student = distill(job(name="diverged"))
    history = history_of(student)
    assert (history.setbacks, history.rate_scale, history.step) == (1, 0.5, TINY.steps)
    assert all(bool(torch.isfinite(weight).all()) for weight in weights(student))


def test_it_learns(rig: nn.Module, tmp_path: Path) -> None:
    preset = replace(TINY, poses=64, steps=150, face_pixels=1024, crops=96)
    student = distill(Job(demo_character(), rig, "learned", tmp_path, tmp_path / "work", preset))
    losses = history_of(student).losses
    assert losses[-1][1] < 0.35 * losses[0][1]
    poses = sample_poses(3, 77)
    compute_targets(tmp_path / "held", demo_character(), rig, poses, lambda done: None)
    held = TargetCache(tmp_path / "held", poses)
    still, learned = unmoved(demo_character().image, held), evaluate(student, held)
    assert learned.face_psnr > still.face_psnr + 0.5
    assert learned.figure_psnr > still.figure_psnr + 1.0


def test_a_start_from_a_student_is_that_student(job: Make, unbroken: Student) -> None:
    still = replace(TINY, steps=1, face_rate=0.0, body_rate=0.0)
    assert same(distill(job(name="second", preset=still, start_from=unbroken)), unbroken)


def test_poses_of_ones_own(job: Make) -> None:
    poses = sample_poses(3, 4)
    student = distill(job(name="own", poses=poses))
    assert history_of(student).step == TINY.steps
    with pytest.raises(DistillError, match=r"another poses"):
        distill(job(name="own"))
    with pytest.raises(PoseError, match="45"):
        distill(job(name="own", poses=torch.zeros(2, 44)))


@pytest.mark.parametrize(
    "name", ["", " ", "../up", "a/b", "a\\b", ".hidden", "dot.", "con", "LPT1.x", "x" * 65, "a\0b", "é\u0301"]
)
def test_names_that_no_file_should_have(job: Make, name: str) -> None:
    with pytest.raises(DistillError, match="cannot be a student's name"):
        distill(job(name=name))


def test_pictures_that_cannot_serve(job: Make) -> None:
    picture = demo_character().picture.clone()
    picture[..., 3] = 255
    with pytest.raises(DistillError, match=r'"opaque" has no transparent background'):
        distill(job(character=Character(picture, "opaque")))
    with pytest.raises(DistillError, match=r'"empty" is empty'):
        distill(job(character=Character(torch.zeros_like(picture), "empty")))


def test_another_jobs_work_is_refused_and_kept(job: Make) -> None:
    with pytest.raises(StoppedError):
        distill(job(), report=stop_at(2))
    before = job().checkpoint.read_bytes()
    picture = demo_character().picture.clone()
    picture[200, 256] = torch.tensor([255, 0, 0, 255])
    with pytest.raises(DistillError, match=r"unfinished training made with another character.*restart"):
        distill(job(character=Character(picture, "demo")))
    with pytest.raises(DistillError, match="another seed"):
        distill(job(seed=1))
    assert job().checkpoint.read_bytes() == before
    finished = distill(job())
    with pytest.raises(DistillError, match="is a student made with another preset"):
        distill(job(preset=replace(TINY, steps=2)))
    assert same(Student.load(job().path), finished)
    replaced = distill(job(preset=replace(TINY, steps=2)), restart=True)
    assert same(Student.load(job().path), replaced)
    assert not same(replaced, finished)


def test_one_name_is_one_run(job: Make) -> None:
    def again(report: Report) -> None:
        with pytest.raises(DistillError, match="being distilled"):
            distill(job())
        raise StoppedError

    with pytest.raises(StoppedError):
        distill(job(), report=again)


def test_a_damaged_checkpoint_is_named(job: Make) -> None:
    job().checkpoint.write_bytes(b"nothing")
    with pytest.raises(DistillError, match=r"not a whole checkpoint.*restart"):
        distill(job())
    assert distill(job(), restart=True)


@pytest.mark.parametrize("system", ["THA4", "THA3 separable"])
def test_either_system_is_a_teacher(tmp_path: Path, system: str) -> None:
    """Both show what a student learns from; weights are synthetic, so what it learns is nothing to look at."""
    teacher = Teacher.from_state_dicts(recipe_teacher() if system == "THA4" else recipe_tha3("separable"))
    made = Job(demo_character(), teacher, "made", tmp_path, tmp_path / "work", TINY, poses=sample_poses(1, 3))
    student = distill(made)
    history = history_of(student)
    assert history.step == TINY.steps
    assert history.losses[-1][1] < history.losses[0][1]
    with pytest.raises(DistillError, match="another teacher"):
        distill(Job(demo_character(), DemoRig(), "made", tmp_path, tmp_path / "work", TINY, poses=sample_poses(1, 3)))


def test_a_command_for_no_steps_is_told_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["distill", "train", "--name", "none", "--steps", "0"])
    assert __main__.main() == 1
    assert "--steps is 0" in capsys.readouterr().err


def test_an_evaluation_leaves_nothing(
    unbroken: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unbroken.save(tmp_path / "one.safetensors")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(sys, "argv", ["distill", "evaluate", str(tmp_path / "one.safetensors"), "--count", "1"])
    assert __main__.main() == 0
    assert "figure psnr" in capsys.readouterr().out
    assert not list((tmp_path / "temporary").iterdir())
