"""3x3 convolutions on the CPU with a quarter of the multiplications: Winograd's minimal filtering, F(4x4, 3x3).

Along one axis, four neighbouring outputs y of a filter g of three taps are made of six inputs d, by 12 products. But
y = A ((G g) * (B d)) for matrices B [6, 6], G [6, 3] and A [4, 6]: six products. On a picture both axes do so: 36
products for 16 outputs instead of 144, each of them, over all Winograd tiles of a row tile, one matrix product of
channels. The matrices are Toom and Cook's: G and A evaluate polynomials at six points, B interpolates. Other points
give the same result with other rounding; with those below it is near that of the plain convolution.

Of a picture doubled by nearest neighbour, the six inputs of a Winograd tile are four pixels, the middle ones twice.
With points symmetric about 0, the row of B for the point -1 takes only differences of equal ones: it is 0 and left out.
So that is 25 products for 16 outputs, and the enlarged picture is never made.

A *Winograd tile* is 4 x 4 outputs. A *row tile*, here as in thread_pool.py, is what a thread takes: some rows of the
picture, counted in rows of Winograd tiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .thread_pool import RowTiles, ThreadPool

_OUTPUTS = 4  # of a Winograd tile along an axis

# Winograd tiles of a row tile, if there are as many: fewer make matrix products slow, more leave the cache of a core.
# Narrow layers take more, as many as have so many numbers at a point: the rows at the edges of a row tile are loaded
# twice.
_TILES, _NUMBERS = 128, 128 * 128


class Transforms(NamedTuple):
    """The matrices of one axis, float64: `input` B `[points, inputs]`, `filter` G `[points, 3]`, `output` A.

    The inputs of neighbouring Winograd tiles begin `step` pixels apart, those of the first one pixel outside the
    picture.
    """

    input: Tensor
    filter: Tensor
    output: Tensor
    step: int


def _transforms(points: tuple[float, ...]) -> Transforms:
    """Of `points` and infinity, where the value of a polynomial is its last coefficient."""
    powers = torch.tensor(points, dtype=torch.float64)[:, None] ** torch.arange(len(points) + 1)

    def evaluate(coefficients: int) -> Tensor:
        at_infinity = torch.eye(coefficients, dtype=torch.float64)[-1:]
        return torch.cat([powers[:, :coefficients], at_infinity])

    interpolate = torch.linalg.inv(evaluate(len(points) + 1)).T
    scale = interpolate.abs().amax(1, keepdim=True)  # rows of one size: B's numbers go through float32, G's do not
    return Transforms(interpolate / scale, evaluate(3) * scale, evaluate(_OUTPUTS).T, _OUTPUTS)


def _doubled(points: tuple[float, ...]) -> Transforms:
    plain = _transforms(points)
    of_pixels = plain.input @ torch.eye(4, dtype=torch.float64)[[0, 1, 1, 2, 2, 3]]
    kept = [index for index in range(len(of_pixels)) if index != points.index(-1)]
    return Transforms(of_pixels[kept], plain.filter[kept], plain.output[:, kept], _OUTPUTS // 2)


PLAIN = _transforms((0, 2 / 3, -2 / 3, 3 / 2, -3 / 2))
DOUBLED = _doubled((0, 1, -1, 7 / 4, -7 / 4))


LoadRows = Callable[[Tensor, slice], None]
"""Writes rows, those of a slice, of a picture into a tensor `[rows, W, C]`."""

Epilogue = Callable[[Tensor, slice], None]
"""Gets finished rows `[rows, W', C']`, those of a slice of the output, in a core's cache, and may change them."""


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution, zero-padded, stride 1, that `convolve` can also compute.

    For that its weight is transformed, which makes it four times as large: when it is first needed. The result is never
    saved, and dropped when the module moves. Whoever changes the weight in place calls `fold`.
    """

    transforms = PLAIN
    bias: Tensor

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1)
        self._transformed_weight: Tensor | None = None

    def transformed_weight(self) -> Tensor:
        """The weight `[C', C, 3, 3]` at all pairs of points: float32 `[points * points, C, C']`."""
        if self._transformed_weight is None:
            self._transformed_weight = _transformed(self.weight, self.transforms)
        return self._transformed_weight

    def fold(self) -> None:
        """Drop what was derived from the weight: it has changed."""
        self._transformed_weight = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._transformed_weight = None
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def convolve(pool: ThreadPool, conv: Conv3x3, bias: Tensor, load: LoadRows, epilogue: Epilogue, out: Tensor) -> None:
    """Write into `out` `[H', W', C']` the picture `[H, W, C]` that `load` gives, filtered by `conv`, plus `bias`.

    H' and W' are multiples of 4, and equal to H and W; twice as much if the transforms of `conv` are DOUBLED. All is
    float32 on the CPU. The pool's threads take row tiles; `load` and `epilogue` are called on them.
    """
    down, across = out.shape[0] // _OUTPUTS, out.shape[1] // _OUTPUTS
    count = max(_TILES, _NUMBERS // conv.in_channels)
    rows = max(1, min(count // across, down // pool.threads))
    weight = conv.transformed_weight()

    def job(tiles: RowTiles) -> None:
        workspace = _free_workspaces.pop() if _free_workspaces else _Workspace()
        for tile in tiles:
            plan = workspace.plan(conv.transforms, tile.stop - tile.start, across, conv.in_channels, len(bias))
            plan.load(load, tile, down)
            plan.transform_input()
            torch.bmm(plan.transformed, weight, out=plan.products)
            plan.transform_output()
            at = slice(tile.start * _OUTPUTS, tile.stop * _OUTPUTS)
            made = out[at]
            torch.add(plan.pixels, bias, out=made.view(plan.pixels.shape))
            epilogue(made, at)
        _free_workspaces.append(workspace)

    pool.run([slice(top, min(top + rows, down)) for top in range(0, down, rows)], job)


class _Workspace:
    """A thread's scratch memory for row tiles of any shape, and the plans that were made in it."""

    def __init__(self) -> None:
        self._memory = torch.empty(0), torch.empty(0)
        self._plans: dict[tuple[int, ...], _Plan] = {}

    def plan(self, transforms: Transforms, rows: int, across: int, channels: int, out_channels: int) -> _Plan:
        """For a row tile of so many rows of Winograd tiles, and so many of these across."""
        points = len(transforms.input)
        shape = points, rows, across, channels, out_channels  # the points tell PLAIN from DOUBLED
        if shape not in self._plans:
            needed = points * points * rows * across * max(channels, out_channels)
            if self._memory[0].numel() < needed:
                self._memory = torch.empty(needed), torch.empty(needed)
                self._plans.clear()
            self._plans[shape] = _Plan(transforms, rows, across, channels, out_channels, self._memory)
        return self._plans[shape]


