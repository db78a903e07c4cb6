"""The diagnosis: every fault is found, a good picture has none, and the most important finding comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from tests.core.picture.doll import figure
from tha4_core.demo import demo_character
from tha4_core.picture.diagnosis import NOTES, WARNINGS, by_importance, diagnose
from tha4_core.picture.fitting import Placement, centred_square
from tha4_core.picture.reading import open_picture

Damage = Callable[[Image.Image], Image.Image]


def codes(picture: Image.Image, placement: Placement | None = None) -> list[str]:
    return [finding.code for finding in diagnose(picture, placement or centred_square(*picture.size))]


def under(colour: tuple[int, int, int, int]) -> Damage:
    """A colour behind the whole picture."""

    def damage(picture: Image.Image) -> Image.Image:
        sheet = Image.new("RGBA", picture.size, colour)
        sheet.alpha_composite(picture)
        return sheet

    return damage


def rim(width: int, colour: tuple[int, int, int, int]) -> Damage:
    """A rim of one colour around the figure."""

    def damage(picture: Image.Image) -> Image.Image:
        wider = picture.getchannel("A").point(lambda a: 255 * (a > 127)).filter(ImageFilter.MaxFilter(2 * width + 1))
        sheet = Image.new("RGBA", picture.size, colour)
        sheet.putalpha(wider.point(lambda a: min(a, colour[3])))
        sheet.alpha_composite(picture)
        return sheet

    return damage


def cut_from_white(picture: Image.Image) -> Image.Image:
    """The figure cut out of a white background whose colour is left in its soft edge."""
    sheet = under((255, 255, 255, 255))(picture)
    sheet.putalpha(picture.getchannel("A"))
    return sheet


def marked(box: tuple[int, int, int, int], alpha: int) -> Damage:
    def damage(picture: Image.Image) -> Image.Image:
        ImageDraw.Draw(picture).rectangle(box, fill=(90, 90, 90, alpha))
        return picture

    return damage


def as_transparent_as(part: float) -> Damage:
    def damage(picture: Image.Image) -> Image.Image:
        picture.putalpha(picture.getchannel("A").point(lambda a: int(a * part)))
        return picture

    return damage


def inverted(picture: Image.Image) -> Image.Image:
    picture.putalpha(picture.getchannel("A").point(lambda a: 255 - a))
    return picture


def cut_below(row: int) -> Damage:
    return lambda picture: (picture.paste((0, 0, 0, 0), (0, row, *picture.size)), picture)[1]


def framed(picture: Image.Image) -> Image.Image:
    """An opaque background that leaves a single transparent pixel."""
    white = under((255, 255, 255, 255))(picture)
    white.putpixel((511, 511), (0, 0, 0, 0))
    return white


def second_head(picture: Image.Image) -> Image.Image:
    """Another one, shoulder to shoulder with the first."""
    sheet = Image.new("RGBA", (800, 512))
    sheet.alpha_composite(picture.crop((140, 0, 372, 512)), (100, 0))
    sheet.alpha_composite(picture.crop((140, 0, 372, 512)), (300, 20))
    return sheet


def turned(degrees: float) -> Damage:
    return lambda picture: picture.rotate(degrees, Image.Resampling.BICUBIC, center=(256, 128))


def resized(side: int) -> Damage:
    return lambda picture: picture.resize((side, side), Image.Resampling.LANCZOS)


def demo() -> Image.Image:
    return Image.fromarray(demo_character().picture.numpy())


FAULTS: list[tuple[Damage, str]] = [
    (under((255, 255, 255, 255)), "no_alpha"),
    (framed, "opaque_background"),
    (under((128, 128, 128, 200)), "opaque_background"),
    (inverted, "inverted_alpha"),
    (as_transparent_as(0), "empty"),
    *((under((128, 128, 128, alpha)), "faint_background") for alpha in (1, 4, 40, 100)),
    *((rim(3, (*colour, alpha)), "halo") for colour in ((255,) * 3, (0,) * 3) for alpha in (30, 120)),
    (rim(4, (255, 255, 255, 255)), "halo"),
    (rim(5, (0, 0, 0, 255)), "halo"),
    (marked((20, 30, 21, 31), 255), "specks"),
    (marked((400, 480, 500, 500), 60), "specks"),
    (marked((30, 30, 480, 30), 1), "specks"),
    (marked((10, 200, 110, 500), 255), "several_figures"),
    *((as_transparent_as(part), "translucent") for part in (0.3, 0.47, 0.8)),
    (cut_below(215), "no_body"),
    (cut_below(330), "no_body"),
    (turned(24), "leaning"),
    (turned(-24), "leaning"),
    (resized(64), "too_few_pixels"),
    (resized(300), "too_few_pixels"),
    (resized(1024), "size"),
    (second_head, "two_heads"),
]


@pytest.mark.parametrize(("damage", "code"), FAULTS)
@pytest.mark.parametrize("draw", [figure, demo])
def test_each_fault_is_found(draw: Callable[[], Image.Image], damage: Damage, code: str) -> None:
    assert code in codes(damage(draw()))


def test_a_white_fringe_is_found() -> None:
    assert codes(cut_from_white(demo())) == ["halo"]


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (figure(y=120), "head_outside_box"),
        (figure(x=60), "head_outside_box"),
        (figure(scale=0.5, x=128, y=64), "head_outside_box"),
    ],
)
def test_a_head_outside_its_box_is_found(picture: Image.Image, code: str) -> None:
    assert code in codes(picture)


@pytest.mark.parametrize("size", [512, 700, 1024, 2000])
@pytest.mark.parametrize("draw", [figure, demo])
def test_a_good_picture_has_no_warning_at_any_size(draw: Callable[[], Image.Image], size: int) -> None:
    canvas = Image.new("RGBA", (size + 300, size + 200))
    canvas.paste(draw().resize((size, size), Image.Resampling.LANCZOS), (250, 200))
    scale = 512 / size
    assert codes(canvas, Placement(scale, -250 * scale, -200 * scale)) == ["size"]


def test_a_picture_moved_out_of_the_frame_is_empty() -> None:
    assert codes(figure(), Placement(1.0, 2000, 0)) == ["empty"]


def test_a_large_picture_keeps_its_faint_specks() -> None:
    picture = figure((2048, 2048), 4)
    ImageDraw.Draw(picture).line((100, 100, 1900, 100), fill=(0, 0, 0, 1))
    assert "specks" in codes(picture)


def test_warnings_come_first_and_the_most_important_one_before_all() -> None:
    picture = marked((20, 30, 30, 40), 255)(figure((1024, 1024), 2))
    found = codes(second_head(as_transparent_as(0.5)(figure())))
    assert codes(picture) == ["specks", "size"]
    assert found[0] == "two_heads"
    assert found.index("translucent") < found.index("size")


def test_every_finding_has_its_place_in_the_order() -> None:
    found = [finding for damage, _ in FAULTS for finding in diagnose(damage(figure()), Placement(1, 0, 0))]
    assert {finding.code for finding in found} <= {*WARNINGS, *NOTES}
    assert [f.is_warning for f in by_importance(found)] == sorted((f.is_warning for f in found), reverse=True)


def test_findings_say_what_to_do() -> None:
    findings = diagnose(under((255, 255, 255, 255))(figure()), centred_square(512, 512))
    assert [str(finding) for finding in findings] == [f"{f.problem} {f.remedy}" for f in findings]
    assert "Remove Background" in str(findings[0])


HEAD = {"head_outside_box", "head_unclear"}


def test_published_characters_have_no_warning_that_is_wrong(cases: Path) -> None:
    """Two hold a nearly invisible frame of lines on their background; that is true."""
    found = {path.stem: set(codes(open_picture(path))) - HEAD for path in cases.glob("pictures/published/*.png")}
    assert len(found) == 10
    lined = {"crypko_02", "crypko_04"}
    assert {name for name, codes in found.items() if codes} == lined
    assert all(found[name] == {"specks"} for name in lined)


@pytest.mark.parametrize(
    ("name", "code"), [("haze_alpha40", "faint_background"), ("hologram_alpha120", "translucent"), ("p3_profile", None)]
)
def test_pictures_as_users_bring_them(cases: Path, name: str, code: str | None) -> None:
    assert codes(open_picture(cases / "pictures" / f"{name}.png")) == ([code] if code else [])


def test_damaged_published_characters_are_seen(cases: Path) -> None:
    picture = open_picture(cases / "pictures" / "published" / "touhoku_kiritan.png")
    damages = [fault for fault in FAULTS if fault[1] in {"faint_background", "halo", "specks", "translucent"}]
    for damage, code in damages:
        assert code in codes(damage(picture.copy()))


def test_a_picture_of_noise_is_diagnosed() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 200, 4), np.uint8)
    assert codes(Image.fromarray(noise))
