"""The made-up characters that the head finder is trained on, and the patches cut from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tha4_core.demo.head_training.figures import draw_figure, draw_object
from tha4_core.demo.head_training.samples import CELLS, SIDE, Sheet, draw_batch
from tha4_core.picture.head_finder import HeadNetwork


@pytest.mark.parametrize("seed", range(8))
def test_a_seed_gives_one_picture_with_its_head_where_it_says(seed: int) -> None:
    figure, again = (draw_figure(np.random.default_rng(seed), 256) for _ in range(2))
    assert figure == again
    assert figure.face
    assert figure.picture.size == (256, 256)
    assert figure.picture.getpixel((round(figure.x), round(figure.y)))[3] == 255  # type: ignore[index]
    assert 256 * 0.1 < figure.size < 256 * 0.4


def test_seeds_differ() -> None:
    pictures = [draw_figure(np.random.default_rng(seed), 128).picture.tobytes() for seed in range(10)]
    assert len(set(pictures)) == 10


def test_patches_and_their_scores_fit_the_network() -> None:
    random = np.random.default_rng(0)
    sheets = [Sheet.of(draw_figure(random, 256)) for _ in range(4)]
    patches, scores, weights = draw_batch(sheets, 40, random)
    assert patches.shape == (40, 4, SIDE, SIDE)
    assert HeadNetwork()(patches).shape == scores.shape == weights.shape == (40, 1, CELLS, CELLS)
    assert scores.min() >= 0
    assert 0.8 < scores.max() <= 1
    assert torch.isfinite(patches).all()
    assert weights.min() >= 1


def test_what_has_no_face_scores_nothing_and_counts_where_its_head_would_be() -> None:
    random = np.random.default_rng(1)
    sheets = [Sheet.of(draw_figure(random, 256, faceless=True)), Sheet.of(draw_object(random, 256))]
    _, scores, weights = draw_batch(sheets, 40, random)
    assert not scores.any()
    assert weights.max() > 4


def test_the_network_has_as_many_weights_as_it_says() -> None:
    assert sum(weight.numel() for weight in HeadNetwork().parameters()) == 30_101
