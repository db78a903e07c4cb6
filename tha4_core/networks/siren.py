"""The student's two networks, SIRENs over pixel positions and pose (spec section 5, paper section 5).

Written plainly, as the specification states them: every layer is a 1x1 convolution over a grid of pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..picture.warping import positions
from ..pose import COUNT, HEAD_FREE

FREQUENCY = 30.0
"""A sine layer is sin(30 (W x + b)) (Sitzmann et al. 2020, section 3.2)."""

FACE_SIZE = 128
"""Height and width of the face patch in pixels."""

FACE_POSE_COUNT = HEAD_FREE.stop
"""The face student sees eyebrows and face only, not the six rotations."""

BODY_SIZES = (128, 256, 512)
"""Height and width of the body student's three levels in pixels."""

_FACE_WIDTH, _FACE_LAYERS = 128, 8
_BODY_WIDTHS = ((360, 360, 180), (180, 180, 90), (90, 90, 90))
_BODY_OUTPUTS = 7


class SineLayer(nn.Module):
    """sin(30 (W x + b)) at every pixel: `[N, in, H, W]` -> `[N, out, H, W]`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(FREQUENCY * self.linear(x))


def linears(layers: nn.Module) -> list[nn.Conv2d]:
    """The 1x1 convolutions below a module, in order."""
    return [module for module in layers.modules() if isinstance(module, nn.Conv2d)]


def matrix_of(linear: nn.Conv2d) -> Tensor:
    """A 1x1 convolution's weights as the matrix `[out, in]` that they are."""
    return linear.weight.flatten(1)


def bias_of(linear: nn.Conv2d) -> Tensor:
    """A 1x1 convolution's bias `[out]`: zeros where it has none."""
    return torch.zeros_like(linear.weight[:, 0, 0, 0]) if linear.bias is None else linear.bias


class Siren(nn.Module):
    """Sine layers and a linear one: `[N, in, H, W]` -> `[N, out, H, W]`."""

    def __init__(self, inputs: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        widths = [inputs] + [width] * layers
        self.sine_layers = nn.ModuleList(map(SineLayer, widths[:-1], widths[1:]))
        self.last_linear = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.sine_layers:
            x = layer(x)
        out: Tensor = self.last_linear(x)
        return out


class FaceMorpher(nn.Module):
    """Pose `[N, 39]` -> face patch `[N, 4, 128, 128]` in model space."""

    def __init__(self) -> None:
        super().__init__()
        self.siren = Siren(2 + FACE_POSE_COUNT, _FACE_WIDTH, _FACE_LAYERS, 4)

    def forward(self, pose: Tensor) -> Tensor:
        patch: Tensor = self.siren(_positions_and_pose(pose, FACE_SIZE))
        return patch


class BodyMorpher(nn.Module):
    """Pose `[N, 45]` -> grid change `[N, 2, 512, 512]`, alpha `[N, 1, 512, 512]` and colour `[N, 4, 512, 512]`.

    Three levels, each at twice the size of the one before and fed with its features. Alpha has no sigmoid.
    """

    def __init__(self) -> None:
        super().__init__()
        features = 0
        self.siren_layers = nn.ModuleList()
        for level in _BODY_WIDTHS:
            widths = (features + 2 + COUNT, *level)
            self.siren_layers.append(nn.ModuleList(map(SineLayer, widths[:-1], widths[1:])))
            features = level[-1]
        self.last_linear = nn.Conv2d(features, _BODY_OUTPUTS, 1)

    def forward(self, pose: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features: Tensor | None = None
        for level, size in zip(self.siren_layers, BODY_SIZES, strict=True):
            features = self._level(level, _positions_and_pose(pose, size), features)
        grid_change, alpha, colour = self.last_linear(features).split((2, 1, 4), dim=1)
        return grid_change, alpha, colour

    @staticmethod
    def _level(layers: nn.Module, inputs: Tensor, features: Tensor | None) -> Tensor:
        if features is not None:
            features = functional.interpolate(features, size=inputs.shape[-2:], mode="bilinear", align_corners=False)
            inputs = torch.cat([features, inputs], dim=1)
        for layer in layers.children():
            inputs = layer(inputs)
        return inputs


def _positions_and_pose(pose: Tensor, size: int) -> Tensor:
    """Pixel centres and the pose as constant planes: `[N, P]` -> `[N, 2 + P, size, size]`."""
    count = pose.shape[0]
    grid = positions(size, size, device=pose.device).to(pose.dtype).expand(count, -1, -1, -1)
    planes = pose[:, :, None, None].expand(-1, -1, size, size)
    return torch.cat([grid, planes], dim=1)
