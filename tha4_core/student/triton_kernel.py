"""The Triton kernels of `fused`, which says what they compute and in which form they are given it."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["side", "size", "top", "left"])  # one kernel for all sizes of frames
def level_kernel(
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
    CHANNELS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    BLOCK: tl.constexpr,
    WIDE: tl.constexpr,
    NARROW: tl.constexpr,
    SAME: tl.constexpr,  # sine layers after the first that are as wide
    LAST_WIDTH: tl.constexpr,
    BELOW: tl.constexpr,
    KIND: tl.constexpr,  # 0: features for the next level, 1: the face, 2: the frame
    PIXELS: tl.constexpr,
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
    for layer in range(SAME):
        matrix, bias = weights + layer * width * width, biases + layer * width
        g0 = _sine_layer(matrix, bias, 0, f0, f1, f2, BLOCK, width, WIDE)
        g1, g2 = g0, g0
        if WIDE > 1:
            g1 = _sine_layer(matrix, bias, 1, f0, f1, f2, BLOCK, width, WIDE)
        if WIDE > 2:
            g2 = _sine_layer(matrix, bias, 2, f0, f1, f2, BLOCK, width, WIDE)
        f0, f1, f2 = g0, g1, g2
    if NARROW < WIDE:  # the last sine layer, whose other blocks would be padding
        matrix, bias = weights + SAME * width * width, biases + SAME * width
        g0 = _sine_layer(matrix, bias, 0, f0, f1, f2, BLOCK, width, WIDE)
        g1 = g0
        if NARROW > 1:
            g1 = _sine_layer(matrix, bias, 1, f0, f1, f2, BLOCK, width, WIDE)
        f0, f1 = g0, g1

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


@triton.jit(do_not_specialize=["side"])
def first_kernel(
    first,
    of_pose,
    out,
    side,
    BLOCK: tl.constexpr,
    WIDTH: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """The first sine layer, a block of its features."""
    pose = tl.program_id(1)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    c = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    x, y = (2 * (pixel % side) + 1).to(tl.float32) / side - 1, (2 * (pixel // side) + 1).to(tl.float32) / side - 1
    angle = x[:, None] * tl.load(first + c)[None, :] + y[:, None] * tl.load(first + WIDTH + c)[None, :]
    angle += tl.load(of_pose + pose * WIDTH + c)[None, :]
    where = (pose * side * side + pixel)[:, None] * WIDTH + c[None, :]
    tl.store(out + where, _sine(angle).to(tl.float16))


@triton.jit
def layer_kernel(
    x,
    matrix,
    bias,
    out,
    BLOCK: tl.constexpr,
    INPUTS: tl.constexpr,
    AT_ONCE: tl.constexpr,  # inputs
    STRIDE: tl.constexpr,  # between two pixels' inputs
    WIDTH: tl.constexpr,  # of the matrix
    OUTPUTS: tl.constexpr,
    SINE: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """A sine layer or a linear one, a block of its outputs."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    rows, columns = tl.arange(0, AT_ONCE), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    sums = tl.zeros((PIXELS, BLOCK), tl.float32)
    for row in range(0, INPUTS, AT_ONCE):
        inputs = tl.load(x + pixel[:, None] * STRIDE + row + rows[None, :])
        sums = tl.dot(inputs, tl.load(matrix + (row + rows)[:, None] * WIDTH + columns[None, :]), sums)
    sums += tl.load(bias + columns)[None, :]
    where = out + pixel[:, None] * OUTPUTS + columns[None, :]
    if SINE:
        tl.store(where, _sine(sums).to(tl.float16))
    else:
        tl.store(where, sums, mask=columns[None, :] < OUTPUTS)


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
