"""Characters: loading, fitting into the frame, and the diagnosis of what a picture breaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import tha4_core as tha4
from tests.benchmarks.fit import is_right
from tha4_core.demo import demo_character
from tha4_core.errors import PictureError
from tha4_core.picture.diagnosis import diagnose
from tha4_core.picture.fitting import Placement, auto_fit, centred_square, draw_guides, place, placed_source


def figure(size: tuple[int, int] = (512, 512), scale: float = 1.0, x: float = 0, y: float = 0) -> Image.Image:
    """A plain doll that obeys the specification at scale 1: head in the box, neck, shoulders, a tuft of hair on top."""
    picture = Image.new("RGBA", size)
    draw = ImageDraw.Draw(picture)

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
        return (left * scale + x, top * scale + y, right * scale + x, bottom * scale + y)

    draw.rectangle(box(226, 150, 286, 240), fill=(250, 210, 190, 255))
    draw.rounded_rectangle(box(150, 220, 362, 620), 40 * scale, fill=(60, 90, 160, 255))
    draw.ellipse(box(196, 66, 316, 190), fill=(250, 215, 195, 255))
    draw.chord(box(192, 64, 320, 196), 180, 360, fill=(230, 120, 90, 255))
    for left in (220, 268):
        draw.ellipse(box(left, 132, left + 24, 164), fill=(60, 40, 110, 255))
    draw.ellipse(box(246, 174, 266, 180), fill=(190, 60, 70, 255))
    draw.line((*box(256, 70, 262, 30),), fill=(230, 120, 90, 255), width=max(1, round(4 * scale)))
    return picture


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


def haze(picture: Image.Image) -> Image.Image:
    alpha = picture.getchannel("A").point(lambda a: max(a, 4))
    picture.putalpha(alpha)
    return picture


def second_figure(picture: Image.Image) -> Image.Image:
    ImageDraw.Draw(picture).rectangle((10, 200, 110, 511), fill=(0, 0, 0, 255))
    return picture


def on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return white


def framed(picture: Image.Image) -> Image.Image:
    """An opaque background that leaves a single transparent pixel."""
    white = on_white(picture)
    white.putpixel((511, 511), (0, 0, 0, 0))
    return white


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (figure((512, 700)), "size"),
        (on_white(figure()), "no_alpha"),
        (framed(figure()), "opaque_background"),
        (haze(figure()), "faint_background"),
        (Image.new("RGBA", (512, 512)), "empty"),
        (second_figure(figure()), "several_figures"),
        (figure(y=120), "head_outside_box"),
        (figure(x=60), "head_outside_box"),
        (figure(scale=0.5, x=128, y=64), "head_outside_box"),
    ],
)
def test_each_fault_is_found(picture: Image.Image, code: str) -> None:
    assert code in codes(picture)


def test_findings_say_what_to_do() -> None:
    findings = diagnose(on_white(figure()), centred_square(512, 512))
    assert [str(finding) for finding in findings] == [f"{f.problem} {f.remedy}" for f in findings]
    assert "Remove the background" in str(findings[0])


def test_a_figure_without_a_face_is_told_as_unclear() -> None:
    blob = Image.new("RGBA", (512, 512))
    ImageDraw.Draw(blob).ellipse((100, 250, 412, 511), fill=(200, 80, 80, 255))
    assert "head_unclear" in codes(blob)


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


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L", "I;16"])
def test_pictures_of_every_mode_load(tmp_path: Path, mode: str) -> None:
    picture = figure().convert("L" if mode == "I;16" else mode)
    (picture.convert("I;16") if mode == "I;16" else picture).save(tmp_path / "some.png")
    character = tha4.Character.load(tmp_path / "some.png")
    assert character.name == "some"
    assert character.picture.shape == (512, 512, 4)


def test_another_size_is_the_centred_square(tmp_path: Path) -> None:
    wide = Image.new("RGBA", (1024, 512), (255, 0, 0, 255))
    wide.paste((0, 0, 255, 255), (256, 0, 768, 512))
    wide.save(tmp_path / "wide.png")
    picture = tha4.Character.load(tmp_path / "wide.png").picture
    assert torch.equal(picture, torch.tensor([0, 0, 255, 255], dtype=torch.uint8).expand(512, 512, 4))


def test_published_folder_and_its_picture_are_the_same_character(lambda_00: Path) -> None:
    by_folder = tha4.Character.load(lambda_00)
    assert torch.equal(by_folder.picture, tha4.Character.load(lambda_00 / "character.png").picture)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_broken_pictures_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(PictureError, match=r"broken\.png: this picture cannot be read"):
        tha4.Character.load(tmp_path / "broken.png")


def test_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such picture"):
        tha4.Character.load(tmp_path / "none.png")


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
