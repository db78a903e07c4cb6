"""What a teacher gives beside frames: targets for distillation, a mask of the face, a sheet of intermediate images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..networks.encoder_decoder import BROWS_IN_FACE, Images
from ..picture.model_space import crop, over_background, resize

_TILE = 160
_LABEL = 26
_COLUMNS = 6
_BACKGROUND = 0.35
_GRID_SCALE = 4.0
"""Grid changes are small; this many times themselves they can be seen."""

EXPRESSIVE: tuple[dict[str, float], ...] = (
    {},
    {"eyebrow_raised": 1, "eye_surprised": 1, "mouth_aaa": 1},
    {"eyebrow_lowered": 1, "eye_wink": 1, "mouth_ooo": 1},
    {"eyebrow_troubled": 1, "eye_unimpressed": 1, "mouth_lowered_corner": 1},
    {"eyebrow_angry": 1, "iris_small": 1, "mouth_delta": 1},
    {"eyebrow_happy": 1, "eye_happy_wink": 1, "mouth_raised_corner": 1},
    {"eyebrow_serious": 1, "eye_relaxed": 1, "mouth_iii": 1},
    {"eye_raised_lower_eyelid": 1, "iris_rotation_x": 1, "iris_rotation_y": 1, "mouth_uuu": 1},
    {"iris_rotation_x": -1, "iris_rotation_y": -1, "mouth_eee": 1, "mouth_smirk": 1},
)
"""The poses of a face mask: between them every brow, eye, iris and mouth parameter at its full extent."""


@dataclass(frozen=True)
class Targets:
    """What distillation learns from, whichever the teacher (spec sections 6 and 8): its images of N poses.

    All are float32, in model space where they are pictures. `frame` `[N, 4, 512, 512]`; `warped` `[N, 4, 512, 512]`,
    the face-morphed picture moved by `grid_change` `[N, 2, 512, 512]` (x, y, -1..1 units); `face_morphed_full`
    `[N, 4, 512, 512]`, the picture with the posed face and everything else at rest; `face` `[N, 4, 192, 192]`, that
    face alone, rows 32..223 and columns 160..351.
    """

    frame: Tensor
    warped: Tensor
    grid_change: Tensor
    face_morphed_full: Tensor
    face: Tensor


def face_alphas(face: Images) -> Tensor:
    """The largest of the alphas of eyes, irises and mouth, and brows `[N, 1, 192, 192]`; `face` as of Teacher.face."""
    alphas = torch.maximum(face["face_morpher.eye_alpha"], face["face_morpher.iris_mouth_alpha"])
    brows = crop(alphas, *BROWS_IN_FACE)
    brows.copy_(torch.maximum(brows, face["eyebrow_morphing_combiner.combine_alpha"]))
    return alphas


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
