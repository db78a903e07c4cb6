"""What a student is punished for: the published terms (spec section 6), as means of absolute errors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MASK_WEIGHT = 20.0
"""How much more an error counts where brows, eyes and mouth are."""


class BodyTerms(NamedTuple):
    """The four images that the body is judged by, or the four terms that come of them."""

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
