"""What made-up characters wear or grow on their heads: ears of animals, horns, hats, bands, bows, flowers."""

from __future__ import annotations

import numpy as np

from .look import Look
from .pen import SIDES, Array, Colour, Pen, Random, any_colour, ellipse, limb, mix, shade, symmetric


def draw_behind_head(pen: Pen, look: Look, random: Random) -> None:
    """One of the things that lie behind the hair."""
    kinds = [_ears, _horns, _halo, _large_bow, _hood]
    draw = kinds[random.choice(len(kinds), p=[0.5, 0.17, 0.1, 0.13, 0.1])]
    draw(pen, look, look.hair if random.random() < 0.5 else any_colour(random), random)


def draw_on_head(pen: Pen, look: Look, random: Random) -> None:
    """One of the things that lie before the hair."""
    kinds = [_hat, _cap, _band, _flower, _bow, _headphones, _crown]
    draw = kinds[random.choice(len(kinds), p=[0.3, 0.15, 0.12, 0.15, 0.15, 0.08, 0.05])]
    draw(pen, look, any_colour(random), random)


def _ears(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    """An animal's: pointed, tall, round or hanging."""
    kind = random.choice(["pointed", "tall", "round", "hanging"], p=[0.4, 0.35, 0.15, 0.1])
    length = random.uniform(0.5, 1.8) if kind == "tall" else random.uniform(0.2, 0.5)
    x, wide, lean = look.hair_width * random.uniform(0.3, 0.85), random.uniform(0.08, 0.2), random.uniform(-0.1, 0.7)
    root = np.array([x, -0.36])
    way = np.array([0.4, 0.5]) if kind == "hanging" else length * np.array([np.sin(lean), -np.cos(lean)])
    path = [root, root + way / 2, root + way]
    widths = np.array([2.0, 1.6, 0.01 if kind == "pointed" else 1.0]) * wide
    for side in SIDES:
        if kind == "round":
            pen.fill(ellipse(side * x * 1.2, -0.45, wide, wide), colour)
            continue
        for share, tone in ((1.0, colour), (0.55, mix(colour, (250, 170, 170), 0.6))):
            pen.fill(limb(path, widths * share) * (side, 1), tone, smooth=kind != "pointed")


def _horns(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    length, out, x = random.uniform(0.15, 0.6), random.uniform(-0.1, 0.5), look.hair_width * 0.6
    horn = limb([(x, -0.4), (x + out * 0.6, -0.45 - length * 0.4), (x + out, -0.42 - length)], (0.14, 0.1, 0.01))
    for side in SIDES:
        pen.fill(horn * (side, 1), colour)


def _halo(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    ring = ellipse(0, random.uniform(-0.75, -0.55), random.uniform(0.2, 0.45), random.uniform(0.05, 0.15))
    pen.line(np.concatenate([ring, ring[:1]]), colour, 0.03)


def _hood(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    pen.fill(ellipse(0, 0, look.hair_width + random.uniform(0.08, 0.25), random.uniform(0.55, 0.75)), colour)


def _large_bow(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    draw_bow(pen, 0, -0.45, random.uniform(0.2, 0.6), colour)


def draw_bow(pen: Pen, x: float, y: float, size: float, colour: Colour) -> None:
    """A ribbon tied to a bow."""
    wing = np.array([(0, 0), (0.9, -0.6), (1, 0.0), (0.8, 0.6)]) * size
    for side in SIDES:
        pen.fill(wing * (side, 1) + np.array([x, y]), colour)
    pen.fill(ellipse(x, y, size * 0.2, size * 0.25), shade(colour, 0.8))


def _hat(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    """A crown and a brim; the brim anywhere between the top of the head and the brow."""
    y, brim, high = random.uniform(-0.48, -0.18), look.hair_width * random.uniform(1.0, 2.4), random.uniform(0.25, 1.1)
    top, droop = look.hair_width * random.uniform(0.05, 1.0), random.uniform(-0.1, 0.2)
    pen.fill([(-look.hair_width, y), (-top, y - high), (top, y - high), (look.hair_width, y)], colour, smooth=False)
    edge = [(0, y - 0.05), (brim * 0.6, y - 0.03), (brim, y + droop), (brim * 0.6, y + 0.05), (0, y + 0.06)]
    pen.fill(symmetric(edge), colour)
    if random.random() < 0.5:
        pen.line([(-look.hair_width, y - 0.08), (look.hair_width, y - 0.08)], any_colour(random), 0.06)


def _cap(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    top, low = random.uniform(-0.62, -0.52), random.uniform(-0.3, -0.1)
    pen.fill(symmetric([(0, top), (look.hair_width * 0.9, top + 0.15), (look.hair_width * 1.05, low)]), colour)
    pen.fill(ellipse(0, low, look.hair_width * 1.05, random.uniform(0.03, 0.08)), any_colour(random))


def _band(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    band = [(x * look.hair_width, -0.44 + 0.5 * x * x) for x in np.linspace(-1, 1, 7)]
    pen.line(band, colour, random.uniform(0.02, 0.1))


def _headphones(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    for side in SIDES:
        pen.fill(ellipse(side * look.hair_width, 0.05, 0.09, 0.14), colour)


def _crown(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    x = np.linspace(-0.25, 0.25, 9)
    points = np.stack([x, np.where(np.arange(9) % 2, -0.65, -0.5)], 1)
    pen.fill(np.concatenate([points, [(0.25, -0.42), (-0.25, -0.42)]]), colour, smooth=False)


def _bow(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    x, y = _place(random)
    draw_bow(pen, x, y, random.uniform(0.08, 0.25), colour)


def _flower(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    (left, top), size = _place(random), random.uniform(0.05, 0.15)
    for angle in np.linspace(0, 2 * np.pi, 5, endpoint=False):
        x, y = left + 0.6 * size * np.cos(angle), top + 0.6 * size * np.sin(angle)
        pen.fill(ellipse(x, y, size * 0.5, size * 0.5), colour)
    pen.fill(ellipse(left, top, size * 0.35, size * 0.35), any_colour(random))


def _place(random: Random) -> Array:
    """Somewhere on the hair."""
    return random.uniform((-0.4, -0.55), (0.4, -0.2))
