"""How the demo's layers move for the last six numbers of a pose: head, neck, body, breathing.

Every layer is flat and has a depth: the head's layers turn about the neck as one body would, so near ones move more
than far ones. The hair's ends hang and lag. A movement takes a point of the rest picture to a place in the frame; what
a frame needs is the way back, which is found by iteration on a coarse grid and is smooth between its nodes.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from ..picture.model_space import SIZE
from ..picture.warping import look_up

CELL = 8
"""Pixels between the nodes of the coarse grid."""
NODES = SIZE // CELL + 2
STEPS = 5
"""Iterations that invert a movement: within 1 pixel with every number at its extreme, 0.02 at half of it."""

LAYERS = ("back_hair", "neck", "body", "ears", "head", "side_hair", "front_hair")
"""From the back to the front."""

NOD, TURN, TILT = math.radians(15), math.radians(11), math.radians(14)
BODY_TURN, BODY_TILT = math.radians(10), math.radians(4.6)
BODY_TURNS_HEAD = 0.3
"""How much of the body's turn the head takes part in, beyond being carried."""
HEAD_PIVOT, NECK_PIVOT, HIP_PIVOT = (256.0, 176.0), (256.0, 206.0), (256.0, 370.0)
CAMERA = 900.0
"""Pixels from the camera to the head: how much larger what comes nearer grows."""
BREATH = 2.0
"""How far the chest rises, in pixels."""


class Movement(nn.Module):
    """Where each layer is looked up: displacements from the frame to the rest picture, in pixels."""

    nodes: Tensor
    traits: Tensor

    def __init__(self) -> None:
        super().__init__()
        nodes = (torch.arange(NODES, dtype=torch.float32) - 0.5) * CELL
        x, y = nodes.expand(NODES, NODES), nodes[:, None].expand(NODES, NODES)
        self.register_buffer("nodes", torch.stack([x, y]), persistent=False)
        self.register_buffer("traits", torch.stack([_traits(name, x, y) for name in LAYERS]), persistent=False)

    def forward(self, pose: Tensor) -> Tensor:
        """Poses `[N, 45]` to `[N, L, 2, 66, 66]`: at each node, how far away its rest position is (x, y)."""
        shape = (pose.shape[0], len(LAYERS), -1, -1, -1)
        target = self.nodes.expand(*shape)
        traits = self.traits.expand(*shape).flatten(0, 1)
        rest = target
        for _ in range(STEPS):
            here = look_up(traits, (rest.flatten(0, 1) / CELL + 1) / NODES * 2 - 1)
            here = rearrange(here, "(n layer) trait h w -> n layer trait h w", layer=len(LAYERS))
            rest = rest - _turned_back(moved(rest, here, pose) - target, here, pose)
        return rest - target


