"""The student's frames at any size, several times faster than its plain modules and with the same numbers.

A student is a function of a position and a pose (spec section 5): sine layers, each one matrix product and one sine,
with two bilinear resizes on the way. Every pixel is computed on its own, so pixels are taken in tiles: `[channels, P]`,
one pixel a column. A few facts make it fast, none of which changes the result; each is explained where it is used. What
differs is float32's rounding alone: renderer and plain modules are equally far from the frame in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import cycle
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..cpu import RowTiles, ThreadPool, exclusive_pool
from ..errors import SizeError
from ..networks.siren import FREQUENCY, BodyMorpher, FaceMorpher, bias_of, linears, matrix_of
from ..picture.model_space import SIZE, paste, resample
from ..picture.warping import look_up, positions
from ..pose import COUNT, HEAD_FREE
from .gpu import FUSED, Kernel, LayerKernel

SIZES = range(64, 2049, 32)
"""The heights and widths that a frame can have: multiples of 32, on which the face's rectangle has whole pixels."""

_FACE_TOP, _FACE_LEFT, _FACE_SIDE = 80, 192, 128  # of 512 pixels

# Numbers in a tile's features. On a CPU 1.5 MB, which stay in a core's cache (half or twice as many are as fast); on a
# GPU a tile is a whole picture of 512 pixels.
_TILE_ON_CPU, _TILE_ELSEWHERE = 3 * 2**17, 2**25
_FEWEST_ROWS = 4  # a resize reads one row more above and below the tile


class Level(NamedTuple):
    """Sine layers over the pixels of one grid, folded for `_run`.

    `first` is the first layer as it is trained; its inputs are features of the level before, x, y and the pose.
    `layers` are the others, `[1 + out, 1 + in]`; `last` `[outputs, 1 + in]` is what follows the last sine. `kernel`
    computes the layers; None: plain float32.
    """

    first: nn.Conv2d
    layers: list[Tensor]
    last: Tensor
    kernel: LayerKernel | None


