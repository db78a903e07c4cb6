"""The last two networks: a U-Net that turns the body at 256 pixels, and one that finishes the frame at 512.

Diffusion-style U-Nets with the time step fixed at 0 (spec section 4.2). State-dict names are those of the published
files. Two things are derived from the weights when they are loaded and never saved: the time condition, a constant,
becomes part of the norms that it modulates; nearest x2 followed by a 3x3 convolution becomes one transposed
convolution, with 16 products a value instead of 36. Whoever changes weights in place calls `UNet.fold` afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .. import cpu
from ..cpu import DOUBLED, BufferPool, Conv3x3
from ..picture.model_space import resize
from ..picture.warping import blend, warp
from .encoder_decoder import Images
from .norm import GroupNorm, group_norm

_CONDITION = 256
_ROTATION = 6
_HEADS = 8


class ModulatedNorm(GroupNorm):
    """A GroupNorm with SiLU whose affine two conditions modulate: time once for all (`fold`), then the pose."""

    scale: Tensor
    shift: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, silu=True)
        self.register_buffer("scale", self.weight.detach().clone(), persistent=False)
        self.register_buffer("shift", self.bias.detach().clone(), persistent=False)

    def fold(self, modulation: Tensor) -> None:
        """Make `modulation` `[1, 2C]` (scale - 1, then shift), a constant, part of the affine."""
        scale, shift = modulation[0].chunk(2)
        self.scale.copy_(self.weight * (1 + scale))
        self.shift.copy_(self.bias * (1 + scale) + shift)

    def modulate(self, x: Tensor, modulation: Tensor) -> Tensor:
        """`x` `[N, C, H, W]`, a convolution's output, normalised, modulated by `modulation` `[N, 2C]`, SiLU."""
        return group_norm(x, self.num_groups, *self.modulated(modulation), silu=True, inplace=True)

    def modulated(self, modulation: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias `[N, C]` of the norm under `modulation` `[N, 2C]`."""
        scale, shift = modulation.chunk(2, dim=1)
        return self.scale * (1 + scale), self.shift * (1 + scale) + shift


class DoublingConv(Conv3x3):
    """Nearest x2, then a 3x3 convolution: computed as the one 4x4 stride-2 transposed convolution that they make."""

    transforms = DOUBLED
    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)
        self.register_buffer("kernel", torch.empty(channels, channels, 4, 4), persistent=False)

    def fold(self) -> None:
        """Derive the kernel from the weight: every one of its taps sums the weights that fall on one input pixel."""
        super().fold()
        # Of an axis' taps (w0, w1, w2) the transposed kernel is (w2, w1 + w2, w0 + w1, w0).
        padded = functional.pad(self.weight.flip(2, 3), (1, 1, 1, 1))
        self.kernel.copy_(functional.avg_pool2d(padded, 2, stride=1, divisor_override=1).transpose(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, C, 2H, 2W]`."""
        if x.dtype == torch.float16 and x.device.type == "cpu":  # PyTorch's kernel for that takes eight seconds a layer
            return super().forward(functional.interpolate(x, scale_factor=2))
        return functional.conv_transpose2d(x, self.kernel, self.bias, stride=2, padding=1)


class ResidualBlock(nn.Module):
    """norm with SiLU, resample, conv, modulated norm with SiLU, conv; plus the resampled input.

    `resample` is "" (none), "down" (2x2 average pool) or "up" (nearest x2). On a CPU large features lie in its buffers.
    """

    def __init__(self, channels: int, out_channels: int, resample: str = "") -> None:
        super().__init__()
        self.resample = resample
        self.buffer_pool = BufferPool()
        self.norm0 = GroupNorm(channels, silu=True)
        self.conv0 = DoublingConv(channels) if resample == "up" else Conv3x3(channels, out_channels)
        self.cond0_layers = nn.Sequential(nn.SiLU(), nn.Linear(_CONDITION, 2 * out_channels))
        self.norm1 = ModulatedNorm(out_channels)
        self.conv1 = Conv3x3(out_channels, out_channels)
        self.cond1_layers = nn.Sequential(nn.SiLU(), nn.Linear(_CONDITION, 2 * out_channels))
        self.skip = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor, skipped: Tensor | None = None) -> Tensor:
        """`x` `[N, C, H, W]`, and `skipped` concatenated to it, under `condition` `[N, 256]`: `[N, C', H', W']`."""
        if cpu.is_worth_tiling(x, self.conv0, self.resample):
            return cpu.residual_block(
                self._block(condition), [x] if skipped is None else [x, skipped], self.buffer_pool
            )
        if skipped is not None:
            x = torch.cat([x, skipped], dim=1)
        shortcut = self.skip(x)
        h = self.norm0(x, inplace=skipped is not None)  # after a concatenation nothing else holds x
        if self.resample == "down":
            h, shortcut = functional.avg_pool2d(h, 2), functional.avg_pool2d(shortcut, 2)
        h = self.norm1.modulate(self.conv0(h), self.cond1_layers(condition))
        h = self.conv1(h)
        return _add_doubled(h, shortcut) if self.resample == "up" else h.add_(shortcut)

    def fold(self, time: Tensor) -> None:
        """Make the time condition `[1, 256]` part of the second norm."""
        self.norm1.fold(self.cond0_layers(time))

    def _block(self, condition: Tensor) -> cpu.Block:
        """What the CPU's code computes: these layers, the second norm modulated by `condition` `[N, 256]`."""
        # This calls modules once a block, also where the CPU's code does the rest: ComfyUI's interrupts come in there.
        modulated = self.norm1.modulated(self.cond1_layers(condition))
        norm0 = cpu.Norm(self.norm0.num_groups, self.norm0.weight, self.norm0.bias)
        norm1 = cpu.Norm(self.norm1.num_groups, *modulated)
        skip = self.skip if isinstance(self.skip, nn.Conv2d) else None
        return cpu.Block(norm0, self.conv0, norm1, self.conv1, skip, self.resample)


