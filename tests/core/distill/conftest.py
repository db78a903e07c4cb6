"""A small distillation: the demo's character and rig, few poses, short presets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tha4_core.demo import DemoRig, demo_character
from tha4_core.distill import Job, Preset

TINY = Preset("tiny", "For tests.", poses=8, steps=12, face_pixels=256, crops=8, side=4, held_out=1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine, threads that wait for each other cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def rig() -> DemoRig:
    return DemoRig()


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the teacher's targets; they are computed once for all tests."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture
def job(rig: DemoRig, work: Path, tmp_path: Path) -> Callable[..., Job]:
    """A job in a folder of this test, with the teacher's frames that all tests share."""
    (tmp_path / "work").mkdir()
    (work / "teacher").mkdir(exist_ok=True)
    (tmp_path / "work" / "teacher").symlink_to(work / "teacher")

    def make(**changes: Any) -> Job:
        about = {"name": "demo", "preset": TINY, "students": tmp_path, "work": tmp_path / "work"}
        return Job(**{"character": demo_character(), "teacher": rig, **about, **changes})

    return make
