"""The first three networks: they take the brows off, put them back posed, and pose eyes, irises and mouth.

All three share one encoder-decoder body and differ in their heads (spec section 4.1; THA3's, section 8, are the same,
standard or separable). State-dict names are those of the published files. Images are in model space, float32
`[N, 4, H, W]`; the outputs are too, and so are alphas (`[N, 1, H, W]`, 0..1) and grid changes (`[N, 2, H, W]`, x then
y, -1..1 units), whatever the precision of the trunk.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ..picture.model_space import paste
from ..picture.warping import blend, rgb_blend, warp
from .blocks import ResidualBlock, alpha_head, colour_head, conv_block, doubling_block, grid_change_head, with_planes

Images = dict[str, Tensor]
"""The images that a network makes, by the names of spec section 4.3."""

_FIRST_CHANNELS = 64
_MOST_CHANNELS = 512
_RESIDUAL_BLOCKS = 5

BROWS_IN_FACE = (slice(32, 160), slice(32, 160))
"""Rows and columns of the face morpher's 192 x 192 input that the 128 x 128 picture of the brows lies on."""


class EncoderDecoder(nn.Module):
    """The body: down to `bottleneck` pixels, six blocks there, up again to `size` (spec section 4.1).

    `pose_size` is how many pose numbers join at the bottleneck, each as a constant plane after the features.
    """

    def __init__(
        self, image_channels: int, size: int, bottleneck: int, pose_size: int = 0, *, separable: bool = False
    ) -> None:
        super().__init__()
        steps = (size // bottleneck).bit_length() - 1
        widths = [min(_FIRST_CHANNELS << step, _MOST_CHANNELS) for step in range(steps + 1)]
        deepest = widths[-1]
        pairs = list(pairwise(widths))
        self.downsample_blocks = nn.ModuleList(
            [
                conv_block(image_channels, widths[0], separable=separable),
                *(conv_block(a, b, 4, 2, separable=separable) for a, b in pairs),
            ]
        )
        self.bottleneck_blocks = nn.ModuleList(
            [
                conv_block(deepest + pose_size, deepest, separable=separable),
                *(ResidualBlock(deepest, separable=separable) for _ in range(_RESIDUAL_BLOCKS)),
            ]
        )
        self.upsample_blocks = nn.ModuleList(doubling_block(b, a, separable=separable) for a, b in reversed(pairs))

    def features(self, image: Tensor, pose: Tensor | None = None) -> Tensor:
        """The last feature map, float32 `[N, 64, size, size]`, of `image` `[N, C, size, size]` and `pose` `[N, P]`."""
        x = image.to(next(self.downsample_blocks.parameters()).dtype)
        for block in self.downsample_blocks:
            x = block(x)
        if pose is not None:
            x = with_planes(x, pose)
        for block in self.bottleneck_blocks:
            x = block(x)
        for block in self.upsample_blocks:
            x = block(x)
        return x.float()


class EyebrowDecomposer(nn.Module):
    """Takes the brows off a face: the face without them, and they alone. Does not see the pose."""

    def __init__(self, *, separable: bool = False) -> None:
        super().__init__()
        self.body = EncoderDecoder(image_channels=4, size=128, bottleneck=16, separable=separable)
        self.background_layer_alpha = alpha_head(_FIRST_CHANNELS)
        self.background_layer_color_change = colour_head(_FIRST_CHANNELS)
        self.eyebrow_layer_alpha = alpha_head(_FIRST_CHANNELS)
        self.eyebrow_layer_color_change = colour_head(_FIRST_CHANNELS)

    def forward(self, image: Tensor) -> Images:
        """The layers of `image` `[N, 4, 128, 128]`, which is `image[64:192, 192:320]` of a character."""
        features = self.body.features(image)
        background_alpha = self.background_layer_alpha(features)
        background_colour = self.background_layer_color_change(features)
        eyebrow_alpha = self.eyebrow_layer_alpha(features)
        eyebrow_colour = self.eyebrow_layer_color_change(features)
        return {
            "eyebrow_layer": blend(eyebrow_alpha, image, eyebrow_colour),
            "eyebrow_layer_alpha": eyebrow_alpha,
            "eyebrow_layer_color_change": eyebrow_colour,
            "background_layer": blend(background_alpha, background_colour, image),
            "background_layer_alpha": background_alpha,
            "background_layer_color_change": background_colour,
        }


class EyebrowMorphingCombiner(nn.Module):
    """Poses the brows and puts them back on the face."""

    def __init__(self, *, separable: bool = False) -> None:
        super().__init__()
        self.body = EncoderDecoder(image_channels=8, size=128, bottleneck=16, pose_size=12, separable=separable)
        self.morphed_eyebrow_layer_grid_change = grid_change_head(_FIRST_CHANNELS)
        self.morphed_eyebrow_layer_alpha = alpha_head(_FIRST_CHANNELS)
        self.morphed_eyebrow_layer_color_change = colour_head(_FIRST_CHANNELS)
        self.combine_alpha = alpha_head(_FIRST_CHANNELS)

    def forward(self, background_layer: Tensor, eyebrow_layer: Tensor, pose: Tensor) -> Images:
        """The two layers `[N, 4, 128, 128]`, posed by `pose` `[N, 12]` (eyebrow_…) and put together."""
        features = self.body.features(torch.cat([background_layer, eyebrow_layer], dim=1), pose)
        grid_change = self.morphed_eyebrow_layer_grid_change(features)
        alpha = self.morphed_eyebrow_layer_alpha(features)
        colour = self.morphed_eyebrow_layer_color_change(features)
        combine_alpha = self.combine_alpha(features)
        warped = warp(grid_change, eyebrow_layer)
        morphed = blend(alpha, colour, warped)
        return {
            "eyebrow_image": rgb_blend(combine_alpha, morphed, background_layer),
            "combine_alpha": combine_alpha,
            "eyebrow_image_no_combine_alpha": rgb_blend((morphed[:, 3:] + 1) / 2, morphed, background_layer),
            "morphed_eyebrow_layer": morphed,
            "morphed_eyebrow_layer_alpha": alpha,
            "morphed_eyebrow_layer_color_change": colour,
            "warped_eyebrow_layer": warped,
            "morphed_eyebrow_layer_grid_change": grid_change,
        }


class FaceMorpher(nn.Module):
    """Poses eyes, irises and mouth of a face."""

    def __init__(self, *, separable: bool = False) -> None:
        super().__init__()
        body = EncoderDecoder(image_channels=4, size=192, bottleneck=24, pose_size=27, separable=separable)
        if separable:
            self.body = body
        else:  # its published names have no `body.` before those of the body
            for name, blocks in body.named_children():
                self.add_module(name, blocks)
        self._features = body.features
        self.iris_mouth_grid_change = grid_change_head(_FIRST_CHANNELS)
        self.iris_mouth_color_change = colour_head(_FIRST_CHANNELS)
        self.iris_mouth_alpha = alpha_head(_FIRST_CHANNELS)
        self.eye_color_change = colour_head(_FIRST_CHANNELS)
        self.eye_alpha = alpha_head(_FIRST_CHANNELS)

    def forward(self, image: Tensor, pose: Tensor) -> Images:
        """`image` `[N, 4, 192, 192]`, which is `image[32:224, 160:352]` with brows posed, and `pose` `[N, 27]`."""
        features = self._features(image, pose)
        grid_change = self.iris_mouth_grid_change(features)
        iris_mouth_alpha = self.iris_mouth_alpha(features)
        iris_mouth_colour = self.iris_mouth_color_change(features)
        eye_alpha = self.eye_alpha(features)
        eye_colour = self.eye_color_change(features)
        warped = warp(grid_change, image)
        iris_mouth = blend(iris_mouth_alpha, iris_mouth_colour, warped)
        return {
            "output": blend(eye_alpha, eye_colour, iris_mouth),
            "eye_alpha": eye_alpha,
            "eye_color_change": eye_colour,
            "iris_mouth_image_1": iris_mouth,
            "iris_mouth_alpha": iris_mouth_alpha,
            "iris_mouth_color_change": iris_mouth_colour,
            "iris_mouth_image_0": warped,
            "iris_mouth_grid_change": grid_change,
        }


def with_brows(face: Tensor, brows: Tensor) -> Tensor:
    """The face morpher's input: `face` `[N or 1, 4, 192, 192]` with `brows` `[N, 4, 128, 128]` in their place."""
    return paste(brows, face, *BROWS_IN_FACE)
