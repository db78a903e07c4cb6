"""Narrow sine layers as one GPU kernel: a block's features stay on the chip from the first sine to the last.

Optional, with the package `triton`. TRITON_INTERPRET=1 runs it on a CPU, for tests.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

_WIDTH = 128  # features of a pixel at most: a layer's weights are then 32 KB, and a block's features are registers
_PIXELS = 64  # of a block


def fits(layers: Sequence[Tensor]) -> bool:
    """Whether these layers are narrow enough, and all of one width."""
    return all(layer.shape == layers[0].shape and len(layer) == layer.shape[1] <= 1 + _WIDTH for layer in layers)


def sine_layers(layers: Sequence[Tensor], x: Tensor) -> Tensor:
    """What `gpu.float16` gives, for layers that fit."""
    channels, pixels = x.shape[0] - 1, x.shape[1]
    padding = _WIDTH - channels
    # Here the bias is no column of the matrix: with the 1 that it needs, 128 features would be 129.
    weights = torch.stack([functional.pad(layer[1:, 1:], (0, padding, 0, padding)).half() for layer in layers])
    biases = torch.stack([functional.pad(layer[1:, 0], (0, padding)) for layer in layers])
    out = torch.empty(x.shape, device=x.device)
    out[0] = 1
    grid = (triton.cdiv(pixels, _PIXELS),)
    _kernel[grid](x, *x.stride(), weights, biases, out, channels, pixels, len(layers), _WIDTH, _PIXELS)
    return out


@triton.jit
def _kernel(
    x,
    x_row,
    x_column,
    weights,
    biases,
    out,
    channels,
    pixels,
    layer_count: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
):
    rows = tl.arange(0, width)
    columns = tl.program_id(0) * block + tl.arange(0, block)
    inside = (rows[:, None] < channels) & (columns[None, :] < pixels)
    features = tl.sin(tl.load(x + (rows[:, None] + 1) * x_row + columns[None, :] * x_column, mask=inside, other=0.0))
    for layer in tl.static_range(layer_count):
        matrix = tl.load(weights + (layer * width + rows[:, None]) * width + rows[None, :])
        bias = tl.load(biases + layer * width + rows)
        features = tl.sin(tl.dot(matrix, features.to(tl.float16)) + bias[:, None])
    tl.store(out + (rows[:, None] + 1) * pixels + columns[None, :], features, mask=inside)
