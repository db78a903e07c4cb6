"""The GPU's kernels for the student's layers, on a CPU: the same pictures, and never a kernel that is not faster."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import tha4_core as tha4
from tests.conftest import REPOSITORY
from tests.elsewhere import ELSEWHERE, NothingOnTheCPU
from tha4_core import cuda_graph
from tha4_core.errors import THA4Error
from tha4_core.networks.siren import BodyMorpher, FaceMorpher
from tha4_core.student import gpu, renderer
from tha4_core.student.gpu import Autotuner, Kernel, LayerKernel, PoseToFrame, choose_kernel


@pytest.fixture(scope="module")
def student(lambda_00: Path) -> tha4.Student:
    return tha4.Student.load(lambda_00)


@pytest.fixture(scope="module")
def poses() -> Tensor:
    return tha4.make_pose({"head_y": 0.7, "mouth_aaa": 0.8, "eye_wink_left": 1.0, "body_z": -0.6})


def render(student: tha4.Student, poses: Tensor, kernel: Kernel | None, size: int = 256) -> Tensor:
    networks = (student.face_morpher, student.body_morpher)
    return renderer.render(*networks, student.image, poses, size, None, kernel)


@pytest.mark.parametrize("kernel", [gpu.tf32, gpu.float16])
def test_a_forced_kernel_shows_the_same_picture(student: tha4.Student, poses: Tensor, kernel: Kernel) -> None:
    likeness = gpu.psnr(render(student, poses, kernel), render(student, poses, None))
    assert likeness >= 45
    assert (likeness > 100) == (kernel is gpu.tf32)  # a CPU has no TF32: float32 in another order


@pytest.mark.parametrize("kernel", [gpu.tf32, gpu.float16])
@pytest.mark.parametrize("by_pixel", [False, True])
def test_tensor_cores_are_given_rows_of_16_bytes(kernel: LayerKernel, by_pixel: bool) -> None:
    layers, x = one_level(21, 3, 48)
    layers[-1] = layers[-1][:11]  # the last layer of a level may be narrower
    exact = x.sin()
    for layer in layers:
        exact = (layer @ exact).sin()
    products: list[Tensor] = []

    class Products(TorchDispatchMode):
        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if operation.overloadpacket is torch.ops.aten.mm:
                products.extend(args)
            return operation(*args, **(kwargs or {}))

    with Products():
        made = kernel(layers, x.t().contiguous().t() if by_pixel else x)
    assert len(products) == 2 * len(layers)
    assert all(size % 8 == 0 for matrix in products for size in (*matrix.shape, max(matrix.stride())))
    torch.testing.assert_close(made, exact, rtol=0, atol=1e-4 if kernel is gpu.tf32 else 0.2)


KERNEL = """
import torch
import tha4_core as tha4
from tha4_core.demo import DEMO_STUDENT
from tha4_core.student import fused, gpu, renderer

torch.set_num_threads(1)
fused._PIXELS = 256  # the interpreter takes long for a program
fused._BUFFERS = 1  # a pose at a time
student = tha4.Student.load(DEMO_STUDENT)
poses = torch.cat([
    tha4.make_pose({"head_y": 0.7, "mouth_aaa": 0.8, "eye_wink_left": 1.0, "body_z": -0.6}),
    tha4.make_pose({"neck_z": -0.9, "eyebrow_angry": 1.0, "head_x": 0.5}),
])
ticks = []

def render(kernel, poses):
    networks = student.face_morpher, student.body_morpher
    return renderer.render(*networks, student.image, poses, 64, lambda: ticks.append(kernel), kernel)

for poses in (poses, poses[:1]):
    for frame, exact in zip(render(gpu.FUSED, poses), render(None, poses), strict=True):
        assert gpu.psnr(frame, exact) > 70, gpu.psnr(frame, exact)
    with torch.no_grad():  # the weights that are kept ready are not out of date
        student.body_morpher.last_linear.bias[0] += 0.2