_free_workspaces: list[_Workspace] = []


class _Plan:
    """The steps for row tiles of one shape, between two buffers: what a step writes overwrites what the last one read.

    All views are made here, once: made for every row tile, they would take a twentieth of the time.
    """

    transformed: Tensor
    """The transformed input, which the weight multiplies: `[points * points, tiles, C]`, of columns times of rows."""
    products: Tensor
    """`[points * points, tiles, C']`."""
    pixels: Tensor
    """`[rows, 4, tiles across, 4, C']`."""

    def __init__(
        self,
        transforms: Transforms,
        rows: int,
        across: int,
        channels: int,
        out_channels: int,
        memory: tuple[Tensor, Tensor],
    ) -> None:
        (points, size), step, tiles = transforms.input.shape, transforms.step, rows * across
        height, width = rows * step + 2, across * step + 2
        one, other = memory
        self._step, self._input, self._output = step, transforms.input.float(), transforms.output.float()

        self._pixels_in = _shaped(one, height, width, channels)
        self._sides = self._pixels_in[:, :: width - 1]
        self._inside = self._pixels_in[:, 1:-1]
        self._rows = self._pixels_in.view(height, -1).unfold(0, size, step).transpose(1, 2)
        self._row_inputs = self._input.expand(rows, -1, -1)
        self._at_rows = _shaped(other, rows, points, width * channels)
        self._tiles = self._at_rows.view(rows, points, width, channels).unfold(2, size, step).permute(4, 1, 0, 2, 3)
        self._columns = _shaped(one, *self._tiles.shape)
        self._flat_columns = self._columns.view(size, -1)
        self._at_columns = _shaped(other, points, points * tiles * channels)
        self.transformed = self._at_columns.view(points * points, tiles, channels)

        self.products = _shaped(one, points * points, tiles, out_channels)
        self._flat_products = self.products.view(points, -1)
        self._of_columns = _shaped(other, _OUTPUTS, points * tiles * out_channels)
        self._of_column = self._of_columns.view(_OUTPUTS, points, -1)
        self._row_outputs = self._output.expand(_OUTPUTS, -1, -1)
        self._of_rows = _shaped(one, _OUTPUTS, _OUTPUTS, tiles * out_channels)
        self.pixels = self._of_rows.view(_OUTPUTS, _OUTPUTS, rows, across, out_channels).permute(2, 1, 3, 0, 4)

    def load(self, load: LoadRows, tile: slice, down: int) -> None:
        """The inputs of a row `tile` of `down` rows of Winograd tiles, with a pixel more on every side, 0 outside the
        picture."""
        first, last = tile.start * self._step - 1, tile.stop * self._step + 1
        inside = slice(max(first, 0), min(last, down * self._step))
        self._sides.zero_()
        if inside.start > first:
            self._pixels_in[0].zero_()
        if inside.stop < last:
            self._pixels_in[-1].zero_()
        load(self._inside[inside.start - first : inside.stop - first], inside)

    def transform_input(self) -> None:
        """The inputs, Winograd tile by Winograd tile, at all points: `transformed`."""
        torch.bmm(self._row_inputs, self._rows, out=self._at_rows)
        self._columns.copy_(self._tiles)
        torch.mm(self._input, self._flat_columns, out=self._at_columns)

    def transform_output(self) -> None:
        """The products as `pixels`."""
        torch.mm(self._output, self._flat_products, out=self._of_columns)
        torch.bmm(self._row_outputs, self._of_column, out=self._of_rows)


def _shaped(memory: Tensor, *shape: int) -> Tensor:
    return memory[: math.prod(shape)].view(shape)


@torch.inference_mode(False)  # the next to use it may not be in this mode
@torch.no_grad()
def _transformed(weight: Tensor, transforms: Transforms) -> Tensor:
    matrices = torch.einsum("ra,cb,oiab->crio", transforms.filter, transforms.filter, weight.double())
    return matrices.flatten(0, 1).to(torch.float32, memory_format=torch.contiguous_format)