def spread(field: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Node values `[N, C, 66, 66]` on the pixels of a rectangle whose sides are multiples of `CELL`."""
    (top, bottom), (left, right) = rows, columns
    part = field[..., top // CELL : bottom // CELL + 2, left // CELL : right // CELL + 2]
    fine = functional.interpolate(part, scale_factor=CELL, mode="bilinear", align_corners=False)
    return fine[..., CELL:-CELL, CELL:-CELL]


def moved(rest: Tensor, traits: Tensor, pose: Tensor) -> Tensor:
    """Where points at `rest` `[N, L, 2, h, w]` go; `traits` `[N, L, 6, h, w]` as `_traits` gives them."""
    depth, head, neck, body_depth, tilt, breath = traits.unbind(2)
    nod, turn, roll, body_turn, body_tilt, breathing = pose[:, 39:45, None, None, None].unbind(1)
    x, y = rest.unbind(2)
    turned = _turn_head(x, y, depth, nod * NOD, (turn + BODY_TURNS_HEAD * body_turn) * TURN)
    x, y = x + head * (turned[0] - x), y + head * (turned[1] - y)
    x, y = _rotate(x, y, NECK_PIVOT, roll * TILT * neck)
    y = y - BREATH * breathing * breath
    x = x + 0.012 * (x - 256) * breathing * breath * (1 - head)
    angle = body_turn * BODY_TURN
    x = 256 + (x - 256) * torch.cos(angle) - body_depth * torch.sin(angle)
    x, y = _rotate(x, y, HIP_PIVOT, body_tilt * BODY_TILT * tilt)
    return torch.stack([x, y], dim=2)


def _turned_back(error: Tensor, traits: Tensor, pose: Tensor) -> Tensor:
    """What to take from a rest position for an error in the frame: most of a movement's slope is its tilt."""
    angle = pose[:, 41, None, None, None] * TILT * traits[:, :, 2]
    angle = angle + pose[:, 43, None, None, None] * BODY_TILT * traits[:, :, 4]
    x, y = error.unbind(2)
    return torch.stack(_rotate(x, y, (0.0, 0.0), -angle), dim=2)


def _turn_head(x: Tensor, y: Tensor, z: Tensor, nod: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """A rotation in space about the pivot: first about the vertical, then about the line between the ears."""
    x, y = x - HEAD_PIVOT[0], y - HEAD_PIVOT[1]
    across = x * torch.cos(turn) - z * torch.sin(turn)
    near = z * torch.cos(turn) + x * torch.sin(turn)
    down = y * torch.cos(nod) - near * torch.sin(nod)
    nearer = near * torch.cos(nod) + y * torch.sin(nod)
    growth = (CAMERA - z) / (CAMERA - nearer)
    return HEAD_PIVOT[0] + across * growth, HEAD_PIVOT[1] + down * growth


def _rotate(x: Tensor, y: Tensor, pivot: tuple[float, float], angle: Tensor) -> tuple[Tensor, Tensor]:
    """A rotation on the screen, counter-clockwise as the viewer sees it."""
    x, y = x - pivot[0], y - pivot[1]
    cos, sin = torch.cos(angle), torch.sin(angle)
    return pivot[0] + x * cos + y * sin, pivot[1] - x * sin + y * cos


def _ramp(value: Tensor, first: float, last: float) -> Tensor:
    """From 0 at `first` to 1 at `last`, smoothly."""
    t = ((value - first) / (last - first)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def _bowl(x: Tensor, y: Tensor, middle: float, wide: float, high: float, deep: float) -> Tensor:
    """Depth of a rounded surface: `deep` at its middle, 0 at its edge, never far below."""
    inside = 1 - ((x - 256) / wide) ** 2 - ((y - middle) / high) ** 2
    return deep * functional.softplus(inside + 0.15, beta=8) - deep * 0.15


def _traits(name: str, x: Tensor, y: Tensor) -> Tensor:
    """What moves a layer, at each rest position, `[6, h, w]`.

    In order: its depth as a part of the head (pixels before the neck's axis), how much it takes part in the head's
    turns and in the neck's tilt, its depth as a part of the body, its part in the body's tilt and in breathing.
    """
    one = torch.ones_like(x)
    chest = 36 * (1 - ((x - 256) / 95) ** 2).clamp(min=-0.6)
    hang = 1 - _ramp(y, 170, 275)
    depth, head, neck, body = {
        "back_hair": (6 - 24 * _ramp(y, 110, 200), 0.25 + 0.75 * hang, 0.35 + 0.65 * hang, -14 * one),
        "neck": (8 * one, 0.6 * (1 - _ramp(y, 178, 222)), 1 - _ramp(y, 182, 228), 16 * one),
        "body": (0 * one, 0 * one, 0 * one, chest),
        "ears": (4 * one, one, one, 6 * one),
        "head": (_bowl(x, y, 140, 78, 98, 54), one, one, 14 * one),
        "side_hair": (26 - 6 * _ramp(y, 150, 230), 0.2 + 0.8 * hang, 0.3 + 0.7 * hang, 14 + 12 * _ramp(y, 150, 240)),
        "front_hair": (4 + _bowl(x, y, 138, 80, 104, 58), one, one, 15 * one),
    }[name]
    tilt = 1 - 0.55 * _ramp(y, 400, 560)
    breath = (1 - _ramp(y, 300, 430)) * (1 - 0.6 * (1 - _ramp(y, 150, 230)))
    return torch.stack([depth, head, neck, body, tilt, breath])
