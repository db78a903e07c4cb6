"""A character: one picture that fits the system's frame, and its name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from . import image as images
from .errors import PictureError


@dataclass(frozen=True)
class Character:
    """A character's picture, uint8 `[512, 512, 4]`, straight-alpha sRGB; identity is the object.

    Raises PictureError for any other shape or type.
    """

    picture: Tensor
    name: str = "character"

    def __post_init__(self) -> None:
        expected = (images.SIZE, images.SIZE, 4)
        if self.picture.dtype != torch.uint8 or tuple(self.picture.shape) != expected:
            raise PictureError(
                f"{self.name}: a character's picture is uint8 {list(expected)}; "
                f"this one is {self.picture.dtype} {list(self.picture.shape)}."
            )

    @cached_property
    def image(self) -> Tensor:
        """The picture in model space, float32 `[1, 4, 512, 512]`."""
        return images.to_model(self.picture.float() / 255)[None]


def open_picture(path: Path) -> Image.Image:
    """A picture file as Pillow's RGBA, turned upright as its camera noted. Raises PictureError."""
    try:
        with Image.open(path) as file:
            return ImageOps.exif_transpose(file).convert("RGBA")
    except FileNotFoundError as error:
        raise PictureError(f"{path}: there is no such picture.") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path}: this picture cannot be read ({error}).") from error


def square_picture(picture: Image.Image) -> Tensor:
    """The centred square of an RGBA picture at 512 x 512 (Lanczos), uint8 `[512, 512, 4]`."""
    if picture.size != (images.SIZE, images.SIZE):
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.resize(
            (images.SIZE, images.SIZE), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side)
        )
    return torch.from_numpy(np.asarray(picture).copy())
