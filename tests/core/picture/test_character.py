"""Characters: loading, fitting into the frame, and the diagnosis of what a picture breaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tha4_core as tha4
from tests.benchmarks.fit import is_right
from tests.core.picture.doll import figure
from tha4_core.demo import demo_character
from tha4_core.errors import PictureError
from tha4_core.picture.diagnosis import diagnose
from tha4_core.picture.fitting import Placement, auto_fit, centred_square, draw_guides, place, placed_source


def codes(picture: Image.Image, placement: Placement | None = None) -> list[str]:
    return [finding.code for finding in diagnose(picture, placement or centred_square(*picture.size))]


def test_a_good_picture_has_no_findings_and_is_left_as_it_is() -> None:
    picture = figure()
    assert codes(picture) == []
    assert np.array_equal(np.asarray(place(picture, auto_fit(picture).placement)), np.asarray(picture))


def test_the_demo_character_has_no_findings_and_is_left_as_it_is() -> None:
    picture = Image.fromarray(demo_character().picture.numpy())
    assert codes(picture) == []
    assert np.array_equal(np.asarray(place(picture, auto_fit(picture).placement)), np.asarray(picture))


def test_the_published_character_has_no_findings_and_is_left_as_it_is(lambda_00: Path) -> None:
    picture = Image.open(lambda_00 / "character.png").convert("RGBA")
    assert codes(picture) == []
    assert np.array_equal(np.asarray(place(picture, auto_fit(picture).placement)), np.asarray(picture))


@pytest.mark.parametrize(
    ("size", "scale", "x", "y"),
    [
        ((1500, 2000), 2.3, 100, 37),
        ((600, 400), 0.5, 40, 150),
        ((512, 512), 1.5, -130, 20),
        ((3000, 900), 1.1, 2000, 9),
    ],
)
def test_automatic_fit_puts_the_head_into_its_box(size: tuple[int, int], scale: float, x: float, y: float) -> None:
    picture = figure(size, scale, x, y)
    assert {"head_outside_box", "empty"} & set(codes(picture))
    placement = auto_fit(picture).placement
    assert is_right(placement, Placement(scale, x, y))
    assert "head_outside_box" not in codes(picture, placement)


def test_adjustment_scales_about_the_head_and_moves_by_frame_pixels() -> None:
    moved = place(figure(), centred_square(512, 512).adjusted(1.4, 10, 0))
    still = np.asarray(figure())
    assert np.array_equal(np.asarray(moved)[128, 266], still[128, 256])
    rows = [np.flatnonzero(np.asarray(p)[:, column, 3] > 128)[0] for p, column in ((figure(), 300), (moved, 327))]
    assert rows[1] - 128 == pytest.approx(1.4 * (rows[0] - 128), abs=2)


def test_a_picture_moved_out_of_the_frame_is_empty() -> None:
    assert codes(figure(), Placement(1.0, 2000, 0)) == ["empty"]


def test_guides_are_drawn_over_a_copy() -> None:
    picture = figure()
    before = np.asarray(picture).copy()
    guides = draw_guides(picture)
    assert guides.mode == "RGB"
    assert guides.getpixel((192, 128)) == (220, 30, 60)
    assert np.array_equal(np.asarray(picture), before)


def test_another_size_is_the_centred_square(tmp_path: Path) -> None:
    wide = Image.new("RGBA", (1024, 512), (255, 0, 0, 255))
    wide.paste((0, 0, 255, 255), (256, 0, 768, 512))
    wide.save(tmp_path / "wide.png")
    picture = tha4.Character.load(tmp_path / "wide.png").picture
    assert torch.equal(picture, torch.tensor([0, 0, 255, 255], dtype=torch.uint8).expand(512, 512, 4))


def test_published_folder_and_its_picture_are_the_same_character(lambda_00: Path) -> None:
    by_folder = tha4.Character.load(lambda_00)
    assert torch.equal(by_folder.picture, tha4.Character.load(lambda_00 / "character.png").picture)


@pytest.mark.parametrize("picture", [torch.zeros(512, 512, 3, dtype=torch.uint8), torch.zeros(512, 512, 4)])
def test_a_character_of_another_shape_is_refused(picture: torch.Tensor) -> None:
    with pytest.raises(PictureError, match="uint8"):
        tha4.Character(picture)


@pytest.mark.parametrize(("size", "side"), [((512, 700), None), ((900, 1200), 900), ((5000, 3000), 2048)])
def test_a_large_picture_is_kept_as_the_source(tmp_path: Path, size: tuple[int, int], side: int | None) -> None:
    figure(size, min(size) / 512).save(tmp_path / "x.png")
    character = tha4.Character.load(tmp_path / "x.png")
    assert character.picture.shape == (512, 512, 4)
    assert (None if character.source is None else character.source.shape[0]) == side
    if side is not None:
        small = torch.nn.functional.interpolate(character.image_at(1024), (512, 512), mode="area")
        assert (small - character.image).abs().mean() < 0.01
        assert character.image_at(1024).shape == (1, 4, 1024, 1024)
    assert torch.equal(character.image_at(512), character.image)


def test_a_source_must_be_square_pixels() -> None:
    picture = torch.zeros(512, 512, 4, dtype=torch.uint8)
    with pytest.raises(PictureError, match="source"):
        tha4.Character(picture, "x", torch.zeros(600, 700, 4, dtype=torch.uint8))


def test_a_fitted_picture_has_a_fitted_source() -> None:
    picture = figure((1500, 2000), 2.3, 100, 37)
    placement = auto_fit(picture).placement
    source = placed_source(picture, placement, 2048)
    assert source is not None
    assert source.width == source.height == int(512 / placement.scale)
    reduced = np.asarray(source.resize((512, 512), Image.Resampling.BOX)).astype(float)
    assert np.abs(reduced - np.asarray(place(picture, placement))).mean() < 3
    assert placed_source(figure((400, 400)), centred_square(400, 400), 2048) is None