assert ticks.count(gpu.FUSED) == 3
print("kernel ran")
"""


def one_level(width: int, count: int, pixels: int) -> tuple[list[Tensor], Tensor]:
    """Layers as the renderer folds them, and what their first sine is taken of."""
    random = torch.Generator().manual_seed(width)
    layers = [
        renderer._sine_layer(
            (torch.rand(width, width, generator=random) * 2 - 1) * (6 / width) ** 0.5 / 30,
            torch.rand(width, generator=random) / 30,
        )
        for _ in range(count)
    ]
    x = torch.rand(1 + width, pixels, generator=random) * 40 - 20
    x[0] = torch.pi / 2
    return layers, x


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="TRITON IS NOT INSTALLED: its kernel is not run")
def test_the_fused_kernel_shows_the_same_frames() -> None:
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


def kernel_of(seconds: float, error: float) -> Kernel:
    """Not run here: `renders` reads how long it takes and how wrong it is."""

    def run(layers: list[Tensor], x: Tensor) -> Tensor:
        raise NotImplementedError

    run.seconds, run.error = seconds, error
    return run


def renders(clock: Callable[[float], None]) -> Callable[[Kernel | None], Tensor]:
    def frame(chosen: Kernel | None) -> Tensor:
        clock(1.0 if chosen is None else chosen.seconds)
        return PLAIN if chosen is None else PLAIN + chosen.error

    return frame


def test_the_fastest_that_shows_the_same_is_chosen(clock) -> None:
    slower, fast, faster = kernel_of(1.5, 0), kernel_of(0.6, 0.001), kernel_of(0.3, 0.001)
    spoiled, broken = kernel_of(0.1, 0.1), kernel_of(0.1, float("nan"))
    kernels = {"slower": slower, "fast": fast, "faster": faster, "spoiled": spoiled, "broken": broken}
    assert choose_kernel("auto", renders(clock), kernels) is faster
    assert choose_kernel("auto", renders(clock), {"slower": slower, "spoiled": spoiled, "broken": broken}) is None
    assert choose_kernel("float32", renders(clock), kernels) is None


def test_a_kernel_that_does_not_run_is_logged_and_left(clock, caplog: pytest.LogCaptureFixture) -> None:
    def frame(chosen: Kernel | None) -> Tensor:
        if chosen is not None:
            raise RuntimeError("no such instruction")
        return renders(clock)(None)

    with caplog.at_level(logging.INFO, "tha4"):
        assert choose_kernel("auto", frame, {"odd": kernel_of(0.1, 0)}) is None
    assert "odd does not run here (RuntimeError: no such instruction)" in caplog.text


class OnROCm(Tensor):
    """Says that it is on an AMD GPU, where PyTorch refuses products of float16 with sums in float32."""

    device = property(lambda self: torch.device("cuda"))

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.mm and kwargs:
            raise RuntimeError("out_dtype argument is only supported for CUDA")
        return super().__torch_function__(function, types, args, kwargs or {})


def test_rocm_computes_float16_in_another_way() -> None:
    layers, x = one_level(16, 2, 10)
    made = gpu.float16([layer.as_subclass(OnROCm) for layer in layers], x.as_subclass(OnROCm))
    assert torch.equal(made.as_subclass(Tensor), gpu.float16(layers, x))


def test_a_cpu_computes_in_float32(student: tha4.Student, poses: Tensor) -> None:
    exact, other = (student.render(poses, size=64, precision=precision) for precision in ("float32", "float16"))
    assert torch.equal(exact, other)
    with pytest.raises(THA4Error, match='precision is "bfloat16"; it is one of auto, float32, float16'):
        student.render(poses, precision="bfloat16")


@pytest.mark.parametrize("kernel", [None, gpu.tf32, gpu.float16])
def test_a_single_frame_asks_the_device_for_nothing_and_brings_it_nothing(kernel: Kernel | None) -> None:
    """As a CUDA graph requires."""
    with ELSEWHERE:
        face, body = FaceMorpher(), BodyMorpher()
        image, pose = torch.empty(1, 4, 512, 512), torch.empty(1, 45)
    with NothingOnTheCPU():
        frame = renderer.render(face, body, image, pose, 512, None, kernel)
    assert frame.device == ELSEWHERE


def capture(render: PoseToFrame, pose: Tensor) -> PoseToFrame:
    """Stands in for a CUDA graph, which needs a GPU: what is captured runs again, on its own pose, into its own frame.

    It shows what Autotuner does with a graph; that PyTorch's own capture works is not tested here.
    """
    pose, frame = pose.clone(), render(pose)

    def replay(new_pose: Tensor) -> Tensor:
        pose.copy_(new_pose)
        frame.copy_(render(pose))
        return frame.clone()

    return replay


def test_a_graph_that_is_captured_in_inference_mode_serves_every_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI's nodes run in inference mode, other programs not. The graph is a stand-in, as above."""
    monkeypatch.setattr(cuda_graph, "is_available", lambda device: True)
    monkeypatch.setattr(cuda_graph, "run_aside", lambda work, device: work())
    monkeypatch.setattr(cuda_graph, "capture", lambda work, device: (lambda: None, work()))
    with torch.inference_mode():
        replay = gpu.capture_cuda_graph(lambda pose: pose * 2, torch.zeros(1, 45))
        replay(torch.ones(1, 45))
    replay(torch.ones(1, 45))


