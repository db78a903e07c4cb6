"""Building blocks of the convolutional networks: those of THA3, and the first three of THA4 (spec sections 4.1 and 8).

Every block has a `separable` variant, in which each of its convolutions is a depthwise one followed by a 1x1. Heads,
which make images of the last features, are never separable. State-dict names are those of the published files.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .norm import InstanceNorm


def conv_block(
    channels: int, out_channels: int, kernel: int = 3, stride: int = 1, *, separable: bool = False, leak: float = 0.0
) -> nn.Sequential:
    """Convolution, norm, activation: `[N, channels, H, W]` to `[N, out_channels, H / stride, W / stride]`.

    The activation is a ReLU, or a LeakyReLU of slope `leak`.
    """
    convs = _convolution(channels, out_channels, kernel, stride, separable)
    return nn.Sequential(*convs, InstanceNorm(out_channels), _activation(leak))


def doubling_block(channels: int, out_channels: int, *, separable: bool = False) -> nn.Sequential:
    """Transposed convolution, norm, ReLU: `[N, channels, H, W]` to `[N, out_channels, 2H, 2W]`."""
    narrow = channels if separable else out_channels
    groups = channels if separable else 1
    convs: list[nn.Module] = [
        nn.ConvTranspose2d(channels, narrow, 4, stride=2, padding=1, groups=groups, bias=False),
        *([_pointwise(channels, out_channels)] if separable else []),
    ]
    return nn.Sequential(*convs, InstanceNorm(out_channels), _activation(0.0))


class ResidualBlock(nn.Module):
    """`x + path(x)` with path = conv 3, norm, activation, conv 3, norm; nothing after the sum."""

    def __init__(self, channels: int, *, separable: bool = False, leak: float = 0.0) -> None:
        super().__init__()

        def conv() -> nn.Module:
            convs = _convolution(channels, channels, 3, 1, separable)
            return nn.Sequential(*convs) if separable else convs[0]

        self.resnet_path = nn.Sequential(
            conv(), InstanceNorm(channels), _activation(leak), conv(), InstanceNorm(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[N, channels, H, W]` to the same."""
        path: Tensor = self.resnet_path(x)
        return path.add_(x)


def alpha_head(channels: int, alphas: int = 1) -> nn.Sequential:
    """Features `[N, channels, H, W]` to `alphas` alphas `[N, alphas, H, W]`, 0..1."""
    return nn.Sequential(nn.Conv2d(channels, alphas, 3, padding=1), nn.Sigmoid())


def colour_head(channels: int) -> nn.Sequential:
    """Features `[N, channels, H, W]` to colours in model space `[N, 4, H, W]`."""
    return nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.Tanh())


def grid_change_head(channels: int) -> nn.Conv2d:
    """Features `[N, channels, H, W]` to a grid change `[N, 2, H, W]`, x then y, -1..1 units."""
    return nn.Conv2d(channels, 2, 3, padding=1, bias=False)


def with_planes(x: Tensor, pose: Tensor) -> Tensor:
    """`x` `[N, C, H, W]` and after it the numbers of `pose` `[N, P]` as constant planes: `[N, C + P, H, W]`."""
    planes = pose.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[-2:])
    return torch.cat([x, planes], dim=1)


def _convolution(channels: int, out_channels: int, kernel: int, stride: int, separable: bool) -> list[nn.Module]:
    padding = (kernel - 1) // 2  # 3: 1, 7: 3, and 4 with stride 2: 1
    if not separable:
        return [nn.Conv2d(channels, out_channels, kernel, stride, padding, bias=False)]
    depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels, bias=False)
    return [depthwise, _pointwise(channels, out_channels)]


def _pointwise(channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, 1, bias=False)


def _activation(leak: float) -> nn.Module:
    return nn.LeakyReLU(leak, inplace=True) if leak else nn.ReLU(inplace=True)
