"""The demo's character in other colours, expressions and hair: soft shading that the drawn characters do not have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...picture import model_space
from ...picture.character import Character
from ...pose import COUNT
from ..layers import Layer, load_layers
from ..rig import DemoRig
from .figures import Figure
from .pen import Random, colour_matrix

PARTS = {"hair": ("back_hair", "side_hair", "front_hair"), "skin": ("head", "neck", "ears"), "cloth": ("body",)}
MAY_MISS = {"ears": 0.6, "side_hair": 0.3, "back_hair": 0.3}


def draw_demo(random: Random, side: int = 384) -> Figure:
    """The demo's character, changed by chance, on a square of `side` pixels."""
    rig = DemoRig(_changed(load_layers(), random))
    pose = torch.from_numpy(random.uniform(0, 0.6, COUNT) * (random.random(COUNT) < 0.25)).float()
    frame = rig.render(Character(rig.picture), pose[None])
    pixels = (model_space.to_srgb(frame)[0] * 255).round().to(torch.uint8).numpy()
    scale = side / model_space.SIZE
    picture = Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX)
    return Figure(picture, 256 * scale, 128 * scale, 128 * scale, face=True)


def _changed(layers: dict[str, Layer], random: Random) -> dict[str, Layer]:
    matrices = {"iris": colour_matrix(random, np.pi)}
    for part, names in PARTS.items():
        matrix = colour_matrix(random, 0.25 if part == "skin" else np.pi)
        matrices |= dict.fromkeys(names, matrix)
    shown = {name: float(random.random() >= MAY_MISS.get(name, 0)) for name in layers}
    return {
        name: replace(layer, texture=shown[name] * _recoloured(layer.texture, matrices.get(name)))
        for name, layer in layers.items()
    }


def _recoloured(texture: Tensor, matrix: Tensor | None) -> Tensor:
    """A texture, linear light multiplied by alpha, with its colours changed."""
    if matrix is None:
        return texture
    alpha = texture[3:]
    rgb = torch.einsum("ij,jhw->ihw", matrix, texture[:3]).clamp(min=0)
    return torch.cat([torch.minimum(rgb, alpha), alpha])
