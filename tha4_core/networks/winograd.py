"""3x3 convolutions on the CPU with a quarter of the multiplications: Winograd's minimal filtering, F(4x4, 3x3).

Along one axis, four neighbouring outputs y of a filter g of three taps are made of six inputs d, by 12 products. But
y = A ((G g) * (B d)) for matrices B [6, 6], G [6, 3] and A [4, 6]: six products. On a picture both axes do so: 36
products for 16 outputs instead of 144, each of them, over all tiles of a strip of rows, one matrix product of channels.
The matrices are Toom and Cook's: G and A evaluate polynomials at six points, B interpolates. Other points give the same
result with other rounding; with those below it is near that of the plain convolution.

Of a picture doubled by nearest neighbour, the six inputs of a tile are four pixels, the middle ones twice. With points
symmetric about 0, the row of B for the point -1 takes only differences of equal ones: it is 0 and left out. So that is
25 products for 16 outputs, and the enlarged picture is never made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..crew import Crew, Tiles

_TILE = 4  # outputs along an axis

# Tiles of a strip, if there are as many: fewer make matrix products slow, more leave the cache of a core. Narrow layers
# take more, as many as have so many numbers at a point: the rows at the edges of a strip are filled twice.
_TILES, _NUMBERS = 128, 128 * 128


class Axis(NamedTuple):
    """The matrices of one axis, float64: `window` B `[points, inputs]`, `kernel` G `[points, 3]`, `output` A.

    The inputs of neighbouring tiles begin `step` pixels apart, those of the first one pixel outside the picture.
    """

    window: Tensor
    kernel: Tensor
    output: Tensor
    step: int


def _axis(points: tuple[float, ...]) -> Axis:
    """Of `points` and infinity, where the value of a polynomial is its last coefficient."""
    powers = torch.tensor(points, dtype=torch.float64)[:, None] ** torch.arange(len(points) + 1)

    def evaluate(coefficients: int) -> Tensor:
        at_infinity = torch.eye(coefficients, dtype=torch.float64)[-1:]
        return torch.cat([powers[:, :coefficients], at_infinity])

    window = torch.linalg.inv(evaluate(len(points) + 1)).T
    scale = window.abs().amax(1, keepdim=True)  # rows of one size: B's numbers go through float32, G's do not
    return Axis(window / scale, evaluate(3) * scale, evaluate(_TILE).T, _TILE)


def _doubled(points: tuple[float, ...]) -> Axis:
    axis = _axis(points)
    window = axis.window @ torch.eye(4, dtype=torch.float64)[[0, 1, 1, 2, 2, 3]]
    kept = [index for index in range(len(window)) if index != points.index(-1)]
    return Axis(window[kept], axis.kernel[kept], axis.output[:, kept], _TILE // 2)


PLAIN = _axis((0, 2 / 3, -2 / 3, 3 / 2, -3 / 2))
DOUBLED = _doubled((0, 1, -1, 7 / 4, -7 / 4))


Fill = Callable[[Tensor, slice], None]
"""Writes rows, those of a slice, of a picture into a tensor `[rows, W, C]`."""

Finish = Callable[[Tensor, slice], None]
"""Gets finished rows `[rows, W', C']`, those of a slice of the output, in a core's cache, and may change them."""


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution, zero-padded, stride 1, that can also be had as `matrices` for `convolve`.

    These are four times as large as the weight. They are made when they are first needed, are never saved, and are
    gone after a move. Whoever changes the weight in place calls `fold`.
    """

    axis = PLAIN
    bias: Tensor

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1)
        self._matrices: Tensor | None = None

    def matrices(self) -> Tensor:
        """The weight `[C', C, 3, 3]` at all pairs of points: float32 `[points * points, C, C']`."""
        if self._matrices is None:
            self._matrices = _transformed(self.weight, self.axis)
        return self._matrices

    def fold(self) -> None:
        """Forget what was derived from the weight: it has changed."""
        self._matrices = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._matrices = None
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def convolve(crew: Crew, conv: Conv3x3, bias: Tensor, fill: Fill, finish: Finish, out: Tensor) -> None:
    """Write into `out` `[H', W', C']` the picture `[H, W, C]` that `fill` gives, filtered by `conv`, plus `bias`.

    H' and W' are multiples of 4, and equal to H and W; twice as much if the axis of `conv` is DOUBLED. All is float32
    on the CPU. The crew's threads take strips of rows; `fill` and `finish` are called on them.
    """
    down, across = out.shape[0] // _TILE, out.shape[1] // _TILE
    tiles = max(_TILES, _NUMBERS // conv.in_channels)
    rows = max(1, min(tiles // across, down // crew.threads))
    matrices, axis = conv.matrices(), conv.axis
    window, output = axis.window.float(), axis.output.float()

    def job(strips: Tiles) -> None:
        scratch = _spare.pop() if _spare else _Scratch()
        for strip in strips:
            inputs = _padded(scratch, fill, strip, (down, across), conv)
            values = _values(scratch, inputs, window, axis.step)
            products = torch.bmm(values, matrices, out=scratch.next(len(values), values.shape[1], len(bias)))
            pixels = _outputs(scratch, products, output, strip.stop - strip.start)
            made = slice(strip.start * _TILE, strip.stop * _TILE)
            torch.add(pixels, bias, out=out[made].view(pixels.shape))
            finish(out[made], made)
        _spare.append(scratch)

    crew.share([slice(top, min(top + rows, down)) for top in range(0, down, rows)], job)


class Memory:
    """Memory for features, used again and again: what is new to a process costs as much time as the work done in it."""

    def __init__(self) -> None:
        self._numbers = torch.empty(0)

    def shaped(self, *shape: int) -> Tensor:
        """A tensor of this shape, float32, with anything in it, in place of the one before."""
        if self._numbers.numel() < math.prod(shape):
            self._numbers = torch.empty(math.prod(shape))
        return self._numbers[: math.prod(shape)].view(shape)


class _Scratch:
    """Memory for the steps of a strip in turn: what a step makes overwrites what the step before it has read."""

    def __init__(self) -> None:
        self._this, self._other = Memory(), Memory()

    def next(self, *shape: int) -> Tensor:
        self._this, self._other = self._other, self._this
        return self._this.shaped(*shape)


_spare: list[_Scratch] = []


@torch.inference_mode(False)  # the next to use it may not be in this mode
@torch.no_grad()
def _transformed(weight: Tensor, axis: Axis) -> Tensor:
    matrices = torch.einsum("ra,cb,oiab->crio", axis.kernel, axis.kernel, weight.double())
    return matrices.flatten(0, 1).to(torch.float32, memory_format=torch.contiguous_format)


def _padded(scratch: _Scratch, fill: Fill, strip: slice, tiles: tuple[int, int], conv: Conv3x3) -> Tensor:
    """The inputs of a strip of rows of tiles, with a row and a column more on every side, 0 outside the picture."""
    step, (height, width) = conv.axis.step, tiles
    first, last = strip.start * step - 1, strip.stop * step + 1
    inputs = scratch.next(last - first, width * step + 2, conv.in_channels)
    inside = slice(max(first, 0), min(last, height * step))
    for border in (inputs[:, :1], inputs[:, -1:], inputs[: inside.start - first], inputs[inside.stop - first :]):
        border.zero_()
    fill(inputs[inside.start - first : inside.stop - first, 1:-1], inside)
    return inputs


def _values(scratch: _Scratch, inputs: Tensor, window: Tensor, step: int) -> Tensor:
    """`inputs` `[h, w, C]`, tile by tile at all points: `[points * points, tiles, C]`, of columns times of rows."""
    points, size = window.shape
    height, width, channels = inputs.shape
    rows = inputs.view(height, width * channels).unfold(0, size, step).transpose(1, 2)
    at_rows = scratch.next(len(rows), points, width * channels)
    torch.bmm(window.expand(len(rows), -1, -1), rows, out=at_rows)
    tiles = at_rows.view(len(rows), points, width, channels).unfold(2, size, step).permute(4, 1, 0, 2, 3)
    columns = scratch.next(*tiles.shape).copy_(tiles).view(size, -1)
    values = torch.mm(window, columns, out=scratch.next(points, columns.shape[1]))
    return values.view(points * points, -1, channels)


def _outputs(scratch: _Scratch, products: Tensor, output: Tensor, rows: int) -> Tensor:
    """`products` `[points * points, tiles, C']` of `rows` rows of tiles as pixels `[rows, 4, tiles a row, 4, C']`."""
    points, channels = output.shape[1], products.shape[2]
    size = products.numel() // points
    columns = torch.mm(output, products.view(points, size), out=scratch.next(_TILE, size)).view(_TILE, points, -1)
    pixels = scratch.next(_TILE, _TILE, size // points)
    torch.bmm(output.expand(_TILE, -1, -1), columns, out=pixels)
    return pixels.view(_TILE, _TILE, rows, -1, channels).permute(2, 1, 3, 0, 4)
