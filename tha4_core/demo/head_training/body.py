"""Bodies of made-up characters: clothes, limbs, wings, and things that a careless eye takes for a head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .headwear import draw_bow
from .look import Look
from .pen import SIDES, Pen, Random, any_colour, ellipse, limb, shade, symmetric


def draw_behind_body(pen: Pen, random: Random) -> None:
    """Wings, a tail, or a staff."""
    kind, colour = random.choice(["wings", "tail", "staff"], p=[0.6, 0.25, 0.15]), any_colour(random)
    if kind == "wings":
        count, reach, top = int(random.integers(3, 7)), random.uniform(0.6, 2.2), random.uniform(-0.9, 0.7)
        tips = [(0.2, 0.9)]
        for i in range(count):
            angle = np.interp(i, [0, count - 1], [-0.9, 0.8])
            tips += [
                (reach * np.cos(angle), top + 0.9 + reach * np.sin(angle)),
                (reach * 0.6, top + 1 + 0.5 * angle * reach),
            ]
        smooth = random.random() < 0.5
        for side in SIDES:
            pen.fill(np.array([*tips, (0.2, 1.4)]) * (side, 1), colour, smooth=smooth)
    elif kind == "tail":
        side, wide = random.choice(SIDES), random.uniform(0.05, 0.35)
        path = [(0.1, 2.0), (0.7, 2.2), (1.0, 1.6), (random.uniform(0.6, 1.4), random.uniform(0.6, 1.4))]
        pen.fill(limb([(side * x, y) for x, y in path], (wide, wide, wide * 1.3, 0.05)), colour)
    else:
        x = random.uniform(-1, 1)
        pen.line([(x, random.uniform(-1, 0.5)), (x + 0.2, 3)], colour, random.uniform(0.03, 0.1), smooth=False)
        pen.fill(ellipse(x, random.uniform(-0.9, 0.3), 0.2, 0.2), any_colour(random))


@dataclass(frozen=True)
class Torso:
    """The rows of shoulder, waist and hem, and half the widths of the torso and of the skirt at its hem."""

    shoulder: float
    waist: float
    hem: float
    half: float
    flare: float

    @classmethod
    def random(cls, random: Random) -> Torso:
        """A child's to a tall grown-up's."""
        u = random.uniform
        shoulder, half, tall = u(0.5, 0.8), u(0.25, 0.85), u(0.5, 1.4)
        return cls(shoulder, shoulder + tall, shoulder + tall * u(1.3, 2.6), half, half * u(0.9, 2.2))

    def place(self, random: Random) -> tuple[float, float]:
        """Somewhere on the cloth."""
        return random.uniform(-self.half, self.half), random.uniform(self.shoulder, self.waist + 0.6)


def draw_body(pen: Pen, look: Look, random: Random) -> None:
    """Neck, legs, torso with a skirt or robe, arms, and what is on the cloth."""
    torso = Torso.random(random)
    _legs(pen, look, torso, random)
    _neck(pen, look, torso, random)
    _clothes(pen, look, torso, random)
    _folds(pen, torso, random)
    for draw, share in ON_CLOTH.items():
        if random.random() < share:
            draw(pen, torso, random)
    for side in SIDES:
        _arm(pen, look, torso, side, random)
    for draw, share in AT_THE_NECK.items():
        if random.random() < share:
            draw(pen, torso, random)


def _legs(pen: Pen, look: Look, torso: Torso, random: Random) -> None:
    half, foot = torso.half, torso.hem + (torso.waist - torso.shoulder) * random.uniform(0.2, 1.5)
    colour = look.skin if random.random() < 0.6 else look.cloth[1]
    for side in SIDES:
        path = [(side * half * 0.4, torso.waist), (side * half * random.uniform(0.35, 0.6), foot)]
        pen.fill(limb(path, (half * 0.7, half * 0.4)), colour)


def _neck(pen: Pen, look: Look, torso: Torso, random: Random) -> None:
    wide, end = random.uniform(0.06, 0.16), torso.shoulder + 0.1
    pen.fill(symmetric([(0, 0.2), (wide, 0.3), (wide * random.uniform(1, 1.5), end), (0, end + 0.1)]), look.skin)
    pen.glaze(ellipse(0, look.chin + 0.02, 0.2, 0.07), shade(look.skin, 0.6), 0.5 * random.random(), 0.015)


def _clothes(pen: Pen, look: Look, torso: Torso, random: Random) -> None:
    half, waist, hem, flare = torso.half, torso.waist, torso.hem, torso.flare
    if random.random() < 0.7:
        skirt = [(0, waist - 0.2), (half * 0.7, waist - 0.15), (flare, hem), (flare * 0.5, hem + 0.06), (0, hem)]
        pen.fill(symmetric(skirt), look.cloth[1], smooth=random.random() < 0.5)
    top = [(0, torso.shoulder + random.uniform(-0.05, 0.25)), (0.12, torso.shoulder - 0.05)]
    sides = [(half * 0.9, torso.shoulder + 0.03), (half, torso.shoulder + 0.2), (half * random.uniform(0.6, 1), waist)]
    pen.fill(symmetric([*top, *sides, (0, waist + 0.05)]), look.cloth[0] if random.random() < 0.9 else look.skin)


def _folds(pen: Pen, torso: Torso, random: Random) -> None:
    for _ in range(pen.style.texture // 2):
        x, y = torso.place(random)
        fold = [(x, y), (x + random.uniform(-0.1, 0.1), y + 0.15), (x + random.uniform(-0.2, 0.2), y + 0.3)]
        pen.glaze(limb(fold, (0.01, 0.05, 0.01)), (20, 10, 40), random.uniform(0.2, 0.6))


def _arm(pen: Pen, look: Look, torso: Torso, side: int, random: Random) -> None:
    """Hanging, bent, or with the hand raised beside the head."""
    u, tall = random.uniform, torso.waist - torso.shoulder
    elbow = (torso.half + u(-0.05, 0.6), torso.shoulder + tall * u(0.3, 0.8))
    hand = (u(-0.1, 1.3), torso.shoulder + u(0.1, 2.0)) if random.random() < 0.7 else (u(0.5, 1), u(-0.3, 0.5))
    wide, sleeve = u(0.08, 0.25), u(0.8, 2.5)
    path = np.array([(torso.half * 0.85, torso.shoulder + 0.1), elbow, hand]) * (side, 1)
    pen.fill(limb(path, (wide * 1.3, wide, wide * sleeve)), look.cloth[0] if random.random() < 0.7 else look.skin)
    pen.fill(ellipse(side * hand[0], hand[1], wide * 0.6, wide * 0.7), look.skin)


def _buttons(pen: Pen, torso: Torso, random: Random) -> None:
    colour = any_colour(random)
    for y in np.arange(torso.shoulder + 0.2, torso.waist, 0.18):
        pen.fill(ellipse(0, y, 0.025, 0.025), colour)


def _stripes(pen: Pen, torso: Torso, random: Random) -> None:
    colour, wide = any_colour(random), random.uniform(0.02, 0.1)
    for y in np.arange(torso.shoulder + 0.2, torso.waist + 0.6, random.uniform(0.1, 0.3)):
        pen.glaze(limb([(-torso.half, y), (torso.half, y)], (wide, wide)), colour, 0.8)


def _discs(pen: Pen, torso: Torso, random: Random) -> None:
    """A pair of discs that lie like eyes."""
    colour, (x, y), size = any_colour(random), torso.place(random), random.uniform(0.04, 0.2)
    for side in SIDES:
        pen.fill(ellipse(side * x, y, size, size), colour)


def _apron(pen: Pen, torso: Torso, random: Random) -> None:
    middle = (torso.shoulder + torso.waist) / 2 - 0.2
    apron = [(0, middle), (torso.half * 0.6, middle), (torso.half * 0.7, torso.waist + 0.9)]
    pen.fill(symmetric(apron), any_colour(random))


def _sash(pen: Pen, torso: Torso, random: Random) -> None:
    """A broad belt, often with a bow."""
    high = random.uniform(0.05, 0.25)
    belt = [(0, torso.waist - high), (torso.half, torso.waist - high), (torso.half, torso.waist + high)]
    pen.fill(symmetric([*belt, (0, torso.waist + high)]), any_colour(random), smooth=False)
    if random.random() < 0.5:
        draw_bow(pen, 0, torso.waist, random.uniform(0.1, 0.3), any_colour(random))


def _ornaments(pen: Pen, torso: Torso, random: Random) -> None:
    """Gems, patches and prints of any shape, the same on both sides often."""
    for _ in range(random.integers(2, 12)):
        (x, y), size, both = torso.place(random), random.uniform(0.02, 0.15), random.random() < 0.5
        around = ellipse(x, y, size, size * random.uniform(0.3, 2), random.uniform(0, 3))[:: int(random.integers(1, 4))]
        colour = any_colour(random)
        for side in SIDES if both else (1,):
            pen.fill(around * (side, 1), colour, smooth=random.random() < 0.5)


def _mascot(pen: Pen, torso: Torso, random: Random) -> None:
    draw_mascot(pen, 0, (torso.shoulder + torso.waist) / 2, random.uniform(0.1, 0.3), random)


def _collars(pen: Pen, torso: Torso, random: Random) -> None:
    """One to three collars, one over the other."""
    deep, wide = random.uniform(0.1, 0.5), random.uniform(0.15, 0.45)
    for share in np.linspace(1.3, 0.7, random.integers(1, 4)):
        colour, smooth, end = any_colour(random), random.random() < 0.3, torso.shoulder + deep * share
        outer = [(wide * share, torso.shoulder), (wide * share * random.uniform(0, 0.7), end)]
        flap = np.array([(0.02, torso.shoulder + 0.1), (0.14, torso.shoulder - 0.12), *outer])
        for side in SIDES:
            pen.fill(flap * (side, 1), colour, smooth=smooth)


def _scarf(pen: Pen, torso: Torso, random: Random) -> None:
    wide, y = random.uniform(0.2, 0.5), torso.shoulder - random.uniform(0, 0.08)
    pen.fill(ellipse(random.uniform(-0.05, 0.05), y, wide, random.uniform(0.06, 0.15)), any_colour(random))


def _tie(pen: Pen, torso: Torso, random: Random) -> None:
    draw_bow(pen, 0, torso.shoulder + random.uniform(0, 0.15), random.uniform(0.1, 0.35), any_colour(random))


ON_CLOTH = {_buttons: 0.2, _stripes: 0.12, _discs: 0.15, _apron: 0.12, _sash: 0.25, _ornaments: 0.3, _mascot: 0.06}
AT_THE_NECK = {_collars: 0.5, _scarf: 0.12, _tie: 0.3}


def draw_mascot(pen: Pen, x: float, y: float, size: float, random: Random) -> None:
    """A round animal's face printed on the cloth: no head of a character."""
    colour, ink = any_colour(random), shade(any_colour(random), 0.4)
    for side in SIDES:
        pen.fill(ellipse(x + side * size * 0.7, y - size * 0.7, size * 0.4, size * 0.4), colour)
    pen.fill(ellipse(x, y, size, size * 0.9), colour)
    for side in SIDES:
        pen.fill(ellipse(x + side * size * 0.4, y - size * 0.1, size * 0.12, size * 0.15), ink, outlined=False)
    pen.fill(ellipse(x, y + size * 0.25, size * 0.15, size * 0.1), ink, outlined=False)
