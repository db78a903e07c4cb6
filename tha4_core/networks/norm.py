"""The norms of the teacher's networks: always in float32, exact, and fit for channels-last features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_EPSILON = 1e-5

# Numbers worked on at once on a CPU: what stays in its cache between the two or three passes over them.
_STRIP = 1 << 21


class GroupNorm(nn.GroupNorm):
    """GroupNorm of min(32, C) groups, optionally followed by SiLU."""

    def __init__(self, channels: int, *, silu: bool = False) -> None:
        super().__init__(min(32, channels), channels)
        self.silu = silu

    def forward(self, x: Tensor, *, inplace: bool = False) -> Tensor:
        """`x` `[N, C, H, W]` normalised, in its own shape and precision; where `inplace`, maybe in its memory."""
        return group_norm(x, self.num_groups, self.weight, self.bias, silu=self.silu, inplace=inplace)


class InstanceNorm(nn.GroupNorm):
    """InstanceNorm2d(affine, no running statistics): the GroupNorm with a group for every channel.

    Works in place where it can: it follows a convolution, and nobody else holds that one's output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`x` `[N, C, H, W]` normalised, in its own shape and precision."""
        return group_norm(x, self.num_groups, self.weight, self.bias, inplace=True)


def group_norm(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, *, silu: bool = False, inplace: bool = False
) -> Tensor:
    """`x` `[N, C, H, W]` normalised over its groups, with the affine `weight`, `bias` `[C]` or `[N, C]`.

    Computed in float32, returned in the precision of `x`. `inplace` allows the result to take the memory of `x`.
    """
    kernel = _by_strips if x.device.type == "cpu" else _by_torch
    # A conversion makes a copy, which may be overwritten.
    return kernel(x.float(), groups, weight, bias, silu, inplace or x.dtype != torch.float32).to(x.dtype)


def _by_torch(x: Tensor, groups: int, weight: Tensor, bias: Tensor, silu: bool, _: bool) -> Tensor:
    if weight.ndim == 1 or len(weight) == 1:  # one affine for all: the kernel applies it without another pass
        y = functional.group_norm(x, groups, weight.flatten(), bias.flatten(), _EPSILON)
    else:
        normal = functional.group_norm(x, groups, eps=_EPSILON)
        y = torch.addcmul(bias[:, :, None, None], normal, weight[:, :, None, None])
    return functional.silu(y, inplace=True) if silu else y


def _by_strips(x: Tensor, groups: int, weight: Tensor, bias: Tensor, silu: bool, inplace: bool) -> Tensor:
    """PyTorch's own CPU kernel for channels-last sums a channel in one float32, which costs three digits of a frame."""
    n, channels = x.shape[:2]
    x = x.contiguous(memory_format=torch.channels_last)
    y = x if inplace else torch.empty_like(x)
    for source, target, w, b in zip(
        _pixels(x), _pixels(y), weight.expand(n, channels), bias.expand(n, channels), strict=True
    ):
        scale, shift = affine(_totals(source), len(source), groups, w, b)
        strips = (pixels.split(max(1, _STRIP // channels)) for pixels in (source, target))
        for strip, out in zip(*strips, strict=True):
            torch.addcmul(shift, strip, scale, out=out)
            if silu:
                functional.silu(out, inplace=True)
    return y


def _pixels(x: Tensor) -> Tensor:
    """A channels-last `[N, C, H, W]` as `[N, HW, C]`, a view."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _totals(pixels: Tensor) -> Tensor:
    """The sums of `[P, C]`'s channels and those of their squares, float64 `[2, C]`."""
    sums = torch.zeros(2, pixels.shape[1], dtype=torch.float64)
    for strip in torch.split(pixels, max(1, _STRIP // pixels.shape[1])):
        sums[0] += strip.sum(0)
        sums[1] += (strip * strip).sum(0)
    return sums


def affine(totals: Tensor, pixels: int, groups: int, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and shift `[C]` that normalise as many pixels with such `totals`, and apply the affine `[C]`."""
    mean, square = (totals / pixels).view(2, groups, -1).mean(2).repeat_interleave(len(weight) // groups, dim=1)
    scale = weight * (square - mean * mean + _EPSILON).rsqrt()
    return scale.float(), (bias - mean * scale).float()
