"""Reading a picture file of any mode, colour profile and orientation as straight-alpha sRGB (spec section 1)."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import PictureError
from .diagnosis import Finding

FORMATS = ("PNG", "WEBP", "JPEG", "GIF", "BMP", "TIFF")
"""What is read, by Pillow's names. Pillow knows many more; some of them start other programs."""

PICTURE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff")
"""The names that files of these formats have."""

MOST_PIXELS = 64_000_000
"""Pixels of the largest picture that is read: 256 MB in memory."""

# What Pillow raises for damaged files; which one depends on the format and on where the damage is.
_DAMAGED = (
    *(OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError, ArithmeticError, struct.error),
    *(AttributeError, AssertionError, MemoryError, NotImplementedError, RuntimeError),
)


def open_picture(path: Path) -> Image.Image:
    """A picture file as Pillow's RGBA. Raises PictureError. `read_picture` also says what of the file was not used."""
    return read_picture(path)[0]


def read_picture(
    file: Path | BinaryIO, name: str = "", most_pixels: int = MOST_PIXELS
) -> tuple[Image.Image, list[Finding]]:
    """A picture file as Pillow's RGBA, straight alpha, sRGB, upright; and notes on what of the file was not used.

    Of an animated file it is the first picture. Messages name the file `name`, or its path. Raises PictureError, for
    more than `most_pixels` before anything is decoded.
    """
    name = name or str(file)
    if isinstance(file, Path) and not file.is_file():
        raise PictureError(f"{name}: there is no such picture.")
    try:
        with Image.open(file, formats=FORMATS) as opened:
            _check_pixels(opened.width * opened.height, name, most_pixels)
            # A camera's file of several pictures (MPO) holds its preview beside the one that is meant.
            is_animated = getattr(opened, "is_animated", False) and opened.format != "MPO"
            picture, is_managed = _in_srgb(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError as error:
        kinds = ", ".join(FORMATS)
        raise PictureError(
            f"{name}: this picture cannot be read: it is damaged, or none of {kinds}. Save it as a PNG."
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels("far too many", name, most_pixels) from error
    except _DAMAGED as error:
        raise PictureError(f"{name}: this picture cannot be read ({error}). Save it anew, as a PNG.") from error
    return picture, [*([ANIMATED] if is_animated else []), *([] if is_managed else [BAD_PROFILE])]


ANIMATED = Finding(
    "animated", "The file holds several pictures (an animation, or pages).", "The first one is used, the rest are not."
)
BAD_PROFILE = Finding(
    "bad_profile",
    "The file's colour profile cannot be used: it is damaged, or not for such a picture.",
    "The colours are taken as sRGB. If they look wrong, convert the picture to sRGB in a paint program.",
)


def _check_pixels(pixels: int, name: str, most: int) -> None:
    if pixels > most:
        raise _too_many_pixels(f"{pixels / 1e6:.0f} million", name, most)


def _too_many_pixels(count: str, name: str, most: int) -> PictureError:
    return PictureError(
        f"{name}: this picture has {count} pixels; at most {most // 10**6} million are read. Scale it down: "
        "4096 x 4096 is more than is ever used."
    )


def _in_srgb(picture: Image.Image) -> tuple[Image.Image, bool]:
    """A picture of any mode as RGBA in sRGB; False where it has a colour profile that could not be applied."""
    rgba = _eight_bits(picture).convert("RGBA")
    profile = picture.info.get("icc_profile")
    if not profile:
        return rgba, True
    try:
        from PIL import ImageCms  # not at the top: few pictures need it
    except ImportError:  # a Pillow that was built without LittleCMS
        return rgba, False
    try:
        return _without_profile(picture, rgba, profile), True
    except (ImageCms.PyCMSError, *_DAMAGED):
        return rgba, False


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture as it is, or, where its grey has more than 8 bits, with 8: Pillow's own conversion cuts bright ones."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.nan_to_num(np.asarray(picture).astype(np.float32))
    white = 1.0 if picture.mode == "F" else 65535.0
    grey = Image.fromarray(((values / white).clip(0, 1) * 255).round().astype(np.uint8))
    transparent = picture.info.get("transparency")
    if transparent is not None:
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _without_profile(picture: Image.Image, rgba: Image.Image, icc: bytes) -> Image.Image:
    """The picture, whose plain conversion is `rgba`, with the colours that its ICC profile says. Raises PyCMSError."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    space = profile.profile.xcolor_space.strip()
    if (space == "CMYK") != (picture.mode == "CMYK"):
        raise ImageCms.PyCMSError(f"a profile of {space} in a picture of {picture.mode}")
    source = picture if space == "CMYK" else rgba.convert({"RGB": "RGB", "GRAY": "L"}[space])
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), source.mode, "RGB")
    converted = ImageCms.applyTransform(source, transform)
    if converted is None:
        raise ImageCms.PyCMSError("nothing was converted")
    converted.putalpha(rgba.getchannel("A"))
    return converted
