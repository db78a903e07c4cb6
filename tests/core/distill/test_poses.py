"""Poses to train on: plausible, reproducible, or a file's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tha4_core.distill import read_poses, sample_poses
from tha4_core.errors import MotionError, PoseError, WeightsError
from tha4_core.motion import files
from tha4_core.pose import NAMES, Poses, check_poses

MANY = sample_poses(600, 0)


def column(name: str) -> torch.Tensor:
    return MANY[:, NAMES.index(name)]


def test_poses_are_poses_and_follow_the_seed() -> None:
    assert torch.equal(check_poses(MANY), MANY)
    assert torch.equal(sample_poses(50, 0), MANY[:50])
    assert not torch.equal(sample_poses(50, 1), MANY[:50])


def test_every_number_moves_and_most_moments_are_near_rest() -> None:
    assert bool((MANY.std(0) > 0.02).all())
    turned = MANY[:, 39:44].abs().amax(1)
    assert 0.3 < float((turned < 0.5).float().mean()) < 0.8
    assert float(turned.max()) > 0.9


def test_lids_mostly_agree_but_not_always() -> None:
    left, right = column("eye_wink_left"), column("eye_wink_right")
    winking = (left > 0.1) | (right > 0.1)
    alike = (left == right)[winking].float().mean()
    assert 0.5 < float(alike) < 0.95


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".npz"])
def test_poses_of_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"poses{suffix}"
    if suffix == ".pt":
        torch.save(MANY[:7], path)
    elif suffix == ".safetensors":
        save_file({"poses": MANY[:7].contiguous()}, path)
    else:
        files.save(Poses(MANY[:7]), path)
    assert torch.equal(read_poses(path), MANY[:7])


def test_a_file_that_has_no_poses_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pt"
    with pytest.raises(PoseError, match=r"wrong\.pt: there is no such file"):
        read_poses(path)
    torch.save(torch.zeros(3, 44), path)
    with pytest.raises(PoseError, match=r"wrong\.pt: .*\[3, 44\]"):
        read_poses(path)
    torch.save({"a": torch.zeros(3, 45), "b": torch.zeros(3, 45)}, path)
    with pytest.raises(PoseError, match="one tensor"):
        read_poses(path)
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"wrong\.pt"):
        read_poses(path)
    with pytest.raises(MotionError, match="txt"):
        read_poses(tmp_path / "poses.txt")
