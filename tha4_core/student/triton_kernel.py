"""A student's frames in four GPU kernels: features of a pixel stay on the chip from a level's first sine to its last.

    face    pixel -> the face, written over the picture
    level 0, level 1   pixel -> what the next level's first layer makes of the features, before the resize
    level 2            pixel -> grid change, alpha, colour -> warp and blend -> the frame

A program computes `_PIXELS` pixels of one pose; poses are the second axis of the grid. Features are up to three blocks
of channels (a block's size is a power of two). Products are of float16; sums and sines are float32, and so is what is
made of coordinates. Angles are counted in half turns, 30 / pi times what the layers say, so that the sine's range is
reduced exactly. Optional, with the package `triton`. TRITON_INTERPRET=1 runs it on a CPU, for tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.nn import functional

from ..networks.siren import FREQUENCY, BodyMorpher, FaceMorpher, bias_of, linears, matrix_of
from ..picture.model_space import SIZE
from ..pose import COUNT, HEAD_FREE
from .gpu import versions

_BLOCKS = (128, 64, 32)  # channels of a block; a level takes those that pad it least, at most three of them
_PIXELS = 64  # of a program; every level has a multiple of it
_OUTPUTS = 16  # 4 or 7, padded to the narrowest matrix that tensor cores multiply with
_HALF_TURNS = FREQUENCY / math.pi
_BUFFERS = 2**29  # bytes of features between levels, at most: so many poses are computed at once
_FACE_TOP, _FACE_LEFT = 80, 192  # of 512 pixels


class _Level(NamedTuple):
    """A level's weights, padded to blocks with zeros: padded channels are sines of 0.

    `first` `[2, C]` of x and y, `of_pose` `[P, C]` and `constant` `[C]` of the pose are the first layer; `weights`
    `[layers, C, C]` and `biases` `[layers, C]` the other sine layers, from inputs to outputs; `last` `[C, outputs]` and
    `last_bias` `[outputs]` what follows the last sine. `wide` and `narrow` are the blocks of the features before and
    after the last sine layer, `block` the channels of each; `channels` are those of the first layer, `outputs` of the
    last.
    """

    first: Tensor
    of_pose: Tensor
    constant: Tensor
    weights: Tensor
    biases: Tensor
    last: Tensor
    last_bias: Tensor
    block: int
    wide: int
    narrow: int
    channels: int
    outputs: int


_Network = TypeVar("_Network", FaceMorpher, BodyMorpher)
_folded: WeakKeyDictionary[nn.Module, tuple[object, list[_Level]]] = WeakKeyDictionary()


@torch.no_grad()
def render(
    face_morpher: FaceMorpher,
    body_morpher: BodyMorpher,
    image: Tensor,
    poses: Tensor,
    tick: Callable[[], None] = lambda: None,
) -> Tensor:
    """Poses `[N, 45]` -> frames `[N, 4, size, size]` over `image` `[1, 4, size, size]`, all on one device.

    `tick` is called between batches of poses; what it raises ends the render.
    """
    size = image.shape[-1]
    (face,), body = _fold(face_morpher, _fold_face), _fold(body_morpher, _fold_body)
    bytes_per_pose = sum(4 * level.outputs * (size // scale) ** 2 for level, scale in zip(body, (4, 2), strict=False))
    frames = torch.empty(len(poses), 4, size, size, device=poses.device)
    at_once = max(1, _BUFFERS // bytes_per_pose)
    for some, out in zip(torch.split(poses, at_once), torch.split(frames, at_once), strict=True):
        tick()
        picture = image.repeat(len(some), 1, 1, 1)
        _run(face, some[:, HEAD_FREE], size // 4, None, picture, picture)
        below = None
        for level, side in zip(body[:2], (size // 4, size // 2), strict=True):
            features = torch.empty(len(some), side * side, level.outputs, device=poses.device)
            _run(level, some, side, below, features, picture)
            below = features
        _run(body[2], some, size, below, out, picture)
    return frames


def _run(level: _Level, poses: Tensor, side: int, below: Tensor | None, out: Tensor, picture: Tensor) -> None:
    of_pose = torch.addmm(level.constant, poses, level.of_pose)
    size = picture.shape[-1]
    kind = 0 if out.ndim == 3 else 1 if out is picture else 2
    _kernel[(side * side // _PIXELS, len(poses))](
        level.first, of_pose, of_pose if below is None else below, level.weights, level.biases, level.last,
        level.last_bias, out, picture, side, size, _FACE_TOP * size // SIZE, _FACE_LEFT * size // SIZE,
        CHANNELS=level.channels, OUTPUTS=level.outputs, BLOCK=level.block, WIDE=level.wide, NARROW=level.narrow,
        LAYERS=len(level.weights), LAST_WIDTH=level.last.shape[1], BELOW=below is not None, KIND=kind, PIXELS=_PIXELS,
        num_warps=8 if level.wide > 1 else 4,
    )  # fmt: skip


def _fold(network: _Network, fold: Callable[[_Network], list[_Level]]) -> list[_Level]:
    """A network's levels, from the cache while its weights are the same and are not trained."""
    parameters = list(network.parameters())
    if any(parameter.requires_grad for parameter in parameters):
        return fold(network)
    key = versions(parameters)
    if network not in _folded or _folded[network][0] != key:
        _folded[network] = key, fold(network)
    return _folded[network][1]


