"""The body of THA3: a rotator that turns it at 256 pixels, and an editor that finishes the frame at 512.

Spec section 8. State-dict names are those of the published files. Images are in model space, float32 `[N, 4, H, W]`;
the outputs are too, and so are alphas (0..1) and grid changes (`[N, 2, H, W]`, x then y, -1..1 units), whatever the
precision of the trunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..picture.model_space import resize
from ..picture.warping import blend, warp
from .blocks import ResidualBlock, alpha_head, colour_head, conv_block, grid_change_head, with_planes
from .encoder_decoder import Images

_ROTATION = 6
_RESIDUAL_BLOCKS = 6
_LEAK = 0.1


class _Body(nn.Module):
    """What rotator and editor share: the way down through `widths`, and six residual blocks there.

    A first block of `kernel` pixels, then one for each further width, which halves the pixels.
    """

    def __init__(self, image_channels: int, widths: Sequence[int], kernel: int, separable: bool) -> None:
        super().__init__()
        halving_leak = _LEAK if separable else 0.0  # the published standard networks have plain ReLUs there
        self.downsample_blocks = nn.ModuleList(
            [
                conv_block(image_channels, widths[0], kernel, separable=separable, leak=_LEAK),
                *(conv_block(a, b, 4, 2, separable=separable, leak=halving_leak) for a, b in pairwise(widths)),
            ]
        )
        self.bottleneck_blocks = nn.ModuleList(
            ResidualBlock(widths[-1], separable=separable, leak=_LEAK) for _ in range(_RESIDUAL_BLOCKS)
        )

    def down(self, x: Tensor) -> list[Tensor]:
        """The features of each width on the way down, the last of them through the residual blocks."""
        levels = [x.to(next(self.downsample_blocks.parameters()).dtype)]
        for block in self.downsample_blocks:
            levels.append(block(levels[-1]))
        for block in self.bottleneck_blocks:
            levels[-1] = block(levels[-1])
        return levels[1:]


class _RotatorBody(_Body):
    """Up again by nearest x2 and a block each."""

    def __init__(self, separable: bool) -> None:
        widths = (64, 128, 256, 512)
        super().__init__(4 + _ROTATION, widths, 7, separable)
        self.upsample_blocks = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), conv_block(b, a, separable=separable, leak=_LEAK))
            for a, b in reversed(list(pairwise(widths)))
        )

    def forward(self, image: Tensor) -> Tensor:
        """`[N, 10, H, W]` to features, float32 `[N, 64, H, W]`."""
        x = self.down(image)[-1]
        for block in self.upsample_blocks:
            x = block(x)
        return x.float()


class _EditorBody(_Body):
    """Up again by nearest x2, the features of that size from the way down, and a block each."""

    def __init__(self, separable: bool) -> None:
        widths = (32, 64, 128, 256)
        super().__init__(4 + 4 + 2 + _ROTATION, widths, 3, separable)
        self.upsample_blocks = nn.ModuleList(
            conv_block(b + a, a, separable=separable, leak=_LEAK) for a, b in reversed(list(pairwise(widths)))
        )

    def forward(self, image: Tensor) -> Tensor:
        """`[N, 16, H, W]` to features, float32 `[N, 32, H, W]`."""
        *skips, x = self.down(image)
        for block in self.upsample_blocks:
            doubled = functional.interpolate(x, scale_factor=2)
            x = block(torch.cat([doubled, skips.pop()], dim=1))
        return x.float()


class Rotator(nn.Module):
    """`two_algo_face_body_rotator`: turns head and body, once by drawing anew and once by moving pixels."""

    def __init__(self, *, separable: bool = False) -> None:
        super().__init__()
        self.encoder_decoder = _RotatorBody(separable)
        self.direct_creator = colour_head(64)
        self.grid_change_creator = grid_change_head(64)

    def forward(self, image: Tensor, rotation: Tensor) -> Images:
        """`image` `[N, 4, 256, 256]` turned by `rotation` `[N, 6]`."""
        features = self.encoder_decoder(with_planes(image, rotation))
        grid_change = self.grid_change_creator(features)
        return {
            "direct": self.direct_creator(features),
            "warped": warp(grid_change, image),
            "grid_change": grid_change,
        }


class Editor(nn.Module):
    """Corrects the rotator's grid change at 512 pixels, and colours what no pixel of the picture shows."""

    def __init__(self, *, separable: bool = False) -> None:
        super().__init__()
        self.body = _EditorBody(separable)
        self.color_change_creator = colour_head(32)
        self.alpha_creator = alpha_head(32, alphas=4)
        self.grid_change_creator = grid_change_head(32)

    def forward(self, rest: Tensor, coarse: Tensor, coarse_grid_change: Tensor, rotation: Tensor) -> Images:
        """`rest` `[N, 4, 512, 512]` turned by `rotation` `[N, 6]`.

        `coarse` `[N, 4, 256, 256]` and `coarse_grid_change` `[N, 2, 256, 256]` are the rotator's warped image and grid
        change. The alpha has four channels, one for each of the picture's.
        """
        size = rest.shape[-1]
        grid_change = resize(coarse_grid_change, size)
        hints = torch.cat([rest, resize(coarse, size), grid_change], dim=1)
        features = self.body(with_planes(hints, rotation))
        grid_change = grid_change + self.grid_change_creator(features)
        colour, alpha = self.color_change_creator(features), self.alpha_creator(features)
        warped = warp(grid_change, rest)
        return {
            "output": blend(alpha, colour, warped),
            "color_change": colour,
            "alpha": alpha,
            "warped": warped,
            "grid_change": grid_change,
        }
