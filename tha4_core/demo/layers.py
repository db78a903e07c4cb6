"""The layers of the demo's character as textures: what `art/draw.py` made of the drawing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..picture import model_space as images

FOLDER = Path(__file__).parent / "layers"
FINE = 2
"""Texels a pixel of the character image."""
NAMES = ("back_hair", "neck", "body", "ears", "head", "side_hair", "front_hair", "iris", "glint")


@dataclass(frozen=True)
class Layer:
    """A texture, linear light, colour multiplied by alpha, 0..1, `[4, h, w]`, and the pixel that its corner lies at."""

    texture: Tensor
    left: int
    top: int

    @property
    def right(self) -> int:
        """The column after its last, in pixels."""
        return self.left + self.texture.shape[-1] // FINE

    @property
    def bottom(self) -> int:
        """The row after its last, in pixels."""
        return self.top + self.texture.shape[-2] // FINE

    def mirrored(self) -> Layer:
        """The same reflected about the middle of the character image."""
        return Layer(self.texture.flip(-1), images.SIZE - self.right, self.top)


def load_layers(folder: Path = FOLDER) -> dict[str, Layer]:
    """The layers by name."""
    corners = json.loads((folder / "layers.json").read_text(encoding="utf-8"))
    return {name: Layer(_texture(folder / f"{name}.webp"), *corners[name]) for name in NAMES}


def _texture(path: Path) -> Tensor:
    with Image.open(path) as file:
        straight = torch.from_numpy(np.asarray(file.convert("RGBA")).copy()).float() / 255
    return ((images.to_model(straight) + 1) / 2).contiguous()
