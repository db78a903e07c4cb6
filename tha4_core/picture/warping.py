"""Warps and blends that every network of the system ends in (spec section 3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def positions(height: int, width: int, *, device: torch.device | None = None) -> Tensor:
    """The pixel centres of a grid as float32 `[1, 2, H, W]`, x then y, -1..1 edge to edge (align_corners=False)."""
    x = (torch.arange(width, device=device, dtype=torch.float32) * 2 + 1) / width - 1
    y = (torch.arange(height, device=device, dtype=torch.float32) * 2 + 1) / height - 1
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])[None]


def warp(grid_change: Tensor, image: Tensor) -> Tensor:
    """`image` `[N or 1, C, h, w]` looked up at the identity grid plus `grid_change` `[N, 2, H, W]` (x, y, -1..1 units).

    Bilinear, border padding, align_corners=False. Coordinates are float32 whatever the inputs are: half of a pixel of
    a 512 picture is beyond what 16-bit floats hold near the edge.
    """
    return look_up(image, positions(*grid_change.shape[-2:], device=grid_change.device) + grid_change.float())


def look_up(image: Tensor, coordinates: Tensor) -> Tensor:
    """`image` `[N or 1, C, h, w]` at `coordinates` `[N, 2, H, W]`, float32, x then y, -1..1 from edge to edge.

    Bilinear, border padding, align_corners=False.
    """
    image = image.float().expand(coordinates.shape[0], -1, -1, -1)
    # Border padding by hand: PyTorch knows it on MPS only since 2.11. Nothing beyond the outermost pixel centres is
    # looked up, so the zeros that padding stands for are never seen.
    right, bottom = 1 - 1 / image.shape[3], 1 - 1 / image.shape[2]
    x, y = torch.split(coordinates, 1, dim=1)
    inside = torch.cat([x.clamp(-right, right), y.clamp(-bottom, bottom)], dim=1)
    return functional.grid_sample(image, inside.movedim(1, -1), mode="bilinear", align_corners=False)


def blend(alpha: Tensor, top: Tensor, bottom: Tensor) -> Tensor:
    """`top` over `bottom` by `alpha` (`[N, 1, H, W]`, or as many channels as they have)."""
    return top * alpha + bottom * (1 - alpha)


def rgb_blend(alpha: Tensor, top: Tensor, bottom: Tensor) -> Tensor:
    """`blend` on the first three channels; the fourth is the bottom's."""
    return torch.cat([blend(alpha, top[:, :3], bottom[:, :3]), bottom[:, 3:]], dim=1)
