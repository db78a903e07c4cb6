"""Residual blocks of a diffusion U-Net on a CPU in float32, where pictures are large: the same results, sooner.

Module after module reads and writes whole pictures of features, 30 MB and more each, a dozen times a block. Here a
block has two passes, each over row tiles that stay in a core's cache: read, norm, SiLU, convolution (winograd.py),
shortcut, write. Inputs that are to be concatenated are read where they are; the concatenation is never made.
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .buffer_pool import BufferPool
from .norm import affine
from .thread_pool import RowTiles, ThreadPool, shared_pool
from .winograd import Conv3x3, Epilogue, LoadRows, convolve


class Norm(NamedTuple):
    """A group norm: the number of groups, and the affine `[C]`, or `[N, C]` where each picture has its own."""

    groups: int
    weight: Tensor
    bias: Tensor


class Block(NamedTuple):
    """A residual block: norm0, SiLU, resample, conv0, norm1, SiLU, conv1; plus the input, resampled, through `skip`.

    `resample` is "" (none), "down" (2x2 average pool) or "up" (nearest x2, which must be in conv0's transforms). `skip`
    is a 1x1 convolution, with `resample` "" only, or None.
    """

    norm0: Norm
    conv0: Conv3x3
    norm1: Norm
    conv1: Conv3x3
    skip: nn.Conv2d | None
    resample: str


# Pixels of the output at least. Below, layers have most weights, whose matrices would take more memory than they are
# worth; and a thread needs about as many Winograd tiles for itself as make an efficient matrix product.
_PIXELS, _PIXELS_A_THREAD = 32 * 32, 32 * 16

# The channel sums of what `residual_block` made, for the norm that reads it next. By the id of the tensor: its version
# when it was made, and the sums of every picture.
_sums_cache: dict[int, tuple[int, list[Tensor]]] = {}

# Numbers that are summed at once: what stays in the cache of a core.
_TILE = 1 << 17

_SCALE = {"": 1.0, "down": 0.5, "up": 2.0}


def is_worth_tiling(x: Tensor, conv: Conv3x3, resample: str) -> bool:
    """Whether `residual_block` can and should compute a block of such a first convolution for `x` `[N, C, H, W]`."""
    if x.device.type != "cpu" or not x.dtype == conv.weight.dtype == torch.float32 or torch.is_grad_enabled():
        return False
    height, width = (int(side * _SCALE[resample]) for side in x.shape[2:])
    enough = height * width >= max(_PIXELS, _PIXELS_A_THREAD * torch.get_num_threads())
    return enough and height % 4 == 0 and width % 4 == 0


@torch.inference_mode(False)  # the pool's threads are not in this mode, and may not write to what is made in it
@torch.no_grad()
def residual_block(block: Block, inputs: list[Tensor], buffers: BufferPool) -> Tensor:
    """`block` of `inputs`, each `[N, C, H, W]`, that are one input when concatenated: `[N, C', H', W']` in `buffers`.

    The affine of the second norm is `[N, C']`.
    """
    pool = shared_pool(torch.get_num_threads())
    pictures = [x.permute(0, 2, 3, 1).contiguous() for x in inputs]
    sums = [_sums_of(pool, x, picture) for x, picture in zip(inputs, pictures, strict=True)]
    n, height, width, _ = pictures[0].shape
    scale = _SCALE[block.resample]
    out = buffers.empty(n, int(height * scale), int(width * scale), block.conv1.out_channels)
    hidden = buffers.empty(*out.shape[1:])
    sums_of_out = []
    for index in range(n):
        parts, totals = [each[index] for each in pictures], torch.cat([each[index] for each in sums], dim=1)
        norm1 = Norm(block.norm1.groups, block.norm1.weight[index], block.norm1.bias[index])
        sums_of_out.append(_picture(pool, block._replace(norm1=norm1), parts, totals, hidden, out[index]))
    made = out.permute(0, 3, 1, 2)
    _sums_cache[id(made)] = made._version, sums_of_out
    weakref.finalize(made, _sums_cache.pop, id(made)).atexit = False
    return made


def _picture(pool: ThreadPool, block: Block, parts: list[Tensor], sums: Tensor, hidden: Tensor, out: Tensor) -> Tensor:
    """Write one picture `out` `[H', W', C']`; its channel sums. `parts` `[H, W, C]` have the channel `sums`."""
    groups, weight, bias = block.norm0
    load, sums_of_hidden = (
        _activated(parts, affine(sums, parts[0][..., 0].numel(), groups, weight, bias)),
        _ChannelSums(),
    )
    if block.resample == "down":
        load = _halved(load)
    convolve(pool, block.conv0, block.conv0.bias, load, sums_of_hidden, hidden)
    groups, weight, bias = block.norm1
    second = affine(sums_of_hidden.total(), hidden[..., 0].numel(), groups, weight, bias)
    bias = block.conv1.bias
    if block.skip is not None and block.skip.bias is not None:
        bias = bias + block.skip.bias
    add_shortcut, sums_of_out = _shortcut(block, parts), _ChannelSums()

    def finish(rows: Tensor, at: slice) -> None:
        add_shortcut(rows, at)
        sums_of_out(rows, at)

    convolve(pool, block.conv1, bias, _activated([hidden], second), finish, out)
    return sums_of_out.total()


class _ChannelSums:
    """Sums of channels and of their squares, by row tile, so that the order in which tiles come does not count."""

    def __init__(self) -> None:
        self._tiles: dict[int, Tensor] = {}

    def __call__(self, rows: Tensor, at: slice) -> None:
        pixels = rows.flatten(0, 1)
        self._tiles[at.start] = torch.stack([pixels.sum(0), (pixels * pixels).sum(0)])

    def total(self) -> Tensor:
        """Float64 `[2, C]`."""
        return torch.stack([self._tiles[start] for start in sorted(self._tiles)]).sum(0, dtype=torch.float64)


def _sums_of(pool: ThreadPool, x: Tensor, pictures: Tensor) -> list[Tensor]:
    """The channel sums, float64 `[2, C]`, of every picture of `x`, which `pictures` `[N, H, W, C]` are."""
    version, sums = _sums_cache.get(id(x), (None, []))
    return sums if version is not None and version == x._version else [_summed(pool, each) for each in pictures]


def _summed(pool: ThreadPool, picture: Tensor) -> Tensor:
    """The channel sums of `[H, W, C]`, float64 `[2, C]`.

    By the pool: threads of PyTorch's own, after a sum, spin for milliseconds on the processors that the pool needs.
    """
    sums = _ChannelSums()

    def job(tiles: RowTiles) -> None:
        for rows in tiles:
            sums(picture[rows], rows)

    step = max(1, _TILE // picture[0].numel())
    pool.run([slice(top, min(top + step, len(picture))) for top in range(0, len(picture), step)], job)
    return sums.total()


def _activated(parts: list[Tensor], normalising: tuple[Tensor, Tensor]) -> LoadRows:
    """Rows of `parts` concatenated, after the norm's scale and shift `[C]` and SiLU."""
    channels = [part.shape[2] for part in parts]
    scales, shifts = (torch.split(each, channels) for each in normalising)

    def load(target: Tensor, rows: slice) -> None:
        places = torch.split(target, channels, dim=2)
        for part, scale, shift, place in zip(parts, scales, shifts, places, strict=True):
            torch.addcmul(shift, part[rows], scale, out=place)
        functional.silu(target, inplace=True)

    return load


def _halved(load: LoadRows) -> LoadRows:
    """What `load` gives, averaged over 2x2 pixels."""

    def halved(target: Tensor, rows: slice) -> None:
        height, width, channels = target.shape
        large = torch.empty(2 * height, 2 * width, channels)
        load(large, slice(2 * rows.start, 2 * rows.stop))
        target.copy_(_pooled(large))

    return halved


def _shortcut(block: Block, parts: list[Tensor]) -> Epilogue:
    """Adds the block's input to its output."""
    x = parts[0]

    def add(rows: Tensor, at: slice) -> None:
        rows.add_(x[at])

    def add_halved(rows: Tensor, at: slice) -> None:
        rows.add_(_pooled(x[2 * at.start : 2 * at.stop]))

    def add_doubled(rows: Tensor, at: slice) -> None:
        small = x[at.start // 2 : at.stop // 2]
        rows.view(len(small), 2, small.shape[1], 2, -1).add_(small[:, None, :, None])

    def add_convolved(rows: Tensor, at: slice) -> None:
        for part, weight in zip(parts, weights, strict=True):
            rows.flatten(0, 1).addmm_(part[at].flatten(0, 1), weight)

    if block.skip is not None:
        weights = torch.split(block.skip.weight.flatten(1).t(), [part.shape[2] for part in parts])
        return add_convolved
    return {"": add, "down": add_halved, "up": add_doubled}[block.resample]


def _pooled(x: Tensor) -> Tensor:
    """`[H, W, C]` averaged over 2x2 pixels."""
    return functional.avg_pool2d(x[None].permute(0, 3, 1, 2), 2)[0].permute(1, 2, 0)  # so that it is channels-last
