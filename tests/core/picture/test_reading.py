"""Reading picture files: every mode, profile and orientation; files that are damaged, or no pictures."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import tha4_core as tha4
from tests.core.picture.doll import figure
from tha4_core.errors import PictureError
from tha4_core.picture.reading import read_picture

SHIRT = (230, 20, 40)


def png(width: int, height: int, kind: int, depth: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of unfiltered `rows`, for what Pillow does not write itself. `kind`: 0 grey, 2 RGB, 4 grey and alpha, 6."""
    header = struct.pack(">2I5B", width, height, depth, kind, 0, 0, 0)
    stride = len(rows) // height
    lines = b"".join(b"\0" + rows[at : at + stride] for at in range(0, len(rows), stride))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    made = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def pixel(content: bytes, at: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    picture, notes = read_picture(io.BytesIO(content), "some.png")
    assert notes == []
    assert picture.mode == "RGBA"
    return picture.getpixel(at)


def saved(picture: Image.Image, kind: str = "PNG", **how: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()


def test_tones_of_16_bits_are_kept() -> None:
    grey = struct.pack(">4H", 0, 0x4000, 0x8000, 0xFFFF)
    assert [pixel(png(4, 1, 0, 16, grey), (x, 0))[0] for x in range(4)] == [0, 64, 128, 255]
    assert pixel(png(1, 1, 4, 16, struct.pack(">2H", 0x8000, 0x4000))) == (128, 128, 128, 64)
    assert pixel(png(1, 1, 2, 16, struct.pack(">3H", 0x4000, 0x8000, 0xC000))) == (64, 128, 192, 255)
    assert pixel(png(1, 1, 6, 16, struct.pack(">4H", 0xFFFF, 0x8000, 0, 0x2000))) == (255, 128, 0, 32)


def test_a_colour_named_transparent_is_transparent() -> None:
    assert pixel(png(2, 1, 0, 16, struct.pack(">2H", 500, 501), (b"tRNS", struct.pack(">H", 501))), (1, 0))[3] == 0
    assert pixel(png(2, 1, 0, 8, b"\x05\x06", (b"tRNS", b"\0\x06")), (1, 0))[3] == 0
    assert pixel(png(2, 1, 2, 8, b"abcdef", (b"tRNS", b"\0d\0e\0f")), (1, 0))[3] == 0
    assert pixel(png(8, 1, 0, 1, b"\x0f", (b"tRNS", b"\0\x01")), (7, 0))[3] == 0


def test_a_palette_keeps_the_alpha_of_each_colour() -> None:
    palette = Image.new("P", (3, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    palette.putdata([0, 1, 2])
    content = saved(palette, transparency=b"\0\x80\xff")
    assert [pixel(content, (x, 0)) for x in range(3)] == [(10, 20, 30, 0), (40, 50, 60, 128), (70, 80, 90, 255)]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L", "1"])
def test_pictures_of_every_mode_load(tmp_path: Path, mode: str) -> None:
    figure().convert(mode).save(tmp_path / "some.PNG")
    character = tha4.Character.load(tmp_path / "some.PNG")
    assert character.name == "some"
    assert character.picture.shape == (512, 512, 4)


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "GIF", "BMP", "JPEG"])
def test_other_formats_are_read_whatever_their_name(tmp_path: Path, kind: str) -> None:
    picture = Image.new("RGB", (64, 64), (200, 100, 50))
    picture.save(tmp_path / "some.png", kind)
    read = np.asarray(read_picture(tmp_path / "some.png")[0]).astype(int)
    assert np.abs(read - [200, 100, 50, 255]).max() <= 3


def test_a_picture_of_a_printer_is_as_it_looks() -> None:
    cmyk = Image.new("RGB", (16, 16), (200, 100, 50)).convert("CMYK")
    red, green, blue, alpha = pixel(saved(cmyk, "JPEG", quality=95))
    assert (red, green, blue, alpha) == pytest.approx((200, 100, 50, 255), abs=6)


def test_a_camera_held_on_its_side_is_turned_upright() -> None:
    picture = Image.new("RGB", (20, 10), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    read, _ = read_picture(io.BytesIO(saved(picture, "JPEG", exif=exif)), "some.jpg")
    assert read.size == (10, 20)


WIDE = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
"""The colours of Display P3's red, green and blue, as profiles give them (XYZ under D50)."""

SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))


def profile(colours: tuple[tuple[float, ...], ...] = WIDE) -> bytes:
    """An RGB colour profile (ICC version 2) of these colours with the curve of sRGB."""

    def xyz(*values: float) -> bytes:
        return struct.pack(">4s4x3i", b"XYZ ", *(round(value * 65536) for value in values))

    levels = np.arange(1024) / 1023
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    curve = struct.pack(">4s4xI", b"curv", 1024) + (linear * 65535).round().astype(">u2").tobytes()
    text = struct.pack(">4s4xI", b"desc", 5) + b"wide\0" + bytes(79)
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), (xyz(*colour) for colour in colours), strict=True))
    tags |= {b"wtpt": xyz(0.9642, 1, 0.8249), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    tags |= {b"desc": text, b"cprt": text}
    start, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">2I", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s12x4s", start + len(data), b"test", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    header = header.ljust(68, b"\0") + xyz(0.9642, 1, 0.8249)[8:]
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def test_colours_of_a_profile_become_srgb() -> None:
    picture = Image.new("RGBA", (4, 4), (*SHIRT, 200))
    wide = pixel(saved(picture, icc_profile=profile()))
    assert wide[0] > 245
    assert wide[1] < 8
    assert wide[3] == 200
    assert pixel(saved(picture)) == (*SHIRT, 200)


def test_the_profile_of_a_users_picture_is_applied(cases: Path) -> None:
    picture, notes = read_picture(cases / "pictures" / "p3_profile.png")
    assert notes == []
    assert (252, 0, 9, 255) in {colour for _, colour in picture.getcolors(2**18)}


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "RGB"])
@pytest.mark.parametrize("srgb", [profile(SRGB), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()])
def test_an_srgb_profile_changes_no_number(mode: str, srgb: bytes) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (64, 64, 4), np.uint8)
    picture = Image.fromarray(levels).convert(mode)
    read, notes = read_picture(io.BytesIO(saved(picture, icc_profile=srgb)), "some.png")
    assert notes == []
    assert read.tobytes() == picture.convert("RGBA").tobytes()


