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

from .thread_pool import Crew, Tiles

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
    matrices = conv.matrices()

    def job(strips: Tiles) -> None:
        bench = _spare.pop() if _spare else _Bench()
        for strip in strips:
            steps = bench.steps(conv.axis, strip.stop - strip.start, across, conv.in_channels, len(bias))
            steps.take(fill, strip, down)
            steps.transform()
            torch.bmm(steps.values, matrices, out=steps.products)
            steps.transform_back()
            at = slice(strip.start * _TILE, strip.stop * _TILE)
            made = out[at]
            torch.add(steps.pixels, bias, out=made.view(steps.pixels.shape))
            finish(made, at)
        _spare.append(bench)

    crew.share([slice(top, min(top + rows, down)) for top in range(0, down, rows)], job)


class _Bench:
    """Where a thread works: the memory for the steps of a strip, whatever its shape, and the views that they take."""

    def __init__(self) -> None:
        self._memory = torch.empty(0), torch.empty(0)
        self._steps: dict[tuple[int, ...], _Steps] = {}

    def steps(self, axis: Axis, rows: int, across: int, channels: int, out_channels: int) -> _Steps:
        """For a strip of so many rows of tiles, and tiles across."""
        points = len(axis.window)
        shape = points, rows, across, channels, out_channels  # the points tell the axes apart
        if shape not in self._steps:
            needed = points * points * rows * across * max(channels, out_channels)
            if self._memory[0].numel() < needed:
                self._memory = torch.empty(needed), torch.empty(needed)
                self._steps.clear()
            self._steps[shape] = _Steps(axis, rows, across, channels, out_channels, self._memory)
        return self._steps[shape]


_spare: list[_Bench] = []


class _Steps:
    """The steps of strips of one shape, between two pieces of memory: what one makes overwrites what the last has read.

    All views are made here, once: made for every strip, they would take a twentieth of the time.
    """

    values: Tensor
    """What the matrices multiply: `[points * points, tiles, C]`, of columns times of rows."""
    products: Tensor
    """`[points * points, tiles, C']`."""
    pixels: Tensor
    """`[rows, 4, tiles across, 4, C']`."""

    def __init__(
        self, axis: Axis, rows: int, across: int, channels: int, out_channels: int, memory: tuple[Tensor, Tensor]
    ) -> None:
        (points, size), step, tiles = axis.window.shape, axis.step, rows * across
        height, width = rows * step + 2, across * step + 2
        here, there = memory
        self._step, self._window, self._output = step, axis.window.float(), axis.output.float()

        self._inputs = _shaped(here, height, width, channels)
        self._sides = self._inputs[:, :: width - 1]
        self._inside = self._inputs[:, 1:-1]
        self._rows = self._inputs.view(height, -1).unfold(0, size, step).transpose(1, 2)
        self._row_windows = self._window.expand(rows, -1, -1)
        self._at_rows = _shaped(there, rows, points, width * channels)
        self._tiles = self._at_rows.view(rows, points, width, channels).unfold(2, size, step).permute(4, 1, 0, 2, 3)
        self._columns = _shaped(here, *self._tiles.shape)
        self._flat_columns = self._columns.view(size, -1)
        self._at_columns = _shaped(there, points, points * tiles * channels)
        self.values = self._at_columns.view(points * points, tiles, channels)

        self.products = _shaped(here, points * points, tiles, out_channels)
        self._flat_products = self.products.view(points, -1)
        self._of_columns = _shaped(there, _TILE, points * tiles * out_channels)
        self._of_column = self._of_columns.view(_TILE, points, -1)
        self._row_outputs = self._output.expand(_TILE, -1, -1)
        self._of_rows = _shaped(here, _TILE, _TILE, tiles * out_channels)
        self.pixels = self._of_rows.view(_TILE, _TILE, rows, across, out_channels).permute(2, 1, 3, 0, 4)

    def take(self, fill: Fill, strip: slice, down: int) -> None:
        """The inputs of a `strip` of `down` rows of tiles, with a pixel more on every side, 0 outside the picture."""
        first, last = strip.start * self._step - 1, strip.stop * self._step + 1
        inside = slice(max(first, 0), min(last, down * self._step))
        self._sides.zero_()
        if inside.start > first:
            self._inputs[0].zero_()
        if inside.stop < last:
            self._inputs[-1].zero_()
        fill(self._inside[inside.start - first : inside.stop - first], inside)

    def transform(self) -> None:
        """The inputs, tile by tile, at all points: `values`."""
        torch.bmm(self._row_windows, self._rows, out=self._at_rows)
        self._columns.copy_(self._tiles)
        torch.mm(self._window, self._flat_columns, out=self._at_columns)

    def transform_back(self) -> None:
        """The products as `pixels`."""
        torch.mm(self._output, self._flat_products, out=self._of_columns)
        torch.bmm(self._row_outputs, self._of_column, out=self._of_rows)


def _shaped(memory: Tensor, *shape: int) -> Tensor:
    return memory[: math.prod(shape)].view(shape)


@torch.inference_mode(False)  # the next to use it may not be in this mode
@torch.no_grad()
def _transformed(weight: Tensor, axis: Axis) -> Tensor:
    matrices = torch.einsum("ra,cb,oiab->crio", axis.kernel, axis.kernel, weight.double())
    return matrices.flatten(0, 1).to(torch.float32, memory_format=torch.contiguous_format)