@pytest.fixture
def drawn(clock) -> Callable[[float], PoseToFrame]:
    """Makes a `render` that takes so many seconds and paints its pose's first number."""

    def of(seconds: float) -> PoseToFrame:
        def render(pose: Tensor) -> Tensor:
            clock(seconds)
            return pose[:, :1, None, None].expand(1, 4, 8, 8).clone()

        return render

    return of


def in_no_time(clock: Callable[[float], None]) -> Callable[[PoseToFrame, Tensor], PoseToFrame]:
    """A capture whose graphs take a tenth of a second less than what they are of."""

    def faster(render: PoseToFrame, pose: Tensor) -> PoseToFrame:
        replay = capture(render, pose)

        def quicker(new_pose: Tensor) -> Tensor:
            frame = replay(new_pose)
            clock(-0.1)
            return frame

        return quicker

    return faster


def test_a_faster_graph_is_kept_while_its_key_is_the_same(clock, drawn) -> None:
    made = []

    def counted(render: PoseToFrame, pose: Tensor) -> PoseToFrame:
        made.append(pose)
        return in_no_time(clock)(render, pose)

    autotuner, first, second = Autotuner(counted), torch.zeros(1, 45), torch.ones(1, 45)
    graph = autotuner.cuda_graph(drawn(1.0), first, "here")
    frames = graph(first), graph(second)
    assert [float(frame.mean()) for frame in frames] == [0, 1]  # the first is not painted over by the second
    assert autotuner.cuda_graph(drawn(1.0), first, "here") is graph
    assert len(made) == 1
    assert autotuner.cuda_graph(drawn(1.0), first, "moved") is not graph
    autotuner.release_cuda_graph()
    autotuner.cuda_graph(drawn(1.0), first, "moved")
    assert len(made) == 3


def test_a_graph_that_is_no_faster_or_cannot_be_captured_is_logged_and_left(clock, drawn, caplog) -> None:
    def spoiled(render: PoseToFrame, pose: Tensor) -> PoseToFrame:
        replay = in_no_time(clock)(render, pose)
        return lambda pose: replay(pose) + 0.1

    def refused(render: PoseToFrame, pose: Tensor) -> PoseToFrame:
        raise RuntimeError("operation not permitted when stream is capturing")

    pose = torch.zeros(1, 45)
    with caplog.at_level(logging.INFO, "tha4"):
        for capture_so in (capture, spoiled, refused):
            assert Autotuner(capture_so).cuda_graph(drawn(1.0), pose, "here") is None
    logged = [record.message for record in caplog.records]
    assert logged[0].startswith("Student: a CUDA graph takes 1.00 of the time without, at inf dB.")
    assert "at 26.0 dB" in logged[1]
    assert (
        logged[2] == "Student: a CUDA graph cannot be captured here (operation not permitted when stream is capturing)."
    )
