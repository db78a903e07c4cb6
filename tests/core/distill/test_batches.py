"""Pictures that are never put together are looked up as if they were; crops lie where the recipe wants them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from tha4_core.demo import DemoRig, demo_character
from tha4_core.distill import PRESETS, sample_poses
from tha4_core.distill.batches import BodySampler, Pictures, generator
from tha4_core.distill.recipe import body_plan
from tha4_core.distill.target_cache import TargetCache, compute_targets

ROWS, COLUMNS = slice(32, 224), slice(160, 352)


def test_lookups_and_their_gradients_are_those_of_whole_pictures() -> None:
    random = torch.Generator().manual_seed(0)
    rest = torch.rand(512, 512, 4, generator=random)
    faces = torch.rand(3, 192, 192, 4, generator=random).half()
    which = torch.tensor([2, 0, 2])
    wholes = rest.repeat(3, 1, 1, 1)
    wholes[:, ROWS, COLUMNS] = faces[which].float()
    # Far outside the frame, on the border of the faces, and everywhere.
    somewhere = torch.rand(3, 60, 60, 2, generator=random) * 2.6 - 1.3
    somewhere[:, 0, :, 0] = torch.linspace(159, 161, 60) / 256 - 1
    ours, theirs = (somewhere.clone().requires_grad_() for _ in range(2))
    seen = Pictures(rest, faces, which).warped(ours)
    wanted = functional.grid_sample(
        wholes.movedim(-1, 1), theirs, mode="bilinear", padding_mode="border", align_corners=False
    ).movedim(1, -1)
    torch.testing.assert_close(seen, wanted, atol=1e-4, rtol=0)
    seen.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=0.05, rtol=1e-3)


def test_what_is_no_number_is_seen_as_such_and_breaks_nothing() -> None:
    nowhere = torch.tensor([float("nan"), float("inf")]).expand(1, 1, 1, 2)
    seen = Pictures(torch.zeros(512, 512, 4), torch.zeros(1, 192, 192, 4).half(), torch.tensor([0])).warped(nowhere)
    assert bool(seen.isnan().all())


def test_more_crops_lie_beside_the_figure_at_the_end_of_a_run(rig: DemoRig, tmp_path: Path) -> None:
    poses, preset = sample_poses(8, 0), PRESETS["good"]
    compute_targets(tmp_path, demo_character(), rig, poses, lambda done: None)
    targets = TargetCache(tmp_path, poses)
    figure = torch.stack([targets.frame(index)[..., 3] for index in range(len(poses))]).amax(0) > -0.96
    sampler = BodySampler(targets, torch.zeros(len(poses), 192, 192, 4).half(), demo_character().image)
    outside = []
    for step in (preset.steps * 3 // 4, preset.steps - 1):
        plan = body_plan(preset, step)
        crops = sampler.crops(2_000, preset.side, plan.size, plan.shares, generator(0, step, 1))
        outside.append(float((~figure[crops.rows + 1, crops.columns + 1]).float().mean()))
    assert 0 < 2 * outside[0] < outside[1] < 0.3
