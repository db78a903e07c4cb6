"""A student's frames by a few kernels (`triton_kernel`), between whose layers a pixel's features stay on the chip.

    face     pixel -> the face, written over the picture
    level 0  too wide for registers: a kernel for each layer
    level 1  pixel -> what the next level's first layer makes of the features, before the resize
    level 2  pixel -> grid change, alpha, colour -> warp and blend -> the frame

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
from torch import Tensor, nn
from torch.nn import functional

from ..networks.siren import FREQUENCY, BodyMorpher, FaceMorpher, bias_of, linears, matrix_of
from ..picture.model_space import SIZE
from ..pose import COUNT, HEAD_FREE
from .gpu import versions
from .triton_kernel import first_kernel, layer_kernel, level_kernel

_BLOCKS = (128, 64, 32)  # channels of a block; a level takes those that pad it least, at most three of them
_PIXELS = 64  # of a program; every level has a multiple of it
_INPUTS = 32  # that a layer's product takes at once
# What is copied to shared memory ahead: one matrix of a level, two tiles of a layer. With more, a multiprocessor of an
# RTX 30 or 40 has room for a single program.
_MATRICES, _TILES = 2, 3
_WIDEST = 192  # padded channels of a level that is one kernel: three blocks before and after a layer are in registers
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

    `tick` is called between batches of poses; what it raises ends the render. Raises RuntimeError for an NVIDIA GPU
    older than the RTX 30 series, for whose tensor cores Triton makes no code.
    """
    if poses.device.type == "cuda" and torch.cuda.get_device_capability(poses.device) < (8, 0):
        raise RuntimeError("the GPU is too old for it")
    with torch.cuda.device_of(poses):  # type: ignore[no-untyped-call]  # where Triton starts kernels; nothing on a CPU
        return _render(_fold(face_morpher, _fold_face)[0], _fold(body_morpher, _fold_body), image, poses, tick)


def _render(face: _Level, body: list[_Level], image: Tensor, poses: Tensor, tick: Callable[[], None]) -> Tensor:
    size = image.shape[-1]
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
    """Compute a level into `out`: features `[N, P, outputs]`, or the face into the picture, or the frame."""
    of_pose = torch.addmm(level.constant, poses, level.of_pose)
    grid = (side * side // _PIXELS, len(poses))
    if level.wide * level.block > _WIDEST:
        _run_layers(level, of_pose, side, out, grid)
        return
    size = picture.shape[-1]
    level_kernel[grid](
        level.first, of_pose, of_pose if below is None else below, level.weights, level.biases, level.last,
        level.last_bias, out, picture, side, size, _FACE_TOP * size // SIZE, _FACE_LEFT * size // SIZE,
        CHANNELS=level.channels, OUTPUTS=level.outputs, BLOCK=level.block, WIDE=level.wide, NARROW=level.narrow,
        SAME=len(level.weights) - (level.narrow < level.wide), LAST_WIDTH=level.last.shape[1],
        BELOW=below is not None, KIND=0 if out.ndim == 3 else 1 if out is picture else 2, PIXELS=_PIXELS,
        num_stages=_MATRICES, enable_fp_fusion=True,
    )  # fmt: skip


def _run_layers(level: _Level, of_pose: Tensor, side: int, out: Tensor, grid: tuple[int, int]) -> None:
    """A wide level that has none below it, layer by layer."""
    pixels, width = side * side * len(of_pose), level.wide * level.block
    x = torch.empty(pixels, width, dtype=torch.float16, device=out.device)
    first_kernel[(grid[0], grid[1], level.wide)](
        level.first, of_pose, x, side, BLOCK=level.block, WIDTH=width, PIXELS=_PIXELS, enable_fp_fusion=True
    )
    for index, (matrix, bias) in enumerate(zip(level.weights, level.biases, strict=True)):
        blocks = level.narrow if index == len(level.weights) - 1 else level.wide
        y = torch.empty_like(x)
        _run_layer(x, matrix, bias, y, (pixels // _PIXELS, blocks), level.block, width, sine=True)
        x = y
    blocks = level.last.shape[1] // level.block
    inputs = level.narrow * level.block
    _run_layer(x, level.last, level.last_bias, out, (pixels // _PIXELS, blocks), level.block, inputs, sine=False)


def _run_layer(
    x: Tensor, matrix: Tensor, bias: Tensor, out: Tensor, grid: tuple[int, int], block: int, inputs: int, *, sine: bool
) -> None:
    """The first `inputs` columns of `x` times a matrix."""
    layer_kernel[grid](
        x, matrix, bias, out, BLOCK=block, INPUTS=inputs, AT_ONCE=_INPUTS, STRIDE=x.shape[1], WIDTH=matrix.shape[1],
        OUTPUTS=out.shape[-1], SINE=sine, PIXELS=_PIXELS, num_stages=_TILES, enable_fp_fusion=True,
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