@torch.inference_mode(False)  # the pool's threads are not in this mode, and may not write to what is made in it
@torch.no_grad()
def render(
    face_morpher: FaceMorpher,
    body_morpher: BodyMorpher,
    image: Tensor,
    poses: Tensor,
    size: int = SIZE,
    tick: Callable[[], None] | None = None,
    kernel: Kernel | None = None,
) -> Tensor:
    """Poses `[N, 45]` -> frames `[N, 4, size, size]` in model space, float32, on the device of everything given.

    `image` `[1, 4, H, W]` is the character in model space. Sizes and `tick` are as in `Student.render`, which see;
    `kernel` is one of `gpu`. Raises ImportError for the fused one without Triton.
    """
    check_size(size)
    if kernel == FUSED:
        from . import fused

        return fused.render(face_morpher, body_morpher, resample(image, size), poses, tick or (lambda: None))
    frames = torch.empty(len(poses), 4, size, size, device=poses.device)
    with exclusive_pool(poses.device, tick) as pool:
        # Folding takes a hundredth of a frame's time, so it is done anew each time: no fold can be out of date.
        face, body = _fold_face(face_morpher, kernel), _fold_body(body_morpher, kernel)
        image = resample(image, size)
        picture = image
        for pose, frame, is_new in zip(poses, frames, _new_faces(poses), strict=True):
            if is_new:
                picture = _with_face(_face_patch(pool, face, pose[HEAD_FREE], size // 4), image)
            _body_frame(pool, body, pose, picture, frame)
    return frames


def check_size(size: int) -> None:
    """Raises SizeError for a size that no frame can have."""
    if size not in SIZES:
        raise SizeError(f"size is {size}; a frame's size is a multiple of 32 from {SIZES[0]} to {SIZES[-1]}.")


def _new_faces(poses: Tensor) -> list[bool]:
    """Which of the poses `[N, 45]` need another face patch than the one before.

    The face does not depend on how the head is turned: while pose[0:39] stays, so does the patch.
    """
    if len(poses) == 1:  # nothing that the CPU would have to wait for: this may be part of a CUDA graph
        return [True]
    return [True, *(poses[1:, HEAD_FREE] != poses[:-1, HEAD_FREE]).any(dim=1).tolist()]


def _face_patch(pool: ThreadPool, face: Level, pose: Tensor, side: int) -> Tensor:
    """The face `[1, 4, side, side]` of a pose `[39]`."""
    patch = torch.empty(1, 4, side, side, device=pose.device)

    def finish(rows: slice, features: Tensor) -> None:
        patch[0, :, rows] = torch.mm(face.last, features).view(4, -1, side)

    _run(pool, face, pose, None, side, finish)
    return patch


def _body_frame(pool: ThreadPool, body: list[Level], pose: Tensor, picture: Tensor, frame: Tensor) -> None:
    """Fill `frame` `[4, size, size]` with the pose `[45]` of the picture `[1, 4, size, size]` that has its face."""
    size = frame.shape[-1]
    below = None
    for level, side in ((body[0], size // 4), (body[1], size // 2)):
        below = _to_next_level(pool, level, pose, below, side)
    identity = positions(size, size, device=pose.device)

    def finish(rows: slice, features: Tensor) -> None:
        grid_change, alpha, colour = torch.split(torch.mm(body[2].last, features).view(7, -1, size), [2, 1, 4])
        warped = look_up(picture, identity[:, :, rows] + grid_change)[0]
        torch.lerp(warped, colour, alpha, out=frame[:, rows])

    _run(pool, body[2], pose, below, size, finish)


def _to_next_level(pool: ThreadPool, level: Level, pose: Tensor, below: Tensor | None, side: int) -> Tensor:
    """One level of the body: what the next one starts from, `[side, side, channels]`."""
    out = torch.empty(side, side, level.last.shape[0], device=pose.device)

    # The next level resizes these features and multiplies them by a matrix. A resize mixes pixels and the matrix mixes
    # channels, so the order is free: here, before the resize, there is a quarter of the pixels to multiply.
    def finish(rows: slice, features: Tensor) -> None:
        torch.mm(features.t(), level.last.t(), out=out[rows].flatten(0, 1))

    _run(pool, level, pose, below, side, finish)
    return out


def _run(
    pool: ThreadPool,
    level: Level,
    pose: Tensor,
    below: Tensor | None,
    side: int,
    finish: Callable[[slice, Tensor], None],
) -> None:
    """Run sine layers over a grid of `side` x `side` pixels and give `finish` the features of every tile.

    `below` is what `_to_next_level` made at half the side. `finish` gets a tile's rows and `[1 + channels, P]`.
    """
    first = _first_layer(level.first, pose)
    inputs = torch.cat([torch.ones(1, side, side, device=pose.device), positions(side, side, device=pose.device)[0]])
    height = _tile_rows(first, side)

    def job(tiles: RowTiles) -> None:
        # Two buffers in turn, sines in place: a tile's features never leave the cache.
        buffers = cycle([torch.empty(first.shape[0] * height * side, device=pose.device) for _ in "ab"])
        for rows in tiles:
            here = inputs[:, rows].flatten(1)
            if below is None:
                x = _product(first, here, next(buffers))
            else:
                x = _resized(below, rows).addmm_(here.t(), first.t()).t()
            if level.kernel is not None:
                x = level.kernel(level.layers, x)
            else:
                x.sin_()
                for layer in level.layers:
                    x = _product(layer, x, next(buffers)).sin_()
            finish(rows, x)

    pool.run((slice(top, min(top + height, side)) for top in range(0, side, height)), job)


def _product(matrix: Tensor, x: Tensor, buffer: Tensor) -> Tensor:
    """`matrix @ x`, written into a flat buffer."""
    rows, columns = matrix.shape[0], x.shape[1]
    return torch.mm(matrix, x, out=buffer[: rows * columns].view(rows, columns))


def _resized(below: Tensor, rows: slice) -> Tensor:
    """These rows of `below` `[h, w, C]` at twice its size, `[P, C]`: bilinear, align_corners=False."""
    first, last = max(rows.start // 2 - 1, 0), min(rows.stop // 2 + 1, below.shape[0])
    # Channels last: every neighbour is then one run of memory. The first dimension keeps its natural stride, by
    # which PyTorch tells that layout.
    slab = below[None, first:last].permute(0, 3, 1, 2)
    resized = functional.interpolate(slab, scale_factor=2, mode="bilinear", align_corners=False)
    tile = resized.permute(0, 2, 3, 1)[0, rows.start - 2 * first : rows.stop - 2 * first]
    return tile.flatten(0, 1)


def _tile_rows(first: Tensor, side: int) -> int:
    """How many rows of `side` pixels a tile has: an even number."""
    row = first.shape[0] * side
    if first.device.type != "cpu":
        return min(side, max(_FEWEST_ROWS, _TILE_ELSEWHERE // row // 2 * 2))
    # Eight tiles at least, so that threads end at about the same time.
    return max(_FEWEST_ROWS, min(_TILE_ON_CPU // row, side // 8) // 2 * 2)


def _fold_face(network: FaceMorpher, kernel: LayerKernel | None) -> Level:
    first, *others = linears(network.siren.sine_layers)
    layers = [_sine_layer(matrix_of(o), bias_of(o)) for o in others]
    return Level(first, layers, _last_layer(network.siren.last_linear), kernel)


def _fold_body(network: BodyMorpher, kernel: LayerKernel | None) -> list[Level]:
    levels = [linears(level) for level in network.siren_layers]
    lasts = [_feature_part(level[0]) for level in levels[1:]] + [_last_layer(network.last_linear)]
    return [
        Level(first, [_sine_layer(matrix_of(o), bias_of(o)) for o in others], last, kernel)
        for (first, *others), last in zip(levels, lasts, strict=True)
    ]


def _sine_layer(weight: Tensor, bias: Tensor) -> Tensor:
    """sin(30 (W x + b)) as sin(M [1; x]): the matrix M `[1 + out, 1 + in]`.

    The 30 is part of M, and the bias its first column. Its first row makes the 1 that the next layer's bias needs:
    sin(pi / 2) is exactly 1 in float32. So no layer has a pass over its features but the product and the sine.
    """
    matrix = functional.pad(FREQUENCY * torch.cat([bias[:, None], weight], dim=1), (0, 0, 1, 0))
    matrix[0, 0].fill_(math.pi / 2)
    return matrix


def _first_layer(first: nn.Conv2d, pose: Tensor) -> Tensor:
    """What a first layer makes of 1, x and y in this pose, `[1 + out, 3]`.

    The pose is the same at every pixel, so its product with the weights is a vector: a part of the bias.
    """
    weight = matrix_of(first)
    of_position, of_pose = weight[:, -len(pose) - 2 : -len(pose)], weight[:, -len(pose) :]
    return _sine_layer(of_position, bias_of(first) + of_pose @ pose)


def _feature_part(first: nn.Conv2d) -> Tensor:
    """What a first layer makes of the features of the level before, `[1 + out, 1 + features]`."""
    return functional.pad(FREQUENCY * matrix_of(first)[:, : -2 - COUNT], (1, 0, 1, 0))


def _last_layer(linear: nn.Conv2d) -> Tensor:
    """The last layer, which has no sine, `[outputs, 1 + in]`."""
    return torch.cat([bias_of(linear)[:, None], matrix_of(linear)], dim=1)


def _with_face(patch: Tensor, image: Tensor) -> Tensor:
    top, left, side = (number * image.shape[-1] // SIZE for number in (_FACE_TOP, _FACE_LEFT, _FACE_SIDE))
    return paste(patch, image, slice(top, top + side), slice(left, left + side))
