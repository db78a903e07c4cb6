"""The teacher as it is usually written: what the benchmark compares with, and a second opinion on the numbers.

The same modules and weights, run step by step as the specification puts it: no folded conditions, no fused layers, no
layouts, no caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional

from tha4_core.networks import norm, unet
from tha4_core.picture.character import Character
from tha4_core.teacher import Teacher


@torch.no_grad()
def plain_render(teacher: Teacher, character: Character, pose: Tensor) -> Tensor:
    """One frame `[1, 4, 512, 512]` of one pose `[1, 45]`. `teacher` is one that `make_plain` has treated."""
    teacher.clear_cache()
    with _plain_layers():
        return teacher.body(teacher.face(character, pose)["face_morphed_full"], pose)["upscaler.merged"]


def make_plain(teacher: Teacher) -> Teacher:
    """The same teacher with its weights in PyTorch's own layout. It is then for `plain_render` alone."""
    for tensor in chain(teacher.parameters(), teacher.buffers()):
        tensor.data = tensor.data.contiguous()
    return teacher


@contextmanager
def _plain_layers() -> Iterator[None]:
    with (
        patch.object(norm.InstanceNorm, "forward", _instance_norm),
        patch.object(norm.GroupNorm, "forward", _group_norm),
        patch.object(unet.ResidualBlock, "forward", _residual_block),
        patch.object(unet.UNet, "forward", _unet),
    ):
        yield


def _instance_norm(self: norm.InstanceNorm, x: Tensor) -> Tensor:
    return functional.instance_norm(x, weight=self.weight, bias=self.bias)


def _group_norm(self: norm.GroupNorm, x: Tensor) -> Tensor:
    y = functional.group_norm(x, self.num_groups, self.weight, self.bias)
    return functional.silu(y) if self.silu else y


def _residual_block(
    self: unet.ResidualBlock, x: Tensor, conditions: tuple[Tensor, Tensor], skipped: Tensor | None = None
) -> Tensor:
    if skipped is not None:
        x = torch.cat([x, skipped], dim=1)
    h = _resample(self.resample, functional.silu(functional.group_norm(x, *_of(self.norm0))))
    h = functional.conv2d(h, self.conv0.weight, self.conv0.bias, padding=1)
    h = functional.group_norm(h, *_of(self.norm1))
    for layers, condition in zip((self.cond0_layers, self.cond1_layers), conditions, strict=True):
        scale, shift = layers(condition)[:, :, None, None].chunk(2, dim=1)
        h = h * (1 + scale) + shift
    h = self.conv1(functional.silu(h))
    return self.skip(_resample(self.resample, x)) + h


def _unet(self: unet.UNet, image: Tensor, rotation: Tensor, coarse: Tensor | None = None) -> Tensor:
    conditions = self.time_embed(rotation.new_zeros(1)), self.cond_embed(rotation)
    h = self.first_conv(image) if coarse is None else self.first_conv(image) + coarse
    skips = [h]
    for block in self.down_blocks:
        skips += block(skips[-1], conditions)
    h = skips[-1]
    for block in self.middle_blocks:
        h = block(h, conditions) if isinstance(block, unet.ResidualBlock) else block(h)
    for block in self.up_blocks:
        h = block(h, skips, conditions)
    return self.last(h)


def _of(layer: nn.GroupNorm) -> tuple[int, Tensor, Tensor]:
    return layer.num_groups, layer.weight, layer.bias


def _resample(kind: str, x: Tensor) -> Tensor:
    if kind == "down":
        return functional.avg_pool2d(x, 2)
    return functional.interpolate(x, scale_factor=2) if kind == "up" else x
