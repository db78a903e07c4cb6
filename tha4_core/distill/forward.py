"""Forward passes for training: the student's networks at any pixels of the face and crops of the body, with gradients.

The same functions as `networks.siren`, evaluated at the pixels of a batch only. Pixels are rows, so a layer is one
matrix product; a pose is a part of the bias of its pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..networks.siren import BODY_SIZES, FREQUENCY, BodyMorpher, FaceMorpher, bias_of, linears, matrix_of
from ..picture.model_space import SIZE
from ..pose import COUNT

HALO = 1
"""Pixels of a coarser level around a crop: what a bilinear resize to twice the size reads beyond it."""


def face_pixels(network: FaceMorpher, poses: Tensor, xy: Tensor) -> Tensor:
    """Model-space pixels `[P, 4]` of the face at positions `xy` `[P, 2]` (-1..1), each in its own pose `[P, 39]`."""
    features = torch.cat([xy, poses], dim=1)
    for linear in linears(network.siren.sine_layers):
        features = _sine(linear, features)
    return _linear(network.siren.last_linear, features)


def body_crops(network: BodyMorpher, poses: Tensor, rows: Tensor, columns: Tensor, side: int, size: int) -> Tensor:
    """Grid change 2, alpha 1 and colour 4 of square crops: `[K, side, side, 7]`.

    Crop k shows pose k of `poses` `[K, 45]`, from `rows[k]`, `columns[k]` (multiples of 4) on, of the body sampled at
    `size` x `size` pixels: its levels at size/4, size/2 and size. Equal to that part of a whole frame: coarser levels
    are evaluated one pixel beyond the crop, and at the frame's edge that pixel is the edge's own, as in a resize.
    """
    features = torch.empty(0)
    for layers, level_size in zip(network.siren_layers, BODY_SIZES, strict=True):
        scale = SIZE // level_size
        halo = HALO if scale > 1 else 0
        xy = crop_positions(rows // scale, columns // scale, side // scale, size // scale, halo)
        features = _level(layers, poses, xy, features if len(features) else None, halo)
    return _linear(network.last_linear, features)


def crop_positions(rows: Tensor, columns: Tensor, side: int, size: int, halo: int = 0) -> Tensor:
    """Pixel centres (x, y in -1..1) of crops of a `size` x `size` grid, `[K, side + 2 halo, side + 2 halo, 2]`.

    Pixels beyond the grid are clamped to its edge.
    """
    steps = torch.arange(-halo, side + halo, device=rows.device)
    y, x = ((2 * (first[:, None] + steps).clamp(0, size - 1) + 1) / size - 1 for first in (rows, columns))
    shape = (len(rows), len(steps), len(steps))
    return torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=-1)


def _level(layers: nn.Module, poses: Tensor, xy: Tensor, below: Tensor | None, halo: int) -> Tensor:
    """One level of the body over crops: `[K, n, n, C]`."""
    first, *others = linears(layers)
    features = _sine_of_first(first, poses, xy, below, halo)
    for linear in others:
        features = _sine(linear, features)
    return features


def _sine_of_first(first: nn.Conv2d, poses: Tensor, xy: Tensor, below: Tensor | None, halo: int) -> Tensor:
    """A level's first layer, whose input is features of the level below, x, y and the pose."""
    weight, constant = FREQUENCY * matrix_of(first), FREQUENCY * bias_of(first)
    of_features, of_position, of_pose = torch.split(weight, [weight.shape[1] - 2 - COUNT, 2, COUNT], dim=1)
    angle = functional.linear(xy, of_position) + (poses @ of_pose.T + constant)[:, None, None]
    if below is not None:
        # A resize mixes pixels, a matrix channels: the matrix first, at a quarter of the pixels.
        angle = angle + _resized(below @ of_features.T, xy.shape[1], halo)
    return torch.sin(angle)


def _resized(below: Tensor, side: int, halo: int) -> Tensor:
    """Crops `[K, n, n, C]` with their halo at twice the size, bilinear, cut to `side`, whose halo is `halo`."""
    twice = functional.interpolate(below.permute(0, 3, 1, 2), scale_factor=2, mode="bilinear", align_corners=False)
    start = 2 * HALO - halo
    return twice[:, :, start : start + side, start : start + side].permute(0, 2, 3, 1)


def _sine(linear: nn.Conv2d, features: Tensor) -> Tensor:
    # The 30 is multiplied into the weights, which are few, and not into the features, which are many.
    return torch.sin(functional.linear(features, FREQUENCY * matrix_of(linear), FREQUENCY * bias_of(linear)))


def _linear(linear: nn.Conv2d, features: Tensor) -> Tensor:
    return functional.linear(features, matrix_of(linear), bias_of(linear))
