"""Distillation on other devices than the CPU, and on several. None is at hand: what stands in for them says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.core.distill.conftest import TINY
from tests.elsewhere import ELSEWHERE, LikeMPS
from tha4_core.demo import DemoRig, demo_character
from tha4_core.distill import __main__, run, sample_poses
from tha4_core.distill.batches import BodySampler, FaceSampler, load_faces
from tha4_core.distill.target_cache import TargetCache, compute_targets
from tha4_core.distill.trainer import Trainer
from tha4_core.student import Student


@pytest.fixture
def trainer(rig: DemoRig, tmp_path: Path) -> Trainer:
    """A training whose student is elsewhere; to be used within LikeMPS."""
    poses = sample_poses(2, 5)
    compute_targets(tmp_path, demo_character(), rig, poses, lambda done: None)
    targets = TargetCache(tmp_path, poses)
    with LikeMPS():
        student = Student(demo_character()).to(ELSEWHERE)
        faces, mask = load_faces(targets, ELSEWHERE), rig.face_mask(demo_character())
        samplers = FaceSampler(targets, faces, mask), BodySampler(targets, faces, student.image)
        return Trainer(student, *samplers, TINY, 0, lambda: None)


@pytest.mark.filterwarnings("ignore:.*no-op")  # weights that have no numbers are loaded
def test_training_asks_for_nothing_that_mps_lacks(trainer: Trainer) -> None:
    with LikeMPS():
        trainer.step()
        trainer.resume(trainer.snapshot(), trainer.progress)
        trainer.step()
    assert trainer.progress.step == 2


def test_processes_share_nothing_that_is_on_the_cpu(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL, which is not to be had without GPUs, refuses it."""
    reduced = []

    def all_reduce(tensor: Tensor) -> None:
        if tensor.device.type == "cpu":
            raise RuntimeError("No backend type associated with device type cpu")
        reduced.append(tensor.numel())

    for name, value in {"is_initialized": True, "get_rank": 1, "get_world_size": 2}.items():
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    with LikeMPS():
        trainer.step()
    assert len(reduced) == 3  # two networks' gradients and the loss


@pytest.mark.parametrize(
    ("device", "free", "count"), [("cpu", 0, 1), ("cuda", 80e9, 16), ("cuda", 10e9, 4), ("cuda", 1e9, 1), ("xpu", 0, 4)]
)
def test_a_teacher_shows_as_many_poses_at_once_as_fit(
    monkeypatch: pytest.MonkeyPatch, device: str, free: float, count: int
) -> None:
    monkeypatch.setattr(run, "free_memory", lambda device: int(free))
    assert run.poses_at_once(torch.device(device)) == count


def test_a_teacher_computes_in_what_the_command_says(monkeypatch: pytest.MonkeyPatch, rig: DemoRig) -> None:
    loaded: list[tuple[str, torch.dtype]] = []
    monkeypatch.setattr(__main__.Teacher, "load", lambda *about: loaded.append(about) or rig)
    monkeypatch.setattr(__main__, "distill", lambda job, **_: None)
    options = ("--name", "none", "--device", "cpu", "--teacher", "five files", "--teacher-precision", "float16")
    monkeypatch.setattr(sys, "argv", ["distill", "train", *options])
    assert __main__.main() == 0
    assert loaded == [("five files", torch.float16)]


class TwoGPUs:
    """Stands in for torch.cuda and torch.distributed on a machine with two GPUs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, has_nccl: bool) -> None:
        self.backend, self.current = "", None
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "set_device", lambda device: setattr(self, "current", device))
        monkeypatch.setattr(torch.distributed, "is_backend_available", lambda name: has_nccl and name == "nccl")
        monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend: setattr(self, "backend", backend))


def device_of(monkeypatch: pytest.MonkeyPatch, rank: str, *options: str) -> tuple[int, Any]:
    """The exit code of a process that torchrun starts, and the device that it would compute on."""
    devices = []
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.setattr(sys, "argv", ["distill", "train", "--name", "none", *options])
    monkeypatch.setattr(__main__, "_train", lambda options: devices.append(options.device) or 0)
    return __main__.main(), devices[0] if devices else None


@pytest.mark.parametrize(("has_nccl", "backend"), [(True, "cpu:gloo,cuda:nccl"), (False, "gloo")])
def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch, has_nccl: bool, backend: str) -> None:
    machine = TwoGPUs(monkeypatch, has_nccl)
    for rank in (0, 1):
        assert device_of(monkeypatch, str(rank)) == (0, torch.device("cuda", rank))
        assert (machine.current, machine.backend) == (torch.device("cuda", rank), backend)


def test_more_processes_than_gpus_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    TwoGPUs(monkeypatch, has_nccl=True)
    assert device_of(monkeypatch, "2") == (1, None)
    assert "a GPU of its own, and there are 2: --nproc-per-node 2" in capsys.readouterr().err


def test_processes_on_the_cpu_meet_by_gloo(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = TwoGPUs(monkeypatch, has_nccl=True)
    assert device_of(monkeypatch, "2", "--device", "cpu") == (0, torch.device("cpu"))
    assert machine.backend == "gloo"


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps", "cpu"])
def test_the_fastest_device_is_taken(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name, module in {"cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.backends.mps}.items():
        monkeypatch.setattr(module, "is_available", lambda name=name: name == kind)
    devices: list[str] = []
    monkeypatch.setattr(sys, "argv", ["distill", "train", "--name", "none"])
    monkeypatch.setattr(__main__, "_train", lambda options: devices.append(options.device) or 0)
    assert __main__.main() == 0
    assert devices == [kind]
