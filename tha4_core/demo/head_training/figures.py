"""Made-up characters: pictures of a figure whose head's place and size are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .body import draw_behind_body, draw_body
from .face import draw_brows, draw_features, draw_glasses, draw_skin
from .hair import draw_back_hair, draw_faceless_hair, draw_front_hair
from .headwear import draw_behind_head, draw_on_head
from .look import Look
from .pen import Pen, Random, Style, any_colour, ellipse


@dataclass(frozen=True)
class Figure:
    """An RGBA picture and its head: centre and size in pixels, and whether it has a face to be found by."""

    picture: Image.Image
    x: float
    y: float
    size: float
    face: bool


def draw_figure(random: Random, side: int = 384, faceless: bool = False, size: float | None = None) -> Figure:
    """A made-up character on a square of `side` pixels; `size` of her head (any where None) in pixels.

    With `faceless` she is seen from behind, or her face or head is missing.
    """
    look, style = Look.random(random), Style.random(random)
    size = side * random.uniform(0.13, 0.3) if size is None else size
    x, y = side / 2 + random.uniform(-0.5, 0.5) * size, size * random.uniform(0.7, 1.6)
    pen = Pen(2 * side, (2 * x, 2 * y), 2 * size, style)
    tilt = random.normal(0, 0.12)
    if random.random() < 0.2:
        draw_behind_body(pen, random)
    pen.tilt(tilt)
    draw_back_hair(pen, look, random)
    pen.tilt(random.normal(0, 0.05))
    if random.random() < 0.93:
        draw_body(pen, look, random)
    pen.tilt(tilt)
    if random.random() < 0.35:
        draw_behind_head(pen, look, random)
    (_draw_faceless_head if faceless else _draw_head)(pen, look, random)
    if random.random() < 0.35:
        draw_on_head(pen, look, random)
    if faceless and random.random() < 0.25:
        pen.erase([(-9, -9), (9, -9), (9, look.chin), (-9, look.chin)])
    return Figure(pen.image.reduce(2), x, y, size, not faceless)


def draw_object(random: Random, side: int = 384) -> Figure:
    """Shapes that are no character: one to a dozen, from plain discs to heaps."""
    size, middle = side * random.uniform(0.1, 0.4), side / 2
    pen = Pen(2 * side, (2 * middle, 2 * middle), 2 * size, Style.random(random))
    for _ in range(int(random.choice([1, 2, 3, 12]))):
        x, y = random.normal(0, 0.4, 2)
        wide, high = random.uniform(0.05, 1.0, 2) ** 1.5
        kind, colour = random.choice(["disc", "box", "polygon", "blob"]), any_colour(random)
        around = ellipse(0, 0, 1, 1)
        if kind == "box":
            around = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=float)
        elif kind != "disc":
            around *= random.uniform(0.3, 1.5, (len(around), 1))
        pen.fill(around * (wide, high) + (x, y), colour, smooth=kind in ("disc", "blob"))
    return Figure(pen.image.reduce(2), middle, middle, size, face=False)


def _draw_head(pen: Pen, look: Look, random: Random) -> None:
    draw_skin(pen, look, random)
    draw_features(pen, look, random)
    draw_front_hair(pen, look, random)
    if random.random() < 0.8:
        draw_brows(pen, look, random)
    if random.random() < 0.12:
        draw_glasses(pen, look, random)


def _draw_faceless_head(pen: Pen, look: Look, random: Random) -> None:
    """From behind, without features, or with hair all over the face."""
    if random.random() < 0.25:
        draw_faceless_hair(pen, look)
        return
    draw_skin(pen, look, random)
    covered = random.random() < 0.7
    if covered:
        draw_features(pen, look, random)
    draw_front_hair(pen, look, random)
    if covered:
        top, low = look.brow_y - random.uniform(0.0, 0.3), look.mouth_y + random.uniform(0.03, 0.2)
        wide = look.face * random.uniform(0.85, 1.3)
        colour = look.hair if random.random() < 0.8 else any_colour(random)
        pen.fill(ellipse(0, (top + low) / 2, wide, (low - top) / 2 * 1.2), colour, depth=random.choice([0, 1]))