@pytest.mark.parametrize("broken", [b"nothing", bytes(200), profile()[:150], profile().replace(b"RGB ", b"CMYK")])
def test_a_broken_profile_is_noted_and_the_picture_is_read(broken: bytes) -> None:
    picture = Image.new("RGBA", (4, 4), (*SHIRT, 200))
    read, notes = read_picture(io.BytesIO(saved(picture, icc_profile=broken)), "some.png")
    assert [note.code for note in notes] == ["bad_profile"]
    assert read.getpixel((0, 0)) == (*SHIRT, 200)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_picture_is_read_and_that_is_said(tmp_path: Path, kind: str) -> None:
    first, second = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "moving.png", kind, save_all=True, append_images=[second])
    character = tha4.Character.load(tmp_path / "moving.png")
    assert [note.code for note in character.notes] == ["animated"]
    assert character.picture[0, 0, 0] > 240


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(50), saved(figure())[:2000]])
def test_broken_pictures_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(PictureError, match=r"broken\.png: this picture cannot be read.*PNG"):
        tha4.Character.load(tmp_path / "broken.png")


def test_no_other_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostScript under the name of a picture, which Pillow gives to Ghostscript."""

    def start(*_: object, **__: object) -> None:
        pytest.fail("Another program was started.")

    monkeypatch.setattr("subprocess.Popen", start)
    monkeypatch.setattr("subprocess.check_call", start)
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    (tmp_path / "page.png").write_bytes(page)
    with pytest.raises(PictureError, match="none of PNG, WEBP, JPEG"):
        tha4.Character.load(tmp_path / "page.png")


@pytest.mark.parametrize("side", [9_000, 40_000])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(side: int) -> None:
    """A small file that would unpack to gigabytes."""
    bomb = png(side, side, 0, 8, bytes(side))
    with pytest.raises(PictureError, match="Scale it down"):
        read_picture(io.BytesIO(bomb), "bomb.png")


def test_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such picture"):
        tha4.Character.load(tmp_path / "none.png")


def spoiled(content: bytes, seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    spoilt = bytearray(content)
    for at in chance.integers(0, len(spoilt), 8):
        spoilt[at] = int(chance.integers(256))
    return bytes(spoilt[: int(chance.integers(len(spoilt) // 2, len(spoilt) + 1))])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG", "GIF", "BMP", "TIFF"])
def test_whatever_is_in_a_file_it_is_read_or_refused(kind: str) -> None:
    picture = figure().resize((48, 48)).convert("RGB" if kind in ("JPEG", "BMP") else "RGBA")
    how: dict[str, object] = {} if kind in ("GIF", "BMP") else {"icc_profile": profile()}
    content = saved(picture, kind, **how)
    for seed in range(150):
        try:
            read, _ = read_picture(io.BytesIO(spoiled(content, seed)), "spoiled")
        except PictureError:
            continue
        assert read.mode == "RGBA"
