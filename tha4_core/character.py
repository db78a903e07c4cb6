"""A character: one picture that fits the system's frame, and its name (spec section 1)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from . import image as images
from .errors import PictureError
from .published import DESCRIPTION, published_files
from .weights import StateDict, read_safetensors

PICTURE_KEY = "character.picture"
"""The tensor of a .safetensors file that holds the character's picture, as the bytes of a PNG."""

PICTURE_SUFFIXES = (".png", ".webp")
"""The picture formats that carry alpha and that people draw characters in."""


@dataclass(frozen=True, eq=False)
class Character:
    """A character's picture, uint8 `[512, 512, 4]`, straight-alpha sRGB. Raises PictureError for anything else."""

    picture: Tensor
    name: str = "character"

    def __post_init__(self) -> None:
        expected = (images.SIZE, images.SIZE, 4)
        if self.picture.dtype != torch.uint8 or tuple(self.picture.shape) != expected:
            raise PictureError(
                f"{self.name}: a character's picture is uint8 {list(expected)}; "
                f"this one is {self.picture.dtype} {list(self.picture.shape)}."
            )

    @classmethod
    def load(cls, path: str | Path) -> Character:
        """A character from a picture with alpha, a published character's folder, or a student's .safetensors.

        A picture of another size is cropped to its centred square and resized (Lanczos); `tha4_core.diagnosis` tells
        what of the specification it breaks. Raises PictureError or WeightsError.
        """
        path = Path(path)
        if path.suffix == ".safetensors":
            return cls(decode_picture(read_safetensors(path)[0], path), path.stem)
        return cls(square_picture(open_picture(picture_file(path))), path.stem)

    @cached_property
    def image(self) -> Tensor:
        """The picture in model space, float32 `[1, 4, 512, 512]`."""
        return images.to_model(self.picture.float() / 255)[None]


def picture_file(path: Path) -> Path:
    """The picture of a character: `path` itself, or the file of a published folder that is its picture."""
    if not path.is_dir():
        return path
    description = path / DESCRIPTION
    return (
        published_files(description)["character_image_file_name"] if description.is_file() else path / "character.png"
    )


def encode_picture(character: Character) -> Tensor:
    """The character's picture as the bytes of a PNG, uint8 `[bytes]`: a tenth of the pixels' own size."""
    png = io.BytesIO()
    Image.fromarray(character.picture.numpy()).save(png, "PNG", optimize=True)
    return torch.frombuffer(bytearray(png.getvalue()), dtype=torch.uint8)


def decode_picture(tensors: StateDict, source: Path) -> Tensor:
    """The picture, uint8 `[512, 512, 4]`, among the tensors of a .safetensors file; messages name `source`."""
    if PICTURE_KEY not in tensors:
        raise PictureError(f"{source}: there is no character in this file (no {PICTURE_KEY}).")
    png = io.BytesIO(tensors[PICTURE_KEY].numpy().tobytes())
    return square_picture(_read_picture(png, f"the picture in {source}"))


def open_picture(path: Path) -> Image.Image:
    """A picture file as Pillow's RGBA, turned upright as its camera noted. Raises PictureError."""
    if not path.is_file():
        raise PictureError(f"{path}: there is no such picture.")
    return _read_picture(path, str(path))


def _read_picture(file: Path | io.BytesIO, source: str) -> Image.Image:
    try:
        with Image.open(file) as picture:
            return ImageOps.exif_transpose(picture).convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(f"{source}: this picture cannot be read ({error}).") from error


def square_picture(picture: Image.Image) -> Tensor:
    """The centred square of an RGBA picture at 512 x 512 (Lanczos), uint8 `[512, 512, 4]`."""
    if picture.size != (images.SIZE, images.SIZE):
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.resize(
            (images.SIZE, images.SIZE), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side)
        )
    return torch.from_numpy(np.asarray(picture).copy())
