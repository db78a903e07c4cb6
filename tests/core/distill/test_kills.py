"""Runs that are killed, that find no room on the disk, or that are not alone: the same student in the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.core.distill.conftest import TINY
from tests.core.distill.test_run import StoppedError, stop_at
from tha4_core.distill import Job, distill, history_of, reporting
from tha4_core.errors import DistillError
from tha4_core.student import Student

Make = Callable[..., Job]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a killed run is a forked process")
def test_killed_thirty_times_and_two_at_once_the_student_is_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.core.distill.killed_runs", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE)
    assert done.returncode == 0
    print(done.stdout.decode())
    found = json.loads(done.stdout)
    assert found["kills"] >= 30
    assert found["phases"].keys() >= {"teacher", "training", "saving"}
    assert (found["different"], found["leftovers"]) == (0, [])
    assert found["together"]["same"] == [True, True]
    assert found["together"]["shown"] <= 5  # 4 poses to learn from and 1 to judge by: shown once, not to each


def test_equal_runs_make_equal_files(job: Make, tmp_path: Path) -> None:
    distill(job())
    with pytest.raises(StoppedError):
        distill(job(name="again"), report=stop_at(5))
    distill(job(name="again"))
    assert job(name="again").path.read_bytes() == job().path.read_bytes()


def test_a_stop_during_an_evaluation_loses_no_score(job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = reporting.evaluate

    def stopped(*_: object) -> None:
        monkeypatch.setattr(reporting, "evaluate", evaluate)
        raise StoppedError

    monkeypatch.setattr(reporting, "evaluate", stopped)
    made = job(preset=replace(TINY, steps=50))
    with pytest.raises(StoppedError):
        distill(made)
    assert [row[0] for row in history_of(distill(made)).scores] == [50]


def test_a_full_disk_costs_nothing_that_was_there(job: Make, tmp_path: Path, small_disk: Path) -> None:
    (small_disk / "teacher").symlink_to(tmp_path / "work" / "teacher")
    with pytest.raises(DistillError, match=r"checkpoint.* could not be saved \(No space left.*Free some disk space"):
        distill(job(work=small_disk), report=stop_at(2))
    assert not list(small_disk.rglob("*.part"))
    (small_disk / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk).free - 5000))
    students = {"students": small_disk, "name": "full"}
    with pytest.raises(DistillError, match=r"full.*cannot be written \(No space left.*Free some disk space.*kept"):
        distill(job(**students))
    (small_disk / "ballast").unlink()
    reports: list[int] = []
    distill(job(**students), report=lambda report: reports.append(report.done) if report.preview else None)
    assert reports == [job().preset.steps]  # nothing was trained again
    assert Student.load(job(**students).path)
    assert not list(small_disk.rglob("*.part"))


def test_where_it_is_not_the_disk_nobody_is_told_to_free_it(job: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DistillError, match=f"{tmp_path}/file: cannot be written to .*Make sure that files can"):
        distill(job(work=tmp_path / "file"))
    with pytest.raises(DistillError, match=r"x\.safetensors: cannot be written .*Make sure.*the training is kept"):
        distill(job(students=tmp_path / "file", name="x"))


def test_what_a_kill_left_half_written_is_deleted(job: Make, tmp_path: Path) -> None:
    from tha4_core.atomic_write import temporary_file

    for path in (job().path, job().checkpoint, job(name="other").path):
        with temporary_file(path) as temporary:
            temporary.write_text("half")
            shutil.copy(temporary, temporary.with_name(temporary.name.replace(".part", "0.part")))
        path.unlink()
    left = {path.name for path in tmp_path.rglob("*.part")}
    distill(job())
    others = {path.name for path in tmp_path.rglob("*.part")}
    assert (len(left), len(others)) == (3, 1)  # another student may be written now


def test_a_student_that_cannot_be_read_takes_its_name(job: Make) -> None:
    job().path.write_bytes(b"")
    with pytest.raises(DistillError, match=r"demo.*taken, by a file that cannot be read: .*demo\.safetensors.*restart"):
        distill(job())
    assert distill(job(), restart=True)
