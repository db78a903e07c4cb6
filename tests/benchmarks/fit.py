"""How well the automatic fit does: left alone, brought back from other canvases, and where it asks the user to look.

The made-up characters are drawn from seeds that training does not use. The published pictures are used where
THA4_REFERENCE has them.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image

from tests.conftest import REFERENCE
from tha4_core.demo import demo_character
from tha4_core.demo.head_training.figures import draw_figure
from tha4_core.picture.fitting import Fit, Placement, auto_fit

CANVASES = ((700, 1200), (1920, 1080), (1024, 1536), (900, 900))
SIZE, CENTRE, HALF_HEAD = 512, (256.0, 128.0), 64
HELD_OUT = 1_000_000
"""A seed; training's own are small numbers."""


@dataclass
class Score:
    """What was counted over a set of pictures."""

    alone: list[bool] = field(default_factory=list)
    back: list[bool] = field(default_factory=list)
    silent: int = 0
    warned: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, fit: Fit, seconds: float, right: bool, as_it_is: bool) -> None:
        """Count one fit."""
        (self.alone if as_it_is else self.back).append(right)
        self.silent += fit.sure and not right
        self.warned += right and not fit.sure
        self.seconds.append(seconds)

    def __str__(self) -> str:
        alone, back = (f"{sum(found):5}/{len(found):<4}" for found in (self.alone, self.back))
        times = f"{1000 * statistics.median(self.seconds):6.0f} {1000 * max(self.seconds):6.0f}"
        return f"{alone} {back} {self.silent:6} {self.warned:8} {times}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60, help="made-up characters")
    count = parser.parse_args().count
    torch.set_num_threads(1)
    print("                      left alone   back    silent  warned     ms of processor")
    print("                                           misses  though     median  most")
    print("                                                   right")
    made = [made_up(i) for i in range(count)]
    published = sorted((REFERENCE / "cases" / "pictures" / "published").glob("*.png"))
    sets = {"made-up characters": made, "demo character": [Image.fromarray(demo_character().picture.numpy())]}
    if published:
        sets["published pictures"] = [Image.open(path).convert("RGBA") for path in published]
    for name, pictures in sets.items():
        print(f"{name:20} {score(pictures)}", flush=True)
    without = [auto_fit(made_up(i, faceless=True)) for i in range(count)]
    print(f"made up without a face: {sum(not fit.sure for fit in without)} of {count} warned")


def score(pictures: list[Image.Image]) -> Score:
    """Fit every picture as it is and embedded in other canvases."""
    total = Score()
    for index, picture in enumerate(pictures):
        for sheet, pasted in [(picture, Placement(1, 0, 0)), *embedded(picture, random.Random(index))]:
            start = time.process_time()
            fit = auto_fit(sheet)
            seconds = time.process_time() - start
            total.add(fit, seconds, is_right(fit.placement, pasted), as_it_is=sheet is picture)
    return total


def made_up(index: int, faceless: bool = False) -> Image.Image:
    """A made-up character, framed as the specification wants it."""
    figure = draw_figure(np.random.default_rng([HELD_OUT, index]), SIZE, faceless, size=2 * HALF_HEAD)
    framed = Image.new("RGBA", (SIZE, SIZE))
    framed.paste(figure.picture, (round(CENTRE[0] - figure.x), round(CENTRE[1] - figure.y)))
    return framed


def embedded(picture: Image.Image, chance: random.Random) -> Iterator[tuple[Image.Image, Placement]]:
    """A 512 picture, smaller or larger, somewhere on other canvases that hold its head, and where it was put."""
    for width, height in CANVASES:
        scale = chance.uniform(0.3, 2.0)
        side = round(SIZE * scale)
        x = chance.randint(-side // 10, max(1, width - int(0.9 * side)))
        y = chance.randint(-side // 20, max(1, height - int(0.6 * side)))
        middle, top = CENTRE[0] * scale + x, (CENTRE[1] - HALF_HEAD) * scale + y
        if HALF_HEAD * scale <= middle <= width - HALF_HEAD * scale and 0 <= top <= height - 2 * HALF_HEAD * scale:
            sheet = Image.new("RGBA", (width, height))
            sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (x, y))
            yield sheet, Placement(scale, x, y)


def is_right(fitted: Placement, pasted: Placement) -> bool:
    """Whether the head is within 20 pixels of its box's centre, and its size within a factor of 1.3."""
    x, y = (
        (c * pasted.scale + at) * fitted.scale + to
        for c, at, to in zip(CENTRE, (pasted.x, pasted.y), (fitted.x, fitted.y), strict=True)
    )
    far = max(abs(x - CENTRE[0]), abs(y - CENTRE[1]))
    return far <= 20 and 1 / 1.3 <= pasted.scale * fitted.scale <= 1.3


if __name__ == "__main__":
    main()
