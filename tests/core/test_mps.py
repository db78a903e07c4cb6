"""What runs on a GPU asks for nothing that Apple's GPUs lack. `LikeMPS` stands in for one: none is at hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.elsewhere import ELSEWHERE, LikeMPS
from tha4_core.demo import DemoRig, demo_character
from tha4_core.picture import model_space
from tha4_core.picture.character import Character
from tha4_core.student import Student
from tha4_core.teacher.pipeline import ARCHITECTURES

POSE = torch.zeros(1, 45)


@pytest.mark.parametrize("size", [64, 512])
def test_a_student_renders(size: int) -> None:
    student = Student(demo_character()).to(ELSEWHERE)
    with LikeMPS():
        student.forward(POSE.to(ELSEWHERE))
        assert student.render(POSE, size=size).device == ELSEWHERE


@pytest.mark.parametrize("precision", [torch.float32, torch.float16])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_teacher_renders(architecture: str, precision: torch.dtype) -> None:
    with ELSEWHERE:
        teacher = ARCHITECTURES[architecture](precision)
    with LikeMPS():
        teacher.outputs(demo_character(), POSE)


def test_the_rig_renders() -> None:
    rig = DemoRig().to(ELSEWHERE)
    with LikeMPS():
        rig.outputs(Character(rig.picture, "demo"), POSE)
        rig.face_mask(Character(rig.picture, "demo"))


def test_frames_become_pictures() -> None:
    frames = torch.empty(2, 4, 512, 512, device=ELSEWHERE)
    with LikeMPS():
        model_space.to_srgb(frames)
        model_space.to_srgb_bled(frames)
        model_space.over_background(frames, torch.empty(1, 1, 1, 3, device=ELSEWHERE))


class Refuses(TorchDispatchMode):
    """A device that lacks the antialiased resizes: the first one fails as on MPS, the next is on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation.overloadpacket.__name__
        if name.endswith("_aa") and not self.refused:
            self.refused.append(name)
            raise NotImplementedError(f"The operator 'aten::{name}.out' is not currently implemented")
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["resample", "cover"])
def test_a_device_without_antialiased_resizes_has_them_made_on_the_cpu(name: str) -> None:
    def made() -> Tensor:
        picture = torch.linspace(-1, 1, 4 * 96 * 96).reshape(1, 4, 96, 96)
        return model_space.resample(picture, 64) if name == "resample" else model_space.cover(picture, 32)

    expected = made()
    with Refuses() as device:
        assert torch.equal(made(), expected)
    assert len(device.refused) == 1
