"""The norms of the teacher's networks: always in float32, exact, and fit for channels-last features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import cpu
from ..cpu import EPSILON


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

    Works in place where it can: it follows a convolution, whose output nothing else holds.
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
    if x.device.type != "cpu":
        if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
            return channels_last_norm(x, groups, weight, bias, silu=silu)
        return _by_torch(x.float(), groups, weight, bias, silu).to(x.dtype)
    inplace = inplace or x.dtype != torch.float32  # a conversion makes a copy, which may be overwritten
    return cpu.group_norm(x.float(), groups, weight, bias, silu=silu, inplace=inplace).to(x.dtype)


def channels_last_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, *, silu: bool) -> Tensor:
    """`group_norm` of channels-last features on a GPU, where PyTorch's own kernel first copies them to another layout.

    In float16 with SiLU 24 bytes of memory traffic a number, where conversions, copies and that kernel take some 44.
    """
    n, channels, height, width = x.shape
    sums = x.sum((2, 3), dtype=torch.float32)
    squares = torch.linalg.vector_norm(x, dim=(2, 3), dtype=torch.float32).square()
    mean, square = (
        (part.view(n, groups, -1).sum(2, keepdim=True) / (channels // groups * height * width))
        .expand(-1, -1, channels // groups)
        .reshape(n, channels)
        for part in (sums, squares)
    )
    scale = weight * ((square - mean * mean).clamp(min=0) + EPSILON).rsqrt()
    shift = bias - mean * scale
    scale, shift = scale[:, :, None, None], shift[:, :, None, None]
    if not silu:
        return torch.addcmul(shift, x, scale, out=torch.empty_like(x))
    normal = torch.addcmul(shift, x, scale, out=torch.empty_like(x, dtype=torch.float32))
    return functional.silu(normal, inplace=True).to(x.dtype)


def _by_torch(x: Tensor, groups: int, weight: Tensor, bias: Tensor, silu: bool) -> Tensor:
    if weight.ndim == 1 or len(weight) == 1:  # one affine for all: the kernel applies it without another pass
        y = functional.group_norm(x, groups, weight.flatten(), bias.flatten(), EPSILON)
    else:
        normal = functional.group_norm(x, groups, eps=EPSILON)
        y = torch.addcmul(bias[:, :, None, None], normal, weight[:, :, None, None])
    return functional.silu(y, inplace=True) if silu else y
