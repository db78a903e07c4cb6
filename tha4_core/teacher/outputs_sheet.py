"""A teacher's intermediate images on one sheet, each under its name."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..picture.model_space import over_background, resize

_TILE = 160
_LABEL = 26
_COLUMNS = 6
_BACKGROUND = 0.35
_GRID_SCALE = 4.0
"""Grid changes are small; this many times themselves they can be seen."""


def outputs_sheet(outputs: Mapping[str, Tensor]) -> Image.Image:
    """The first image of each output, by its name NETWORK.OUTPUT, tiled on one RGB picture.

    Pictures (4 channels, model space) over grey; alphas as grey, or in colour where each colour has its own; grid
    changes (2 channels) as red for x and green for y, no change being half of each.
    """
    rows = -(-len(outputs) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * _TILE, rows * (_TILE + _LABEL)), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for index, (name, image) in enumerate(outputs.items()):
        left, top = index % _COLUMNS * _TILE, index // _COLUMNS * (_TILE + _LABEL)
        network, _, output = name.rpartition(".")
        draw.text((left + 3, top), network, fill=(150, 150, 150), font_size=9)
        draw.text((left + 3, top + 11), output, fill=(255, 255, 255), font_size=11)
        shown = image[:1, :3] if output.endswith("alpha") else image[:1]
        sheet.paste(_tile(shown.detach().float().cpu()), (left, top + _LABEL))
    return sheet


def _tile(image: Tensor) -> Image.Image:
    small = resize(image, _TILE)
    if image.shape[1] == 4:
        rgb = over_background(small, torch.full((1, 1, 1, 3), _BACKGROUND))[0]
    elif image.shape[1] == 2:
        rgb = torch.cat([small * _GRID_SCALE / 2 + 0.5, torch.full_like(small[:, :1], 0.5)], dim=1)[0].movedim(0, -1)
    else:
        rgb = small[0].movedim(0, -1).expand(-1, -1, 3)
    return Image.fromarray((rgb.clamp(0, 1) * 255).round().to(torch.uint8).numpy())
