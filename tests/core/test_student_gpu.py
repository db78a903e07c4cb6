"""The GPU's ways through the student's layers, on a CPU: the same pictures, and never a way that is not better."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tha4_core as tha4
from tests.conftest import REPOSITORY
from tha4_core import student_gpu, student_renderer
from tha4_core.errors import THA4Error
from tha4_core.student_gpu import Layers, choose


@pytest.fixture(scope="module")
def student(lambda_00: Path) -> tha4.Student:
    return tha4.Student.load(lambda_00)


@pytest.fixture(scope="module")
def poses() -> Tensor:
    return tha4.make_pose({"head_y": 0.7, "mouth_aaa": 0.8, "eye_wink_left": 1.0, "body_z": -0.6})


def render(student: tha4.Student, poses: Tensor, way: Layers | None, size: int = 256) -> Tensor:
    networks = (student.face_morpher, student.body_morpher)
    return student_renderer.render(*networks, student.image, poses, size, None, way)


@pytest.mark.parametrize("way", [student_gpu.tf32, student_gpu.float16])
def test_a_forced_way_shows_the_same_picture(student: tha4.Student, poses: Tensor, way: Layers) -> None:
    frame, plain = render(student, poses, way), render(student, poses, None)
    assert student_gpu.psnr(frame, plain) >= 45
    assert torch.equal(frame, plain) == (way is student_gpu.tf32)  # a CPU has no TF32


KERNEL = """
import torch
from tests.core.test_student_gpu import one_level
from tha4_core import student_gpu, student_triton
for width, count, pixels in ((90, 2, 1000), (128, 7, 64), (128, 1, 1)):
    layers, x = one_level(width, count, pixels)
    assert student_triton.fits(layers)
    expected = student_gpu.float16(layers, x)
    for laid_out in (x, x.t().contiguous().t()):
        error = (student_gpu.fused(layers, laid_out) - expected).abs()
        assert error[0].max() < 1e-6 and error.mean() < 3e-3, (width, error.mean())
assert not student_triton.fits(one_level(180, 2, 9)[0])
print("kernel ran")
"""


def one_level(width: int, count: int, pixels: int) -> tuple[list[Tensor], Tensor]:
    """Layers as the renderer folds them, and what their first sine is taken of."""
    random = torch.Generator().manual_seed(width)
    layers = [
        student_renderer._sine_layer(
            (torch.rand(width, width, generator=random) * 2 - 1) * (6 / width) ** 0.5 / 30,
            torch.rand(width, generator=random) / 30,
        )
        for _ in range(count)
    ]
    x = torch.rand(1 + width, pixels, generator=random) * 40 - 20
    x[0] = torch.pi / 2
    return layers, x


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="TRITON IS NOT INSTALLED: its kernel is not run")
def test_the_fused_kernel_gives_what_the_products_give() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", KERNEL]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert "kernel ran" in done.stdout, done.stderr


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands still but for what is added to it."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


PLAIN = torch.zeros(1, 4, 8, 8)


def way(seconds: float, error: float) -> Layers:
    """Not run here: `renders` reads what it takes and what it spoils."""

    def run(layers: list[Tensor], x: Tensor) -> Tensor:
        raise NotImplementedError

    run.seconds, run.error = seconds, error
    return run


def renders(clock: Callable[[float], None]) -> Callable[[Layers | None], Tensor]:
    def frame(chosen: Layers | None) -> Tensor:
        clock(1.0 if chosen is None else chosen.seconds)
        return PLAIN if chosen is None else PLAIN + chosen.error

    return frame


def test_the_fastest_that_shows_the_same_is_chosen(clock) -> None:
    slower, fast, faster = way(1.5, 0), way(0.6, 0.001), way(0.3, 0.001)
    spoiled, broken = way(0.1, 0.1), way(0.1, float("nan"))
    ways = {"slower": slower, "fast": fast, "faster": faster, "spoiled": spoiled, "broken": broken}
    assert choose("auto", renders(clock), ways) is faster
    assert choose("auto", renders(clock), {"slower": slower, "spoiled": spoiled, "broken": broken}) is None
    assert choose("float32", renders(clock), ways) is None


def test_what_does_not_run_is_told_and_left(clock, caplog: pytest.LogCaptureFixture) -> None:
    def frame(chosen: Layers | None) -> Tensor:
        if chosen is not None:
            raise RuntimeError("no such instruction")
        return renders(clock)(None)

    with caplog.at_level(logging.INFO, "tha4"):
        assert choose("auto", frame, {"odd": way(0.1, 0)}) is None
    assert "odd does not run here (RuntimeError: no such instruction)" in caplog.text


def test_a_cpu_computes_in_float32(student: tha4.Student, poses: Tensor) -> None:
    exact, asked = (student.render(poses, size=64, precision=precision) for precision in ("float32", "float16"))
    assert torch.equal(exact, asked)
    with pytest.raises(THA4Error, match='precision is "bfloat16"; it is one of auto, float32, float16'):
        student.render(poses, precision="bfloat16")