def _fold_face(network: FaceMorpher) -> list[_Level]:
    last = network.siren.last_linear
    return [_fold_level(linears(network.siren.sine_layers), HEAD_FREE.stop, matrix_of(last), bias_of(last))]


def _fold_body(network: BodyMorpher) -> list[_Level]:
    levels = [linears(level) for level in network.siren_layers]
    # What a next level's first layer makes of features is computed before the resize, at a quarter of the pixels.
    lasts = [_HALF_TURNS * matrix_of(level[0])[:, : -2 - COUNT] for level in levels[1:]]
    folded = [
        _fold_level(level, COUNT, last, torch.zeros_like(last[:, 0]))
        for level, last in zip(levels, lasts, strict=False)
    ]
    last = network.last_linear
    return [*folded, _fold_level(levels[2], COUNT, matrix_of(last), bias_of(last))]


def _fold_level(layers: list[nn.Conv2d], poses: int, last: Tensor, last_bias: Tensor) -> _Level:
    first, *others = layers
    block = min(_BLOCKS, key=lambda size: (-(-first.out_channels // size) > 3, -first.out_channels % size, -size))
    wide, narrow = -(-first.out_channels // block), -(-layers[-1].out_channels // block)
    width = wide * block
    outputs = _OUTPUTS if len(last) <= _OUTPUTS else -(-len(last) // block) * block
    inputs = _padded(_HALF_TURNS * matrix_of(first)[:, -2 - poses :].T, width)
    return _Level(
        inputs[:2].contiguous(),
        inputs[2:].contiguous(),
        _padded(_HALF_TURNS * bias_of(first), width),
        torch.stack([_padded(_HALF_TURNS * matrix_of(o).T, width, width).half() for o in others]),
        torch.stack([_padded(_HALF_TURNS * bias_of(o), width) for o in others]),
        _padded(last.T, outputs, width).half(),
        _padded(last_bias, outputs),
        block,
        wide,
        narrow,
        first.out_channels,
        len(last),
    )


def _padded(numbers: Tensor, columns: int, rows: int | None = None) -> Tensor:
    padding = [0, columns - numbers.shape[-1]]
    if rows is not None:
        padding += [0, rows - numbers.shape[-2]]
    return functional.pad(numbers, padding).contiguous()


@triton.jit
def _kernel(
    first,
    of_pose,
    below,
    weights,
    biases,
    last,
    last_bias,
    out,
    picture,
    side,
    size,
    top,
    left,
    CHANNELS: tl.constexpr,  # noqa: N803 - Triton's custom for what is known when a kernel is compiled
    OUTPUTS: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
    WIDE: tl.constexpr,  # noqa: N803
    NARROW: tl.constexpr,  # noqa: N803
    LAYERS: tl.constexpr,  # noqa: N803
    LAST_WIDTH: tl.constexpr,  # noqa: N803
    BELOW: tl.constexpr,  # noqa: N803
    KIND: tl.constexpr,  # noqa: N803 - 0: features for the next level, 1: the face, 2: the frame
    PIXELS: tl.constexpr,  # noqa: N803
):
    width: tl.constexpr = WIDE * BLOCK
    pose = tl.program_id(1)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    row, column = pixel // side, pixel % side
    x, y = (2 * column + 1).to(tl.float32) / side - 1, (2 * row + 1).to(tl.float32) / side - 1
    of_pose += pose * width
    below += pose * (side // 2) * (side // 2) * CHANNELS

    # Up to three blocks of features; those that a level does not have are never used.
    f0 = _first(first, of_pose, below, x, y, row, column, side, 0, BLOCK, width, CHANNELS, BELOW)
    f1, f2 = f0, f0
    if WIDE > 1:
        f1 = _first(first, of_pose, below, x, y, row, column, side, 1, BLOCK, width, CHANNELS, BELOW)
    if WIDE > 2:
        f2 = _first(first, of_pose, below, x, y, row, column, side, 2, BLOCK, width, CHANNELS, BELOW)
    for layer in tl.static_range(LAYERS):
        matrix, bias = weights + layer * width * width, biases + layer * width
        g0 = _sine_layer(matrix, bias, 0, f0, f1, f2, BLOCK, width, WIDE)
        g1, g2 = g0, g0
        # The last layer is narrower: its other blocks would be padding.
        if (WIDE > 1 and layer < LAYERS - 1) or NARROW > 1:
            g1 = _sine_layer(matrix, bias, 1, f0, f1, f2, BLOCK, width, WIDE)
        if (WIDE > 2 and layer < LAYERS - 1) or NARROW > 2:
            g2 = _sine_layer(matrix, bias, 2, f0, f1, f2, BLOCK, width, WIDE)
        f0, f1, f2 = g0, g1, g2

    if KIND == 0:
        for index in tl.static_range(LAST_WIDTH // BLOCK):
            c = index * BLOCK + tl.arange(0, BLOCK)
            made = _product(last, c, f0, f1, f2, BLOCK, LAST_WIDTH, NARROW)
            where = (pose * side * side + pixel)[:, None] * OUTPUTS + c[None, :]
            tl.store(out + where, made, mask=c[None, :] < OUTPUTS)
    else:
        columns = tl.arange(0, LAST_WIDTH)
        made = _product(last, columns, f0, f1, f2, BLOCK, LAST_WIDTH, NARROW) + tl.load(last_bias + columns)[None, :]
        if KIND == 1:
            for channel in tl.static_range(4):
                where = ((pose * 4 + channel) * size + top + row) * size + left + column
                tl.store(out + where, _column(made, columns, channel))
        else:
            _store_frame(picture, out, pose, pixel, x, y, size, made, columns)


@triton.jit
def _first(
    first,
    of_pose,
    below,
    x,
    y,
    row,
    column,
    side,
    index: tl.constexpr,
    block: tl.constexpr,
    width: tl.constexpr,
    channels,
    has_below,
):
    """The first sine layer, one block of it: of coordinates, pose, and the level below at twice its size."""
    c = index * block + tl.arange(0, block)
    angle = x[:, None] * tl.load(first + c)[None, :] + y[:, None] * tl.load(first + width + c)[None, :]
    angle += tl.load(of_pose + c)[None, :]
    if has_below:
        # Bilinear, align_corners=False: between the two nearest pixels, and at the edge the edge's own.
        half = side // 2
        down, right = tl.maximum(row * 0.5 - 0.25, 0.0), tl.maximum(column * 0.5 - 0.25, 0.0)
        y0, x0 = down.to(tl.int32), right.to(tl.int32)
        y1, x1 = tl.minimum(y0 + 1, half - 1), tl.minimum(x0 + 1, half - 1)
        down, right = (down - y0)[:, None], (right - x0)[:, None]
        upper = _between(below, y0 * half + x0, y0 * half + x1, right, c, channels)
        lower = _between(below, y1 * half + x0, y1 * half + x1, right, c, channels)
        angle += upper + down * (lower - upper)
    return _sine(angle).to(tl.float16)


@triton.jit
def _between(below, pixel, other, share, c, channels):
    inside = c[None, :] < channels
    a = tl.load(below + pixel[:, None] * channels + c[None, :], mask=inside, other=0.0)
    b = tl.load(below + other[:, None] * channels + c[None, :], mask=inside, other=0.0)
    return a + share * (b - a)


@triton.jit
def _sine_layer(
    matrix, bias, index: tl.constexpr, f0, f1, f2, block: tl.constexpr, stride: tl.constexpr, blocks: tl.constexpr
):
    columns = index * block + tl.arange(0, block)
    angle = _product(matrix, columns, f0, f1, f2, block, stride, blocks) + tl.load(bias + columns)[None, :]
    return _sine(angle).to(tl.float16)


@triton.jit
def _product(matrix, columns, f0, f1, f2, block: tl.constexpr, stride: tl.constexpr, blocks: tl.constexpr):
    """Features times these columns of a matrix, `[PIXELS, columns]` in float32."""
    where = matrix + tl.arange(0, block)[:, None] * stride + columns[None, :]
    sums = tl.dot(f0, tl.load(where))
    if blocks > 1:
        sums = tl.dot(f1, tl.load(where + block * stride), sums)
    if blocks > 2:
        sums = tl.dot(f2, tl.load(where + 2 * block * stride), sums)
    return sums


@triton.jit
def _sine(half_turns):
    """sin(pi t): around every half turn a polynomial fitted to it, error 3e-9 before rounding, with signs in turn."""
    nearest = tl.floor(half_turns + 0.5)
    r = half_turns - nearest
    odd = nearest - 2 * tl.floor(nearest * 0.5)
    u = r * r
    series = 3.14159258 + u * (-5.16770688 + u * (2.55003138 + u * (-0.59804517 + u * 0.07722012)))
    return (1 - 2 * odd) * r * series


@triton.jit
def _column(matrix, columns, index):
    return tl.sum(tl.where(columns[None, :] == index, matrix, 0.0), axis=1)


@triton.jit
def _store_frame(picture, out, pose, pixel, x, y, size, made, columns):
    """Look the picture up where the grid change points, border padding, and blend colour over it."""
    last = size - 1
    right = _inside((x + _column(made, columns, 0) + 1) * size * 0.5 - 0.5, last)
    down = _inside((y + _column(made, columns, 1) + 1) * size * 0.5 - 0.5, last)
    alpha = _column(made, columns, 2)
    x0, y0 = right.to(tl.int32), down.to(tl.int32)
    x1, y1 = tl.minimum(x0 + 1, last), tl.minimum(y0 + 1, last)
    right, down = right - x0, down - y0
    for channel in tl.static_range(4):
        plane = (pose * 4 + channel) * size * size
        top_left, top_right = tl.load(picture + plane + y0 * size + x0), tl.load(picture + plane + y0 * size + x1)
        left, other = tl.load(picture + plane + y1 * size + x0), tl.load(picture + plane + y1 * size + x1)
        upper, lower = top_left + right * (top_right - top_left), left + right * (other - left)
        warped = upper + down * (lower - upper)
        colour = _column(made, columns, 3 + channel)
        tl.store(out + plane + pixel, warped + alpha * (colour - warped))


@triton.jit
def _inside(position, last):
    # What is no number must not become an address.
    return tl.minimum(tl.maximum(tl.where(position == position, position, 0.0), 0.0), last * 1.0)
