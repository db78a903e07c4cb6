"""A character: one picture that fits the system's frame, and its name (spec section 1)."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import PictureError
from ..weights import StateDict, read_safetensors
from . import model_space as images
from .diagnosis import Finding
from .published import DESCRIPTION, published_files
from .reading import read_picture

PICTURE_KEY = "character.picture"
"""The tensor of a .safetensors file that holds the character's picture, as the bytes of a PNG."""

SOURCE_KEY = "character.source"
"""Where a .safetensors file has it: the same picture, larger."""

LARGEST_SOURCE = 2048
"""Height and width at most of what is kept of a larger picture: the largest frame that a student renders."""

_MOST_PIXELS = 4 * LARGEST_SOURCE**2
"""Of a picture within a .safetensors file, which is small because it was made so."""


@dataclass(frozen=True, eq=False)
class Character:
    """A character's picture, uint8 `[512, 512, 4]`, straight-alpha sRGB. Raises PictureError for anything else.

    `source` is the same picture as large as it was, `[S, S, 4]`, for frames of more than 512 pixels; None: no larger.
    `notes` say what of its file was not used.
    """

    picture: Tensor
    name: str = "character"
    source: Tensor | None = None
    notes: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        _check(self.picture, images.SIZE, f"{self.name}: a character's picture")
        if self.source is not None:
            _check(self.source, len(self.source), f"{self.name}: a character's source")

    @classmethod
    def load(cls, path: str | Path) -> Character:
        """A character from a picture with alpha, a published character's folder, or a student's .safetensors.

        A picture of another size is cropped to its centred square and resized (Lanczos); `tha4_core.diagnosis` tells
        what of the specification it breaks. Raises PictureError or WeightsError.
        """
        path = Path(path)
        if path.suffix.lower() == ".safetensors":
            return decode_character(read_safetensors(path)[0], path.stem, path)
        picture, notes = read_picture(picture_file(path))
        return cls.from_picture(picture, path.stem, notes)

    @classmethod
    def from_picture(cls, picture: Image.Image, name: str, notes: Iterable[Finding] = ()) -> Character:
        """A character from the centred square of an RGBA picture, such as `read_picture` gives with its notes."""
        side = min(*picture.size, LARGEST_SOURCE)
        source = square_picture(picture, side) if side > images.SIZE else None
        return cls(square_picture(picture), name, source, tuple(notes))

    def for_frames(self, size: int) -> Character:
        """The same character with a source no larger than frames of that size need; without one up to 512."""
        if self.source is None or len(self.source) <= size:
            return self
        source = square_picture(Image.fromarray(self.source.numpy()), size) if size > images.SIZE else None
        return replace(self, source=source)

    @cached_property
    def image(self) -> Tensor:
        """The picture in model space, float32 `[1, 4, 512, 512]`."""
        return images.to_model(self.picture.float() / 255)[None]

    def image_at(self, size: int) -> Tensor:
        """The picture in model space at another size, float32 `[1, 4, size, size]`: above 512 from the source, if any.

        The last one is remembered, because a large source takes about as long to resize as a frame to render.
        """
        if size not in self._sized:
            largest = self.picture if self.source is None or size <= images.SIZE else self.source
            self._sized.clear()
            self._sized[size] = images.resample(images.to_model(largest.float() / 255)[None], size)
        return self._sized[size]

    @cached_property
    def _sized(self) -> dict[int, Tensor]:
        return {}


def _check(picture: Tensor, side: int, what: str) -> None:
    if picture.dtype != torch.uint8 or tuple(picture.shape) != (side, side, 4):
        raise PictureError(f"{what} is uint8 {[side, side, 4]}; this one is {picture.dtype} {list(picture.shape)}.")


def picture_file(path: Path) -> Path:
    """The picture of a character: `path` itself, or the file of a published folder that is its picture."""
    if not path.is_dir():
        return path
    description = path / DESCRIPTION
    return (
        published_files(description)["character_image_file_name"] if description.is_file() else path / "character.png"
    )


def encode_character(character: Character) -> StateDict:
    """The character's pictures as the bytes of PNGs, uint8 `[bytes]`: a tenth of the pixels' own size."""
    encoded = {PICTURE_KEY: _png(character.picture)}
    return encoded if character.source is None else encoded | {SOURCE_KEY: _png(character.source)}


def decode_character(tensors: StateDict, name: str, path: Path) -> Character:
    """The character among the tensors of a .safetensors file; messages name `path`. Raises PictureError."""
    if PICTURE_KEY not in tensors:
        raise PictureError(
            f"{path}: there is no picture of a character in this file (no {PICTURE_KEY}). A student of this pack holds "
            "the picture that it was made for: fetch or distill this one again."
        )
    picture = square_picture(_from_png(tensors[PICTURE_KEY], path))
    if SOURCE_KEY not in tensors:
        return Character(picture, name)
    source = _from_png(tensors[SOURCE_KEY], path)
    return Character(picture, name, square_picture(source, min(source.size)))


def _png(picture: Tensor) -> Tensor:
    png = io.BytesIO()
    Image.fromarray(picture.numpy()).save(png, "PNG", optimize=True)
    return torch.frombuffer(bytearray(png.getvalue()), dtype=torch.uint8)


def _from_png(png: Tensor, path: Path) -> Image.Image:
    if png.dtype != torch.uint8 or png.ndim != 1:
        raise PictureError(
            f"{path}: the picture in this file is not the bytes of a PNG but {png.dtype} {list(png.shape)}. Fetch or "
            "distill this student again."
        )
    return read_picture(io.BytesIO(png.numpy().tobytes()), f"the picture in {path}", _MOST_PIXELS)[0]


def square_picture(picture: Image.Image, size: int = images.SIZE) -> Tensor:
    """The centred square of an RGBA picture at `size` x `size` (Lanczos), uint8 `[size, size, 4]`."""
    if picture.size != (size, size):
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    return torch.from_numpy(np.asarray(picture).copy())
