"""Training recipes: loss terms, presets, schedules of rates and weights; ours and the published one (spec section 6).

A schedule is a function of the step alone, so that a run that was stopped and resumed equals one that was not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..picture.model_space import SIZE

MASK_WEIGHT = 20.0
"""How much more an error counts where brows, eyes and mouth are."""


class BodyTerms(NamedTuple):
    """The four images that the body's loss compares, or the four terms of that loss."""

    blended: Tensor
    warped: Tensor
    grid_change: Tensor
    color_change: Tensor


class BodyWeights(NamedTuple):
    """How much each of the four terms counts."""

    blended: float
    warped: float
    grid_change: float
    color_change: float


@dataclass(frozen=True)
class Preset:
    """One way to train. Rates are the highest; `published` takes rates and weights from the published table.

    Students and checkpoints hold these fields, so their names stay.
    """

    name: str
    meaning: str
    poses: int
    """Poses drawn to learn from, where none are given."""
    steps: int
    face_pixels: int
    """Pixels a step for the face, each of its own pose; published: whole patches, 8 a step."""
    crops: int
    """Crops a step for the body, each of its own pose."""
    side: int
    """Height and width of a crop; 512 is the whole frame."""
    face_rate: float = 4e-4
    body_rate: float = 1.5e-4
    published: bool = False
    held_out: int = 8
    """Poses that are not trained on, for evaluation."""
    begin: float = 0.0
    """How much of the recipe is left out at its beginning, 0..1. Ours only."""

    def over(self, steps: int) -> Preset:
        """The same recipe over another number of steps."""
        return replace(self, steps=steps)

    def from_a_student(self) -> Preset:
        """The same steps over the recipe's second half: a student has learned what is coarse, and high rates would undo
        it."""
        return replace(self, begin=0.5)

    def share(self, step: int) -> float:
        """How far the recipe is after `step` steps, 0..1."""
        return self.begin + (1 - self.begin) * step / self.steps


class CropShares(NamedTuple):
    """How centres of crops are drawn: where the figure ever is, where the frame changes over the poses, anywhere."""

    figure: float
    change: float
    anywhere: float


class BodyPlan(NamedTuple):
    """What the body's next step is like: its rate, the terms' weights, the size that the body is sampled at, and
    where."""

    rate: float
    weights: BodyWeights
    size: int
    shares: CropShares


PUBLISHED_BATCH = 8
_FACE_EXAMPLES, _BODY_EXAMPLES = 1_000_000, 1_500_000

PRESETS = {
    preset.name: preset
    for preset in (
        Preset("draft", "a first look, minutes on a CPU", 300, 2_000, 4_096, 192, 4),
        Preset("good", "good enough to play with, half an hour on a CPU", 1_000, 12_000, 4_096, 192, 4),
        Preset("best", "as good as it gets, hours on a CPU", 3_000, 60_000, 4_096, 256, 4),
        # Small steps leave a GPU idle (docs/distillation.md).
        Preset("gpu", "large batches for an NVIDIA GPU, hours on a CPU", 1_000, 10_000, 16_384, 1_024, 4),
        Preset(
            "paper",
            "the published recipe, for comparison: 1.5 million whole frames",
            3_000,
            _BODY_EXAMPLES // PUBLISHED_BATCH,
            0,
            PUBLISHED_BATCH,
            SIZE,
            published=True,
        ),
    )
}
"""The presets by name: for a CPU, quickest first, then the others."""

# Until which example: the rate, and the weights of the four terms.
_PUBLISHED_FACE = ((200_000, 1e-4), (500_000, 1e-4 / 3), (800_000, 1e-5), (_FACE_EXAMPLES, 1e-4 / 30))
_PUBLISHED_BODY = (
    (200_000, 1e-4, BodyWeights(0.25, 0.25, 0.5, 2)),
    (400_000, 3e-5, BodyWeights(0.25, 0.25, 0.5, 2)),
    (600_000, 3e-5, BodyWeights(1, 2.5, 5, 1)),
    (800_000, 1e-5, BodyWeights(1, 2.5, 5, 1)),
    (1_300_000, 1e-5, BodyWeights(10, 1, 1, 1)),
    (_BODY_EXAMPLES, 3e-6, BodyWeights(10, 1, 1, 1)),
)

# Ours: until which share of the run. Coarse to fine, because a quarter of the size shows the whole motion in a
# sixteenth of the pixels; motion and colour first, the frame itself when they are there. The grid's weight is large
# because its numbers are small: a pixel is 1/256, and half a pixel off spoils every line of a drawing.
_SIZES = ((0.2, SIZE // 4), (0.5, SIZE // 2), (1.0, SIZE))
_WEIGHTS = ((0.2, BodyWeights(1, 0.5, 100, 3)), (0.5, BodyWeights(3, 1, 200, 3)), (1.0, BodyWeights(10, 1, 200, 2)))
# Crops beside the figure come late: they teach that nothing is there, in any pose, which coarse pictures half tell.
_SHARES = ((0.85, CropShares(0.45, 0.45, 0.1)), (1.0, CropShares(0.35, 0.35, 0.3)))
_WARM_UP = 0.02


def face_rate(preset: Preset, step: int) -> float | None:
    """The rate of the face's next step after `step` of them; None: the face is done."""
    if not preset.published:
        return preset.face_rate * _warm_up_and_decay(preset.share(step))
    examples = step * PUBLISHED_BATCH
    return next((rate for until, rate in _PUBLISHED_FACE if examples < until), None)


def body_plan(preset: Preset, step: int) -> BodyPlan:
    """What the body's next step after `step` of them is like."""
    if preset.published:
        examples = min(step * PUBLISHED_BATCH, _BODY_EXAMPLES - 1)
        rate, weights = next((rate, weights) for until, rate, weights in _PUBLISHED_BODY if examples < until)
        return BodyPlan(rate, weights, SIZE, _SHARES[0][1])  # of whole frames
    share = preset.share(min(step, preset.steps - 1))
    weights = next(weights for until, weights in _WEIGHTS if share < until)
    size = next(size for until, size in _SIZES if share < until)
    shares = next(shares for until, shares in _SHARES if share < until)
    return BodyPlan(preset.body_rate * _warm_up_and_decay(share), weights, max(size, preset.side), shares)


def _warm_up_and_decay(share: float) -> float:
    """A linear warm-up, then linearly down to 0."""
    return min(1.0, (share + 1e-3) / _WARM_UP) * (1 - share)


def face_terms(patch: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean error of a face, and the same under the mask; their sum, the second 20 times, is the face's loss.

    `patch` and `target` have one shape, `mask` (0..1) one that broadcasts to it. Both are means over all elements.
    """
    error = (patch - target).abs()
    return error.mean(), (error * mask).mean()


def body_terms(output: BodyTerms, target: BodyTerms) -> BodyTerms:
    """The four terms of the student's images against the teacher's; the colour's target is the teacher's frame."""
    return BodyTerms(*((ours - theirs).abs().mean() for ours, theirs in zip(output, target, strict=True)))


def weighted(terms: BodyTerms, weights: BodyWeights) -> Tensor:
    """The body's loss."""
    return torch.stack([weight * term for weight, term in zip(weights, terms, strict=True)]).sum()