class AttentionBlock(nn.Module):
    """Self-attention of 8 heads over all pixels, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = GroupNorm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to the same."""
        qkv = self.qkv(self.norm(x))
        q, k, v = rearrange(qkv, "n (qkv heads c) h w -> qkv n heads (h w) c", qkv=3, heads=_HEADS)
        attended = functional.scaled_dot_product_attention(q, k, v)
        change: Tensor = self.conv(rearrange(attended, "n heads (h w) c -> n (heads c) h w", h=x.shape[2]))
        return change.add_(x)


class _Wrapped(nn.Module):
    """The attention blocks in the middle have `module.` in their published names."""

    def __init__(self, module: AttentionBlock) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.module(x)
        return out


class DownBlock(nn.Module):
    """One level on the way down."""

    def __init__(self, channels: int, out_channels: int, *, deepest: bool) -> None:
        super().__init__()
        self.res_blocks = nn.ModuleList([ResidualBlock(channels, out_channels)])
        self.attention_blocks = nn.ModuleList([AttentionBlock(out_channels)] if deepest else [])
        self.downsample = None if deepest else ResidualBlock(out_channels, out_channels, "down")

    def forward(self, x: Tensor, condition: Tensor) -> list[Tensor]:
        """The level's skips; the last of them is also the next level's input."""
        h = self.res_blocks[0](x, condition)
        for attention in self.attention_blocks:
            h = attention(h)
        return [h] if self.downsample is None else [h, self.downsample(h, condition)]


class UpBlock(nn.Module):
    """One level on the way up. `skips` are the channels of the two skips that it takes, in the order of taking."""

    def __init__(self, channels: int, out_channels: int, skips: Sequence[int], *, deepest: bool, last: bool) -> None:
        super().__init__()
        inputs = (channels + skips[0], out_channels + skips[1])
        self.resnet_blocks = nn.ModuleList([ResidualBlock(count, out_channels) for count in inputs])
        self.attention_blocks = nn.ModuleList([AttentionBlock(out_channels) for _ in inputs] if deepest else [])
        self.upsample = None if last else ResidualBlock(out_channels, out_channels, "up")

    def forward(self, h: Tensor, skips: list[Tensor], condition: Tensor) -> Tensor:
        """Takes its two skips off the end of `skips`."""
        for index, block in enumerate(self.resnet_blocks):
            h = block(h, condition, skips.pop())
            if self.attention_blocks:
                h = self.attention_blocks[index](h)
        return h if self.upsample is None else self.upsample(h, condition)


