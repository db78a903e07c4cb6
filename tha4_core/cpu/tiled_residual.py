"""Residual blocks of the U-Nets on a CPU in float32, where pictures are large: the same sums, sooner.

Module after module reads and writes whole pictures of features, 30 MB and more each, a dozen times a block. Here a
block has two passes, each over strips of rows that stay in a core's cache: read, norm, SiLU, convolution (winograd.py),
shortcut, write. Inputs that lie side by side are never put together.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..networks.norm import affine
from .thread_pool import Crew, Tiles, standing
from .winograd import Fill, Finish, convolve

if TYPE_CHECKING:
    from ..networks.unet import ResidualBlock

Affine = tuple[Tensor, Tensor]

# Pixels of the output at least. Below, layers have most weights, whose matrices would take more memory than they are
# worth; and a thread needs about as many tiles for itself as make an efficient matrix product.
_PIXELS, _PIXELS_A_THREAD = 32 * 32, 32 * 16

# By the id of what `residual` made: its version, and the totals of every picture, for the norm that reads it next.
_known: dict[int, tuple[int, list[Tensor]]] = {}

# Numbers that are summed at once: what stays in the cache of a core.
_STRIP = 1 << 17

_SCALE = {"": 1.0, "down": 0.5, "up": 2.0}


def pays(block: ResidualBlock, x: Tensor) -> bool:
    """Whether `residual` can and should do the work of `block` for an input `x` `[N, C, H, W]`."""
    if x.device.type != "cpu" or not x.dtype == block.conv0.weight.dtype == torch.float32 or torch.is_grad_enabled():
        return False
    height, width = (int(side * _SCALE[block.resample]) for side in x.shape[2:])
    enough = height * width >= max(_PIXELS, _PIXELS_A_THREAD * torch.get_num_threads())
    return enough and height % 4 == 0 and width % 4 == 0


@torch.inference_mode(False)  # what this mode makes, the crew's threads, which are not in it, may not write to
@torch.no_grad()
def residual(block: ResidualBlock, inputs: list[Tensor], condition: Tensor) -> Tensor:
    """`ResidualBlock.forward` of `inputs`, each `[N, C, H, W]`, that are one input side by side."""
    # Leaf modules are called once a block: that is where ComfyUI's interrupts come in.
    weights, biases = block.norm1.modulated(block.cond1_layers(condition))
    crew = standing(torch.get_num_threads())
    pictures = [x.permute(0, 2, 3, 1).contiguous() for x in inputs]
    before = [_totals_of(crew, x, picture) for x, picture in zip(inputs, pictures, strict=True)]
    n, height, width, _ = pictures[0].shape
    scale = _SCALE[block.resample]
    out = block.memory.tensor(n, int(height * scale), int(width * scale), block.conv1.out_channels)
    after = [
        _residual(
            crew,
            block,
            [picture[index] for picture in pictures],
            torch.cat([totals[index] for totals in before], dim=1),
            (weights[index], biases[index]),
            out[index],
        )
        for index in range(n)
    ]
    made = out.permute(0, 3, 1, 2)
    _known[id(made)] = made._version, after
    weakref.finalize(made, _known.pop, id(made)).atexit = False
    return made


def _residual(
    crew: Crew, block: ResidualBlock, parts: list[Tensor], totals: Tensor, modulated: Affine, out: Tensor
) -> Tensor:
    """One picture, and its totals: `parts` `[H, W, C]`, of `totals`, under the affines of first and second norm."""
    hidden = block.memory.tensor(*out.shape)
    norm = block.norm0
    first = affine(totals, parts[0][..., 0].numel(), norm.num_groups, norm.weight, norm.bias)
    fill, of_hidden = _activated(parts, first), _Totals()
    if block.resample == "down":
        fill = _halved(fill)
    convolve(crew, block.conv0, block.conv0.bias, fill, of_hidden, hidden)
    second = affine(of_hidden.sums(), hidden[..., 0].numel(), block.norm1.num_groups, *modulated)
    bias = block.conv1.bias
    if isinstance(block.skip, nn.Conv2d) and block.skip.bias is not None:
        bias = bias + block.skip.bias
    add_shortcut, of_out = _shortcut(block, parts), _Totals()

    def finish(rows: Tensor, at: slice) -> None:
        add_shortcut(rows, at)
        of_out(rows, at)

    convolve(crew, block.conv1, bias, _activated([hidden], second), finish, out)
    return of_out.sums()


class _Totals:
    """Sums of channels and of their squares, strip by strip, so that the order in which strips come does not count."""

    def __init__(self) -> None:
        self._strips: dict[int, Tensor] = {}

    def __call__(self, rows: Tensor, at: slice) -> None:
        pixels = rows.flatten(0, 1)
        self._strips[at.start] = torch.stack([pixels.sum(0), (pixels * pixels).sum(0)])

    def sums(self) -> Tensor:
        """Float64 `[2, C]`."""
        return torch.stack([self._strips[start] for start in sorted(self._strips)]).sum(0, dtype=torch.float64)


def _totals_of(crew: Crew, x: Tensor, pictures: Tensor) -> list[Tensor]:
    """The totals, float64 `[2, C]`, of every picture of `x`, which `pictures` `[N, H, W, C]` are."""
    version, totals = _known.get(id(x), (None, []))
    return totals if version is not None and version == x._version else [_summed(crew, each) for each in pictures]


def _summed(crew: Crew, picture: Tensor) -> Tensor:
    """The totals of `[H, W, C]`, float64 `[2, C]`.

    By the crew: threads of PyTorch's own, after a sum, spin for milliseconds on the processors that the crew needs.
    """
    totals = _Totals()

    def job(tiles: Tiles) -> None:
        for rows in tiles:
            totals(picture[rows], rows)

    step = max(1, _STRIP // picture[0].numel())
    crew.share([slice(top, min(top + step, len(picture))) for top in range(0, len(picture), step)], job)
    return totals.sums()


def _activated(parts: list[Tensor], affine: Affine) -> Fill:
    """Rows of `parts` side by side, after norm and SiLU."""
    channels = [part.shape[2] for part in parts]
    scales, shifts = (torch.split(each, channels) for each in affine)

    def fill(target: Tensor, rows: slice) -> None:
        places = torch.split(target, channels, dim=2)
        for part, scale, shift, place in zip(parts, scales, shifts, places, strict=True):
            torch.addcmul(shift, part[rows], scale, out=place)
        functional.silu(target, inplace=True)

    return fill


def _halved(fill: Fill) -> Fill:
    """What `fill` gives, averaged over 2x2 pixels."""

    def halved(target: Tensor, rows: slice) -> None:
        height, width, channels = target.shape
        large = torch.empty(2 * height, 2 * width, channels)
        fill(large, slice(2 * rows.start, 2 * rows.stop))
        target.copy_(_pooled(large))

    return halved


def _shortcut(block: ResidualBlock, parts: list[Tensor]) -> Finish:
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

    if isinstance(block.skip, nn.Conv2d):
        weights = torch.split(block.skip.weight.flatten(1).t(), [part.shape[2] for part in parts])
        return add_convolved
    return {"": add, "down": add_halved, "up": add_doubled}[block.resample]


def _pooled(x: Tensor) -> Tensor:
    """`[H, W, C]` averaged over 2x2 pixels."""
    return functional.avg_pool2d(x[None].permute(0, 3, 1, 2), 2)[0].permute(1, 2, 0)  # so that it is channels-last
