"""Finds heads by their faces: a small fully convolutional network looks at a picture in many sizes.

`demo.head_training` made its weights from made-up characters alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from ..cpu import intra_op_threads
from ..weights import load_strictly, read_safetensors

WEIGHTS = Path(__file__).with_name("head_finder.safetensors")
HEAD = 32
"""The size in pixels of the heads that the network sees; others are found by resizing the picture."""
STRIDE = 4
"""Pixels from one score to the next."""
REACH = 22
"""Pixels that the network sees on each side of the one that a score stands for."""

_LEAST_ALPHA = 32  # a figure fainter than that is none
_LARGEST = 640  # pixels of the longer side; more are not needed for the smallest head that is looked for
_STEP = 2**0.25  # from one size to the next
_FAINTEST = -6.0  # logit; below it nothing is a head


@dataclass(frozen=True)
class Head:
    """A head, perhaps: centre and size (that of the specification's head box) in pixels, and the network's logit."""

    x: float
    y: float
    size: float
    logit: float

    def is_near(self, other: Head, distance: float, log_ratio: float) -> bool:
        """Whether the centres are within `distance` sizes, and the sizes within a factor of e to the `log_ratio`."""
        apart = math.hypot(self.x - other.x, self.y - other.y) / self.size
        return apart < distance and abs(math.log(self.size / other.size)) < log_ratio


class HeadNetwork(nn.Module):
    """30 101 weights: `[N, 4, H, W]` from `network_input` to logits `[N, 1, (H - 45) // 4 + 1, (W - 45) // 4 + 1]`."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(4, 12, 5, 2), nn.Conv2d(12, 16, 5, 2), nn.Conv2d(16, 24, 5), nn.Conv2d(24, 24, 5)]
        self.features = nn.ModuleList(layers)
        self.score = nn.Conv2d(24, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of heads of 32 pixels."""
        for layer in self.features:
            image = functional.relu(layer(image))
        logits: Tensor = self.score(image)
        return logits


def find_heads(picture: Image.Image) -> list[Head]:
    """What may be a head in an RGBA picture of any size, the likeliest first. Empty where nothing is visible."""
    figure, box = _figure(picture)
    if box is None:
        return []
    reduced = figure.resize(_scaled(figure.size, min(1.0, _LARGEST / max(figure.size))), Image.Resampling.BOX)
    # Operations this small are sooner done than shared out, and much sooner where other programs compute.
    with intra_op_threads(1):
        seen = [head for size in _sizes(*figure.size) for head in _heads_of_size(reduced, size / figure.width)]
    return [
        Head(box[0] + h.x * figure.width, box[1] + h.y * figure.width, h.size * figure.width, h.logit)
        for h in _merged(seen)
    ]


def network_input(rgba: Tensor) -> Tensor:
    """RGBA `[N, 4, H, W]`, 0..1, colour multiplied by alpha, as the network sees it: brightness, two colours, alpha."""
    red, green, blue, alpha = rgba.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([2 * luma - alpha, 4 * (red - luma), 4 * (blue - luma), 2 * alpha - 1], 1)


@cache
def _network() -> HeadNetwork:
    network = HeadNetwork()
    load_strictly(network, {key: value.float() for key, value in read_safetensors(WEIGHTS)[0].items()}, str(WEIGHTS))
    return network.eval().requires_grad_(False)


def _sizes(width: int, height: int) -> Iterator[float]:
    """The sizes of head that a figure may have, in its pixels."""
    size, largest = max(width, height) / 10, 1.1 * min(height, 1.2 * width)
    while True:
        yield size
        size *= _STEP
        if size > largest:
            return


def _figure(picture: Image.Image) -> tuple[Image.Image, tuple[int, int, int, int] | None]:
    """The visible part of a picture and its box, None without any: a translucent figure made solid, haze taken off."""
    alpha = picture.getchannel("A")
    most = max(float(np.asarray(alpha).max()), _LEAST_ALPHA)
    solid = alpha.point([round(255 * min(max(2 * value / most - 0.5, 0), 1)) for value in range(256)])
    box = solid.getbbox()
    figure = picture.crop(box)
    figure.putalpha(solid.crop(box))
    return figure, box


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _heads_of_size(figure: Image.Image, size: float) -> list[Head]:
    """Local maxima of the score for heads of one size; that, and the places, in widths of the figure."""
    width, height = _scaled(figure.size, HEAD / (size * figure.width))
    way = Image.Resampling.BOX if width < figure.width else Image.Resampling.BILINEAR
    resized = torch.from_numpy(np.array(figure.resize((width, height), way).convert("RGBa")))
    padding = [REACH + HEAD // 2] * 4
    rgba = functional.pad(resized.permute(2, 0, 1)[None].float() / 255, padding)
    logits = _network()(network_input(rgba))[0, 0]
    places = [
        (x, y, logit) for x, y, logit in _peaks(logits) if -HEAD / 2 < x < width + HEAD / 2 and y < height + HEAD / 2
    ]
    return [Head(x / width, y / height * figure.height / figure.width, size, logit) for x, y, logit in places]


def _peaks(logits: Tensor) -> Iterator[tuple[float, float, float]]:
    """Column, row (in pixels of the figure) and logit of each local maximum, between the cells by their scores."""
    highest = functional.max_pool2d(logits[None], 5, stride=1, padding=2)[0]
    shares = functional.pad(logits.sigmoid(), [1] * 4)
    for row, column in torch.nonzero((logits == highest) & (logits > _FAINTEST)).tolist():
        around = shares[row : row + 3, column : column + 3]
        total = around.sum()
        down, across = ((around.sum(axis) * torch.tensor([-1, 0, 1])).sum() / total for axis in (1, 0))
        start = 0.5 - HEAD // 2
        yield (
            (column + float(across)) * STRIDE + start,
            (row + float(down)) * STRIDE + start,
            float(logits[row, column]),
        )


def _merged(seen: list[Head]) -> list[Head]:
    """One head for those that are the same in several sizes: its size and place are their mean."""
    merged = []
    left = sorted(seen, key=lambda head: -head.logit)
    while left:
        best = left[0]
        same = [head for head in left if best.is_near(head, 0.35, 0.5)]
        left = [head for head in left if not best.is_near(head, 0.35, 0.5)]
        weights = [1 / (1 + math.exp(-head.logit)) for head in same]
        x, y, log_size = np.average([(h.x, h.y, math.log(h.size)) for h in same], axis=0, weights=weights)
        merged.append(Head(float(x), float(y), math.exp(log_size), best.logit))
    return merged
