"""Group norms of channels-last features on a CPU, exact: sums of channels in float64, tile by tile."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-5

# Numbers worked on at once: what stays in the processor's cache between the two or three passes over them.
_TILE = 1 << 21


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, *, silu: bool, inplace: bool) -> Tensor:
    """`x` `[N, C, H, W]`, float32, normalised over its groups, with the affine `weight`, `bias` `[C]` or `[N, C]`.

    PyTorch's own CPU kernel for channels-last sums a channel in one float32, which costs three digits of a frame.
    `silu` follows the norm. `inplace` allows the result to take the memory of `x`.
    """
    n, channels = x.shape[:2]
    x = x.contiguous(memory_format=torch.channels_last)
    y = x if inplace else torch.empty_like(x)
    for source, target, w, b in zip(
        _pixels(x), _pixels(y), weight.expand(n, channels), bias.expand(n, channels), strict=True
    ):
        scale, shift = affine(_channel_sums(source), len(source), groups, w, b)
        tiles = (pixels.split(max(1, _TILE // channels)) for pixels in (source, target))
        for tile, out in zip(*tiles, strict=True):
            torch.addcmul(shift, tile, scale, out=out)
            if silu:
                functional.silu(out, inplace=True)
    return y


def affine(sums: Tensor, pixels: int, groups: int, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and shift `[C]` that normalise so many pixels and apply the affine `weight`, `bias` `[C]`.

    `sums` `[2, C]`, float64, are the sums of each channel and of its squares.
    """
    mean, square = (sums / pixels).view(2, groups, -1).mean(2).repeat_interleave(len(weight) // groups, dim=1)
    scale = weight * (square - mean * mean + EPSILON).rsqrt()
    return scale.float(), (bias - mean * scale).float()


def _pixels(x: Tensor) -> Tensor:
    """A channels-last `[N, C, H, W]` as `[N, HW, C]`, a view."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _channel_sums(pixels: Tensor) -> Tensor:
    """The sums of `[P, C]`'s channels and those of their squares, float64 `[2, C]`."""
    sums = torch.zeros(2, pixels.shape[1], dtype=torch.float64)
    for tile in torch.split(pixels, max(1, _TILE // pixels.shape[1])):
        sums[0] += tile.sum(0)
        sums[1] += (tile * tile).sum(0)
    return sums
