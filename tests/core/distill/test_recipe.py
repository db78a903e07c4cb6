"""Loss terms against the published implementation's, and the published schedule at its boundaries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.recipe import recipe_teacher
from tha4_core.distill.recipe import (
    MASK_WEIGHT,
    PRESETS,
    BodyTerms,
    BodyWeights,
    body_plan,
    body_terms,
    face_rate,
    face_terms,
    weighted,
)
from tha4_core.picture import model_space as images
from tha4_core.picture.character import Character
from tha4_core.picture.warping import blend, warp
from tha4_core.student import Student
from tha4_core.teacher import Teacher

PAPER = PRESETS["paper"]


def test_terms_are_the_published_ones(golden: Path, lambda_00: Path) -> None:
    wanted = json.loads((golden / "distill_losses.json").read_text())
    poses = torch.tensor(wanted["poses"])
    student, teacher = Student.load(lambda_00), Teacher.from_state_dicts(recipe_teacher())
    targets = teacher.targets(Character.load(lambda_00), poses)
    with torch.no_grad():
        grid_change, alpha, colour = student.body_morpher(poses)
        warped = warp(grid_change, targets.face_morphed_full)
        ours = BodyTerms(blend(alpha, colour, warped), warped, grid_change, colour)
        terms = body_terms(ours, BodyTerms(targets.frame, targets.warped, targets.grid_change, targets.frame))
        patch = student.face_morpher(poses[:, :39])
    for name, term in terms._asdict().items():
        assert float(term) == pytest.approx(wanted["body_terms"][f"full_{name}"], rel=1e-5)
    with Image.open(lambda_00 / "face_mask.png") as picture:
        mask = torch.tensor(np.array(picture.convert("RGB")))[None, None, :, :, 0] / 255
    plain, masked = face_terms(
        patch, targets.face[..., 48:176, 32:160], images.crop(mask, slice(80, 208), slice(192, 320))
    )
    assert float(plain) == pytest.approx(wanted["face_terms_weighted"]["full"], rel=1e-5)
    assert float(MASK_WEIGHT * masked) == pytest.approx(wanted["face_terms_weighted"]["eye_mouth"], rel=1e-5)


def test_weights_multiply_their_terms() -> None:
    terms = BodyTerms(*map(torch.tensor, (1.0, 2.0, 4.0, 8.0)))
    assert float(weighted(terms, BodyWeights(1, 10, 100, 1000))) == 8421


@pytest.mark.parametrize(
    ("example", "rate"),
    [
        (0, 1e-4), (199_992, 1e-4), (200_000, 1e-4 / 3), (499_992, 1e-4 / 3), (500_000, 1e-5), (799_992, 1e-5),
        (800_000, 1e-4 / 30), (999_992, 1e-4 / 30), (1_000_000, None),
    ],
)  # fmt: skip
def test_published_rate_of_the_face(example: int, rate: float | None) -> None:
    assert face_rate(PAPER, example // 8) == rate


@pytest.mark.parametrize(
    ("example", "rate", "weights"),
    [
        (0, 1e-4, (0.25, 0.25, 0.5, 2)), (199_992, 1e-4, (0.25, 0.25, 0.5, 2)),
        (200_000, 3e-5, (0.25, 0.25, 0.5, 2)), (399_992, 3e-5, (0.25, 0.25, 0.5, 2)),
        (400_000, 3e-5, (1, 2.5, 5, 1)), (599_992, 3e-5, (1, 2.5, 5, 1)),
        (600_000, 1e-5, (1, 2.5, 5, 1)), (799_992, 1e-5, (1, 2.5, 5, 1)),
        (800_000, 1e-5, (10, 1, 1, 1)), (1_299_992, 1e-5, (10, 1, 1, 1)),
        (1_300_000, 3e-6, (10, 1, 1, 1)), (1_499_992, 3e-6, (10, 1, 1, 1)),
    ],
)  # fmt: skip
def test_published_rates_and_weights_of_the_body(example: int, rate: float, weights: tuple[float, ...]) -> None:
    plan = body_plan(PAPER, example // 8)
    assert (plan.rate, tuple(plan.weights), plan.size) == (rate, weights, 512)


def test_the_published_run_is_as_long_as_published() -> None:
    assert PAPER.steps * PAPER.crops == 1_500_000


def test_a_start_from_a_student_is_the_second_half_of_the_recipe() -> None:
    preset = PRESETS["good"]
    second, middle = preset.over(100).from_a_student(), preset.steps // 2
    assert body_plan(second, 0) == body_plan(preset, middle)
    assert face_rate(second, 50) == pytest.approx(face_rate(preset, middle + middle // 2))
    assert body_plan(second, 99).rate < body_plan(second, 98).rate < 1e-5


@pytest.mark.parametrize("preset", [p for p in PRESETS.values() if not p.published], ids=lambda preset: preset.name)
def test_our_rates_end_at_nothing_and_sizes_at_the_whole(preset: object) -> None:
    plans = [body_plan(preset, step) for step in range(0, preset.steps + 1, preset.steps // 20)]
    assert max(plan.rate for plan in plans) <= preset.body_rate
    assert plans[-1].rate < 1e-2 * preset.body_rate
    assert [plan.size for plan in plans] == sorted(plan.size for plan in plans)
    assert plans[-1].size == 512
