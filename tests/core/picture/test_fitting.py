"""The automatic fit: what is right stays, what lies elsewhere is brought back, and what is unsure is told."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import tha4_core as tha4
from tests.benchmarks.fit import embedded, is_right, made_up, score
from tha4_core.demo import demo_character
from tha4_core.picture.diagnosis import diagnose
from tha4_core.picture.fitting import SURE, Placement, auto_fit, centred_square, place
from tha4_core.picture.head_finder import WEIGHTS, find_heads

AS_IT_IS = Placement(1, 0, 0)


@pytest.fixture(scope="module")
def demo() -> Image.Image:
    return Image.fromarray(demo_character().picture.numpy())


def codes(picture: Image.Image, placement: Placement) -> list[str]:
    return [finding.code for finding in diagnose(picture, placement)]


def hat(picture: Image.Image) -> Image.Image:
    """A witch's hat on a head that lies in its box."""
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    draw.polygon([(200, 92), (256, -60), (312, 92)], fill=(30, 30, 40, 255))
    draw.ellipse((110, 72, 402, 108), fill=(30, 30, 40, 255))
    return picture


def tall_ears(picture: Image.Image) -> Image.Image:
    """Ears of a rabbit behind a head, on a canvas that holds them: 200 rows above the picture's own."""
    taller = Image.new("RGBA", (512, 712))
    draw = ImageDraw.Draw(taller)
    for left in (206, 268):
        draw.ellipse((left, 10, left + 38, 320), fill=(240, 230, 235, 255))
    taller.alpha_composite(picture, (0, 200))
    return taller


def without_face(picture: Image.Image) -> Image.Image:
    """Hair all over the face."""
    picture = picture.copy()
    ImageDraw.Draw(picture).ellipse((192, 66, 320, 200), fill=(40, 130, 160, 255))
    return picture


def test_the_demo_character_is_left_as_she_is(demo: Image.Image) -> None:
    placement, findings = tha4.fit(demo)
    assert placement == AS_IT_IS
    assert findings == []
    assert np.array_equal(np.asarray(place(demo, placement)), np.asarray(demo))


def test_the_demo_character_is_brought_back_from_other_canvases(demo: Image.Image) -> None:
    sheets = list(embedded(demo, random.Random(2)))
    assert len(sheets) >= 3
    for sheet, pasted in sheets:
        assert {"head_outside_box", "empty"} & {*codes(sheet, centred_square(*sheet.size))}
        fit = auto_fit(sheet)
        assert is_right(fit.placement, pasted), (sheet.size, pasted, fit)
        assert fit.sure
        assert not [code for code in codes(sheet, fit.placement) if code.startswith("head")]


def test_made_up_characters_are_left_alone_and_brought_back() -> None:
    made = score([made_up(index) for index in range(6)])
    assert sum(made.alone) >= 5
    assert sum(made.back) >= 0.85 * len(made.back)
    assert made.silent <= 1


@pytest.mark.parametrize("worn", [hat, tall_ears])
def test_what_is_worn_on_a_head_does_not_move_it(demo: Image.Image, worn: Callable[[Image.Image], Image.Image]) -> None:
    picture = worn(demo)
    assert is_right(auto_fit(picture).placement, Placement(1, 0, picture.height - 512))


def test_a_picture_without_a_face_is_told_and_both_placements_are_named(demo: Image.Image) -> None:
    picture = without_face(demo)
    fit = auto_fit(picture)
    assert not fit.sure
    assert fit.confidence < SURE
    [finding] = [f for f in diagnose(picture, fit.placement) if f.code == "head_unclear"]
    if fit.alternative is not None:
        assert fit.alternative != fit.placement
        assert "scale 1, x 0, y 0" in str(finding)
        assert f"scale {fit.alternative.scale:.3g}" in str(finding)


@pytest.mark.parametrize("turned", [1, 2, 3])
def test_a_picture_that_is_not_upright_is_told(demo: Image.Image, turned: int) -> None:
    assert not auto_fit(demo.rotate(90 * turned)).sure


def test_the_picture_stays_where_the_face_is_nowhere(demo: Image.Image) -> None:
    shape = Image.new("RGBA", (700, 900))
    ImageDraw.Draw(shape).rectangle((200, 100, 500, 800), fill=(90, 120, 200, 255))
    assert auto_fit(shape).placement == centred_square(700, 900)
    assert not auto_fit(shape).sure


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 40), (512, 512)])
@pytest.mark.parametrize("colour", [(0, 0, 0, 0), (200, 90, 60, 255)])
def test_pictures_of_one_colour_stay_and_are_told(size: tuple[int, int], colour: tuple[int, int, int, int]) -> None:
    fit = auto_fit(Image.new("RGBA", size, colour))
    assert fit.placement == centred_square(*size)
    assert not fit.sure


def test_nothing_visible_has_no_confidence() -> None:
    fit = auto_fit(Image.new("RGBA", (512, 512), (255, 255, 255, 0)))
    assert (fit.confidence, fit.alternative) == (0.0, None)


def test_haze_and_translucency_hide_no_face(demo: Image.Image) -> None:
    alpha = demo.getchannel("A")
    for changed in (alpha.point(lambda a: max(a, 40)), alpha.point(lambda a: a * 120 // 255)):
        picture = demo.copy()
        picture.putalpha(changed)
        fit = auto_fit(picture)
        assert fit.placement == AS_IT_IS
        assert fit.sure


@pytest.mark.parametrize("side", [64, 5000])
def test_small_and_huge_pictures_are_fitted(demo: Image.Image, side: int) -> None:
    resized = demo.resize((side, side), Image.Resampling.LANCZOS)
    assert auto_fit(resized).placement == centred_square(side, side)


def test_the_same_picture_is_fitted_the_same_way(demo: Image.Image) -> None:
    assert find_heads(demo) == find_heads(demo.copy())


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 150_000


def test_published_pictures_are_left_as_they_are_and_brought_back(cases: Path) -> None:
    paths = [*sorted((cases / "pictures" / "published").glob("*.png")), cases / "pictures" / "hat_512_to_spec.png"]
    found = score([Image.open(path).convert("RGBA") for path in paths])
    assert all(found.alone)
    assert sum(found.back) >= 0.9 * len(found.back)
    assert found.silent == 0


def test_the_head_is_found_below_tall_ears(cases: Path) -> None:
    picture = Image.open(cases / "pictures" / "rabbit_ears_1024x1536.png").convert("RGBA")
    head = find_heads(picture)[0]
    assert head.y == pytest.approx(448, abs=40)
    assert head.size == pytest.approx(240, rel=0.25)
