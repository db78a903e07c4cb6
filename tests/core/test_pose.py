"""The 45 parameters and what is refused as a pose."""

import math

import pytest
import torch

from tha4_core import pose
from tha4_core.errors import PoseError


def test_order_and_groups_are_those_of_the_specification() -> None:
    assert pose.COUNT == 45
    assert pose.NAMES[:4] == (
        "eyebrow_troubled_left", "eyebrow_troubled_right", "eyebrow_angry_left", "eyebrow_angry_right",
    )  # fmt: skip
    expected = {
        11: "eyebrow_serious_right", 12: "eye_wink_left", 23: "eye_raised_lower_eyelid_right", 24: "iris_small_left",
        26: "mouth_aaa", 31: "mouth_delta", 32: "mouth_lowered_corner_left", 34: "mouth_raised_corner_left",
        36: "mouth_smirk", 37: "iris_rotation_x", 38: "iris_rotation_y", 39: "head_x", 41: "neck_z", 42: "body_y",
        44: "breathing",
    }  # fmt: skip
    assert {index: pose.NAMES[index] for index in expected} == expected
    assert {p.name for p in pose.PARAMETERS if p.minimum == -1} == {
        "iris_rotation_x", "iris_rotation_y", "head_x", "head_y", "neck_z", "body_y", "body_z",
    }  # fmt: skip


def test_two_sided_name_sets_both_sides() -> None:
    made = pose.make_pose({"eye_wink": 1.0, "head_x": -0.5, "mouth_raised_corner_right": 0.25})
    assert made.shape == (1, 45)
    assert {pose.NAMES[i]: made[0, i].item() for i in made[0].nonzero().flatten().tolist()} == {
        "eye_wink_left": 1.0, "eye_wink_right": 1.0, "head_x": -0.5, "mouth_raised_corner_right": 0.25,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("poses", "says"),
    [
        (torch.zeros(44), r"\[1, 44\]"),
        (torch.zeros(0, 45), r"\[0, 45\]"),
        (torch.zeros(2, 3, 45), r"\[2, 3, 45\]"),
        (torch.zeros(2, 45).index_put((torch.tensor(1), torch.tensor(39)), torch.tensor(math.nan)), "Pose 1: head_x"),
        (torch.full((1, 45), math.inf), "eyebrow_troubled_left = inf is not a finite number"),
        (torch.full((1, 45), -0.5), r"eyebrow_troubled_left = -0.5 is outside its range \(0 to 1\)"),
        (torch.zeros(45).index_fill(0, torch.tensor(42), 1.5), "body_y = 1.5 is outside"),
        ("nonsense", "45 numbers"),
    ],
)
def test_bad_poses_are_named(poses: object, says: str) -> None:
    with pytest.raises(PoseError, match=says):
        pose.check_poses(poses)  # type: ignore[arg-type]


def test_unknown_parameter_is_named() -> None:
    with pytest.raises(PoseError, match='"nose_x"'):
        pose.make_pose({"nose_x": 1.0})


def test_poses_are_checked_with_their_rate() -> None:
    with pytest.raises(PoseError, match="fps"):
        pose.Poses(torch.zeros(1, 45), fps=0)
    assert len(pose.Poses(torch.zeros(45))) == 1