class UNet(nn.Module):
    """`channels` times `multipliers` give the width of each level; every level but the last halves the pixels.

    On a CPU large features lie in `buffers`, which networks that run one after the other may share.
    """

    def __init__(self, channels: int, multipliers: Sequence[int], buffers: BufferPool) -> None:
        super().__init__()
        widths = [channels * multiplier for multiplier in multipliers]
        deepest = len(widths) - 1
        self.time_embed = nn.Sequential(_TimeZero(channels), *_embedding(channels))
        self.cond_embed = nn.Sequential(*_embedding(_ROTATION))
        self.first_conv = nn.Conv2d(4, channels, 3, padding=1)
        self.down_blocks = nn.ModuleList(
            DownBlock(before, width, deepest=level == deepest)
            for level, (before, width) in enumerate(zip([channels, *widths], widths, strict=False))
        )
        self.middle_blocks = nn.ModuleList(
            _Wrapped(AttentionBlock(widths[-1])) if index % 2 else ResidualBlock(widths[-1], widths[-1])
            for index in range(7)
        )
        self.up_blocks = nn.ModuleList(
            UpBlock(
                channels=widths[min(level + 1, deepest)],
                out_channels=widths[level],
                skips=(widths[level], widths[max(level - 1, 0)]),
                deepest=level == deepest,
                last=level == 0,
            )
            for level in reversed(range(len(widths)))
        )
        self.last = nn.Sequential(GroupNorm(channels), nn.SiLU(inplace=True), nn.Conv2d(channels, 7, 3, padding=1))
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                module.buffer_pool = buffers
        self.register_load_state_dict_post_hook(_fold_after_loading)  # type: ignore[no-untyped-call]
        self.fold()

    @torch.no_grad()
    def fold(self) -> None:
        """Derive from the weights whatever does not depend on the input."""
        time = self.time_embed(self.first_conv.weight.new_zeros(1))
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                module.fold(time)
            elif isinstance(module, Conv3x3):
                module.fold()

    def forward(self, image: Tensor, rotation: Tensor, coarse: Tensor | None = None) -> Tensor:
        """The seven channels `[N, 7, H, W]`, float32: direct colour 4, grid change 2, alpha's logit 1.

        `image` `[N, 4, H, W]`; `rotation` `[N, 6]`; `coarse` `[N, channels, H, W]` is added to the first features.
        """
        condition = self.cond_embed(rotation)
        h = self.first_conv(image)
        if coarse is not None:
            h.add_(coarse)
        skips = [h.to(self._precision())]
        for block in self.down_blocks:
            skips += block(skips[-1], condition)
        h = skips[-1]
        for block in self.middle_blocks:
            h = block(h, condition) if isinstance(block, ResidualBlock) else block(h)
        for block in self.up_blocks:
            h = block(h, skips, condition)
        norm, silu, conv = self.last
        channels: Tensor = conv(silu(norm(h.float(), inplace=True)))  # nothing else holds h
        return channels

    def _precision(self) -> torch.dtype:
        return next(block.weight.dtype for block in self.down_blocks.modules() if isinstance(block, nn.Conv2d))


class BodyMorpher(nn.Module):
    """Turns head and body at 256 pixels."""

    def __init__(self, buffers: BufferPool) -> None:
        super().__init__()
        self.body = UNet(64, (1, 2, 4, 4, 4), buffers)

    def forward(self, image: Tensor, rotation: Tensor) -> Images:
        """`image` `[N, 4, 256, 256]` turned by `rotation` `[N, 6]`."""
        return _outputs(self.body(image, rotation), image)


class Upscaler(nn.Module):
    """Turns the character at 512 pixels, guided by what the body morpher made of it."""

    def __init__(self, buffers: BufferPool) -> None:
        super().__init__()
        self.body = UNet(32, (1, 2, 4, 8, 8, 8), buffers)
        self.coarse_image_conv = nn.Conv2d(10, 32, 3, padding=1)

    def forward(self, rest: Tensor, coarse: Tensor, coarse_grid_change: Tensor, rotation: Tensor) -> Images:
        """`rest` `[N, 4, 512, 512]` turned by `rotation` `[N, 6]`.

        `coarse` `[N, 4, 256, 256]` and `coarse_grid_change` `[N, 2, 256, 256]` are the body morpher's image and grid
        change.
        """
        size = rest.shape[-1]
        grid_change = resize(coarse_grid_change, size)
        hints = torch.cat([resize(coarse, size), warp(grid_change, rest), grid_change], dim=1)
        return _outputs(self.body(rest, rotation, self.coarse_image_conv(hints)), rest)


class _TimeZero(nn.Module):
    """The sinusoidal embedding of t = 0: cosines, which are 1, then sines, which are 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, t: Tensor) -> Tensor:
        half = t.new_ones(1, self.width // 2)
        return torch.cat([half, torch.zeros_like(half)], dim=1)


def _embedding(inputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, _CONDITION), nn.SiLU(), nn.Linear(_CONDITION, _CONDITION)]


def _outputs(channels: Tensor, image: Tensor) -> Images:
    direct, grid_change, logit = torch.split(channels, [4, 2, 1], dim=1)
    alpha, warped = torch.sigmoid(logit), warp(grid_change, image)
    return {
        "merged": blend(alpha, direct, warped),
        "alpha": alpha,
        "warped": warped,
        "grid_change": grid_change,
        "direct": direct,
    }


def _add_doubled(h: Tensor, x: Tensor) -> Tensor:
    """`h` `[N, C, 2H, 2W]` plus `x` `[N, C, H, W]` nearest x2, without the enlarged x, in place."""
    n, channels, height, width = x.shape
    h.view(n, channels, height, 2, width, 2).add_(x[:, :, :, None, :, None])
    return h


def _fold_after_loading(module: Any, _: object) -> None:
    module.fold()
