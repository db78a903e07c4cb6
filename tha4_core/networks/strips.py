"""The U-Nets on a CPU in float32: the same sums as their plain modules, in about half the time.

A plain forward reads and writes whole pictures of features, 30 MB and more each, a dozen times a block. Here a block
has two passes, each over strips of rows that stay in one core's cache: read, norm, SiLU, convolution, shortcut, sums
for the next norm, write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..crew import Crew, Tiles, gathered
from .norm import affine_of

if TYPE_CHECKING:
    from .unet import ResidualBlock, UNet

# Numbers in a strip: 1 MB in, 1 MB out stay in the cache of a core.
_STRIP = 1 << 18


class Features(NamedTuple):
    """`values` `[H, W, C]`, and for the norm that follows their sums and those of their squares, `totals` `[2, C]`."""

    values: Tensor
    totals: Tensor


@torch.inference_mode(False)  # what this mode makes, the crew's threads, which are not in it, may not write to
@torch.no_grad()
def forward(net: UNet, image: Tensor, condition: Tensor, coarse: Tensor | None = None) -> Tensor:
    """`UNet.forward` of one picture `[1, 4, H, W]` under its embedded `condition` `[1, 256]`."""
    down: Any  # for a type checker, a list of modules gives no more than modules
    up: Any
    block: Any
    with gathered(image.device) as crew:
        skips = [_first(crew, net, image, coarse)]
        for down in net.down_blocks:
            skips.append(_residual(crew, down.res_blocks[0], skips[-1:], condition))
            for attention in down.attention_blocks:
                skips[-1] = _attention(attention, skips[-1])
            if down.downsample is not None:
                skips.append(_residual(crew, down.downsample, skips[-1:], condition))
        h = skips[-1]
        for index, block in enumerate(net.middle_blocks):
            h = _attention(block, h) if index % 2 else _residual(crew, block, [h], condition)
        for up in net.up_blocks:
            for index, block in enumerate(up.resnet_blocks):
                h = _residual(crew, block, [h, skips.pop()], condition)
                if up.attention_blocks:
                    h = _attention(up.attention_blocks[index], h)
            if up.upsample is not None:
                h = _residual(crew, up.upsample, [h], condition)
        return _last(crew, net, h)


def _first(crew: Crew, net: UNet, image: Tensor, coarse: Tensor | None) -> Features:
    picture = image[0].permute(1, 2, 0).contiguous()

    def make(rows: slice) -> Tensor:
        first = _convolved(net.first_conv, _padded(picture, rows.start - 1, rows.stop + 1))
        return first if coarse is None else first.add_(coarse[0, :, rows].permute(1, 2, 0))

    return _in_strips(crew, (*picture.shape[:2], net.first_conv.out_channels), make)


def _last(crew: Crew, net: Any, h: Features) -> Tensor:
    norm, conv = net.last[0], net.last[2]
    affine = _affine([h], norm.weight, norm.bias)

    def make(rows: slice) -> Tensor:
        return _convolved(conv, _activated([h], affine, rows.start - 1, rows.stop + 1))

    seven = _in_strips(crew, (*h.values.shape[:2], conv.out_channels), make).values
    return seven.permute(2, 0, 1)[None].contiguous()


def _attention(block: Callable[[Tensor], Tensor], x: Features) -> Features:
    """Attention is of few pixels, and each needs all others: the module does it."""
    values = block(_picture(x.values)).permute(0, 2, 3, 1)[0].contiguous()
    pixels = values.flatten(0, 1).double()
    return Features(values, torch.stack([pixels.sum(0), pixels.square().sum(0)]))


def _residual(crew: Crew, block: ResidualBlock, parts: list[Features], condition: Tensor) -> Features:
    """`ResidualBlock.forward`, for `parts` that are one input side by side."""
    height, width, _ = parts[0].values.shape
    if block.resample:
        height, width = (height // 2, width // 2) if block.resample == "down" else (height * 2, width * 2)
    shape = (height, width, block.conv1.out_channels)
    affine0 = _affine(parts, block.norm0.weight, block.norm0.bias)

    def hidden(rows: slice) -> Tensor:
        if block.resample == "up":
            return _doubled(block.conv0, _activated(parts, affine0, rows.start // 2 - 1, rows.stop // 2 + 1))
        if block.resample == "down":
            x = _activated(parts, affine0, 2 * rows.start - 2, 2 * rows.stop + 2)
            return _convolved(block.conv0, _halved(x))
        return _convolved(block.conv0, _activated(parts, affine0, rows.start - 1, rows.stop + 1))

    # Leaf modules are called once a block: that is where ComfyUI's interrupts come in.
    modulation = block.cond1_layers(condition)
    h = _in_strips(crew, shape, hidden)
    affine1 = _affine([h], *(each[0] for each in block.norm1.modulated(modulation)))

    def out(rows: slice) -> Tensor:
        y = _convolved(block.conv1, _activated([h], affine1, rows.start - 1, rows.stop + 1))
        return _add_shortcut(y, block, parts, rows)

    return _in_strips(crew, shape, out)


def _add_shortcut(y: Tensor, block: Any, parts: list[Features], rows: slice) -> Tensor:
    if block.resample == "down":
        return y.add_(_halved(_joined(parts, 2 * rows.start, 2 * rows.stop)))
    if block.resample == "up":
        x = _joined(parts, rows.start // 2, rows.stop // 2)
        height, width, channels = x.shape
        y.view(height, 2, width, 2, channels).add_(x[:, None, :, None])
        return y
    x = _joined(parts, rows.start, rows.stop)
    if isinstance(block.skip, nn.Identity):
        return y.add_(x)
    weight, pixels = block.skip.weight.flatten(1).t(), y.flatten(0, 1)
    torch.addmm(pixels.add_(block.skip.bias), x.flatten(0, 1), weight, out=pixels)
    return y


def _in_strips(crew: Crew, shape: tuple[int, int, int], make: Callable[[slice], Tensor]) -> Features:
    """The features `[H, W, C]` whose rows `make` makes, with their totals."""
    height, width, channels = shape
    values = torch.empty(shape)
    # An even number of rows, since some are made of rows twice as high; at least two strips, for two threads.
    step = max(2, min(_STRIP // (width * channels), height // 2) // 2 * 2)
    strips = [slice(top, min(top + step, height)) for top in range(0, height, step)]
    # Every strip has its own place: a sum does not depend on which thread was faster.
    totals = torch.empty(len(strips), 2, channels)

    def job(tiles: Tiles) -> None:
        for rows in tiles:
            strip = make(rows)
            values[rows] = strip
            pixels, sums = strip.flatten(0, 1), totals[rows.start // step]
            torch.sum(pixels, 0, out=sums[0])
            torch.sum(pixels.square_(), 0, out=sums[1])

    crew.share(strips, job)
    return Features(values, totals.sum(0, dtype=torch.float64))


def _affine(parts: list[Features], weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    totals = torch.cat([part.totals for part in parts], dim=1)
    height, width, _ = parts[0].values.shape
    return affine_of(totals, height * width, min(32, len(weight)), weight, bias)


def _activated(parts: list[Features], affine: tuple[Tensor, Tensor], first: int, last: int) -> Tensor:
    """Rows `first` to `last` after norm and SiLU; rows beyond the picture are 0, as a convolution pads them."""
    scale, shift = affine
    inside = max(first, 0), min(last, parts[0].values.shape[0])
    x = functional.silu(torch.addcmul(shift, _joined(parts, *inside), scale), inplace=True)
    return _padded_by(x, inside[0] - first, last - inside[1])


def _joined(parts: list[Features], first: int, last: int) -> Tensor:
    rows = [part.values[first:last] for part in parts]
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=2)


def _padded(x: Tensor, first: int, last: int) -> Tensor:
    inside = max(first, 0), min(last, x.shape[0])
    return _padded_by(x[slice(*inside)], inside[0] - first, last - inside[1])


def _padded_by(x: Tensor, above: int, below: int) -> Tensor:
    return functional.pad(x, (0, 0, 0, 0, above, below)) if above or below else x


def _convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 3x3 convolution of rows `[h + 2, W, C]` that come with their neighbours above and below: `[h, W, C']`."""
    return _rows(functional.conv2d(_picture(x), conv.weight, conv.bias, padding=(0, 1)))


def _doubled(conv: Any, x: Tensor) -> Tensor:
    """A DoublingConv of rows `[h + 2, W, C]` that come with their neighbours: `[2h, 2W, C]`."""
    # Padding crops what a transposed convolution gives: the neighbours' own two rows, and the one it always crops.
    return _rows(functional.conv_transpose2d(_picture(x), conv.kernel, conv.bias, stride=2, padding=(3, 1)))


def _halved(x: Tensor) -> Tensor:
    return _rows(functional.avg_pool2d(_picture(x), 2))


def _picture(x: Tensor) -> Tensor:
    """`[H, W, C]` as `[1, C, H, W]`, channels last, a view."""
    return x[None].permute(0, 3, 1, 2)


def _rows(x: Tensor) -> Tensor:
    """The other way round."""
    return x[0].permute(1, 2, 0).contiguous()
