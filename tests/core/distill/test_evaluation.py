"""What scores see: in particular what no PSNR over the figure does, a shade beside it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tha4_core.demo import DemoRig, demo_character
from tha4_core.distill import Scores, sample_poses
from tha4_core.distill.evaluation import compare
from tha4_core.distill.target_cache import TargetsInMemory

POSES = sample_poses(2, 3)
FACE = (slice(48, 176), slice(32, 160))


@pytest.fixture(scope="module")
def targets(rig: DemoRig) -> TargetsInMemory:
    return TargetsInMemory(demo_character(), rig, POSES)


def scores(targets: TargetsInMemory, column: int, alpha: float) -> Scores:
    """Of a student that shows what the teacher does, and in the first pose 5 x 5 pixels at the left of row 300."""

    def render(pose: Tensor) -> tuple[Tensor, Tensor]:
        index = next(i for i in range(len(POSES)) if torch.equal(POSES[i : i + 1], pose))
        frame = targets.frame(index).clone()
        if index == 0:
            frame[300:305, column : column + 5, 3] = 2 * alpha - 1
        return targets.face(index, *FACE), frame

    return compare(render, targets)


def test_a_shade_beside_the_figure_is_told(targets: TargetsInMemory) -> None:
    clean, shaded = scores(targets, 2, 0.0), scores(targets, 2, 0.3)
    assert (clean.stray_pixels, clean.stray_alpha) == (0, 0)
    assert (shaded.stray_pixels, shaded.stray_alpha) == (25 / 2, pytest.approx(0.3))
    assert shaded.figure_psnr == clean.figure_psnr > 100
    assert "stray pixels: 12.500\nstray alpha: 0.300" in str(shaded)


def test_what_is_too_faint_or_near_the_figure_is_no_shade(targets: TargetsInMemory) -> None:
    assert scores(targets, 2, 0.019).stray_pixels == 0
    figure = (targets.frame(0)[300:305, :, 3] > -0.96).any(0).nonzero()[0].item()
    assert figure > 40  # there is room at its left
    assert scores(targets, figure - 12, 0.5).stray_pixels == 0
    assert scores(targets, figure - 12 - 5, 0.5).stray_pixels > 0
