"""Hair of made-up characters."""

from __future__ import annotations

import numpy as np

from .look import Look
from .pen import SIDES, Array, Colour, Pen, Random, any_colour, curve, ellipse, limb, mix, shade, symmetric


def draw_back_hair(pen: Pen, look: Look, random: Random) -> None:
    """What hangs behind the head and body: none, a bob, long hair, tails, spikes."""
    dark = shade(look.hair, random.uniform(0.6, 1))
    kind = random.choice(["none", "bob", "long", "spikes", "tails", "tail"], p=[0.15, 0.2, 0.25, 0.12, 0.16, 0.12])
    if kind in ("bob", "long"):
        length = random.uniform(0.35, 0.8) if kind == "bob" else random.uniform(0.8, 3.2)
        wide = look.hair_width * random.uniform(0.9, 1.3) + 0.12 * length * random.random()
        pen.fill(
            symmetric([(0, -0.48), (look.hair_width, -0.25), (wide, length * 0.6), *_fringed(wide, length, random)]),
            dark,
        )
        _strands(
            pen, look, [(x, 0.1) for x in random.uniform(-wide, wide, pen.style.texture // 2)], length - 0.1, random
        )
    if kind == "spikes":
        draw_spikes(pen, look, dark, random)
    if kind in ("tails", "tail"):
        for side in SIDES if kind == "tails" else (random.choice(SIDES),):
            draw_tail(pen, look, side, random)


def draw_spikes(pen: Pen, look: Look, colour: Colour, random: Random) -> None:
    """Locks that stand off all around the head."""
    angles = np.sort(random.uniform(-0.4, np.pi + 0.4, random.integers(6, 14)))
    for angle in angles:
        reach = random.uniform(0.5, 0.72) if abs(angle - np.pi / 2) > 0.6 else random.uniform(0.4, 0.53)
        direction = np.array([np.cos(angle) * look.hair_width / 0.45, -np.sin(angle)])
        across = np.array([-direction[1], direction[0]]) * random.uniform(0.08, 0.16)
        base = direction * 0.32
        pen.fill([base + across, direction * reach, base - across], colour, smooth=False)


def draw_tail(pen: Pen, look: Look, side: int, random: Random) -> None:
    """A tail of hair from one side of the head, hanging or standing off."""
    x, y = side * look.hair_width * random.uniform(0.7, 1.05), random.uniform(-0.42, 0.2)
    out, length, wide = random.uniform(0.05, 0.8), random.uniform(0.5, 2.6), random.uniform(0.12, 0.4)
    path = [(x, y), (x + side * out * 0.8, y + 0.12 * length), (x + side * out, y + 0.55 * length)]
    end = (x + side * out * random.uniform(0.4, 1.4), y + length)
    pen.fill(limb([*path, end], (wide * 0.4, wide, wide, 0.02)), look.hair)
    pen.fill(ellipse(x, y, wide * 0.3, wide * 0.3), any_colour(random))


def draw_front_hair(pen: Pen, look: Look, random: Random) -> None:
    """The hair on the head with its fringe, side locks, strands and shine."""
    if random.random() < 0.6:
        _side_locks(pen, look, random)
    side = random.uniform(-0.1, 0.3)
    inner = _fringe_line(look, side, random)
    shoulder = (look.hair_width * random.uniform(0.6, 0.85), random.uniform(-0.46, -0.36))
    outer = np.array([(look.hair_width, side), (look.hair_width * 1.02, -0.1), shoulder, (0, -0.5)])
    outline = np.concatenate([_arc(outer), inner])
    pen.fill(outline, look.hair, smooth=False)
    if random.random() < 0.5:
        _shine(pen, look, random)
    tips = [(x, -0.46 + 0.25 * abs(x)) for x in random.uniform(-0.8, 0.8, pen.style.texture) * look.hair_width]
    _strands(pen, look, tips, random.uniform(0.15, 0.4), random)


def draw_faceless_hair(pen: Pen, look: Look) -> None:
    """The head from behind: hair all over."""
    pen.fill(
        symmetric([(0, -0.5), (look.hair_width, -0.15), (look.hair_width, 0.2), (look.face * 0.8, look.chin)]),
        look.hair,
    )


def _arc(right: Array) -> Array:
    """From the right temple over the crown to the left one."""
    return curve(np.concatenate([right, (right[:-1] * (-1, 1))[::-1]]), closed=False)


def _fringe_line(look: Look, side: float, random: Random) -> Array:
    """The lower edge of the hair on the brow, from the left temple to the right one."""
    kind = random.choice(["straight", "locks", "parted", "swept", "back"], p=[0.15, 0.45, 0.17, 0.13, 0.1])
    width, count = look.face * random.uniform(0.8, 1), int(random.integers(3, 9))
    x = np.linspace(-width, width, 2 * count + 1)
    part = random.uniform(-0.6, 0.6) * width
    base = np.full(len(x), look.fringe)
    if kind in ("parted", "swept"):
        rise = np.abs(x - part) if kind == "parted" else (x - part) * random.choice(SIDES)
        base = look.fringe - 0.12 + rise / width * random.uniform(0.05, 0.25)
    if kind == "back":
        base = -0.35 + (x / width) ** 2 * 0.3
    deep = 0.0 if kind == "straight" else random.uniform(0.02, 0.2)
    base[1::2] -= deep * random.uniform(0.3, 1, count)
    base[::2] += random.uniform(0, 0.08 if deep else 0.01, count + 1)
    x[1:-1] += random.uniform(-0.4, 0.4, len(x) - 2) * width / count / 2
    ends = (np.array([[-look.hair_width * 0.93, side]]), np.array([[look.hair_width * 0.93, side]]))
    return np.concatenate([ends[0], np.stack([x, base.clip(-0.45, 0.35)], 1), ends[1]])


def _side_locks(pen: Pen, look: Look, random: Random) -> None:
    length, wide = random.uniform(0.15, 1.3), random.uniform(0.05, 0.2)
    for side in SIDES:
        x, end = look.face * random.uniform(0.85, 1.1), length * random.uniform(0.9, 1.1)
        bend = random.uniform(-0.05, 0.15)
        path = [(x, -0.2), (x + bend, end * 0.4), (x + bend * random.uniform(-0.5, 1), end)]
        pen.fill(limb([(side * px, py) for px, py in path], (wide, wide, 0.01)), look.hair)


def _fringed(wide: float, length: float, random: Random) -> list[tuple[float, float]]:
    """The lower end of long hair: even, or in locks."""
    ragged = random.uniform(0, 0.2)
    x = np.linspace(wide, 0.0, 6)
    return [(float(px), length - (ragged if i % 2 else 0)) for i, px in enumerate(x)]


def _strands(pen: Pen, look: Look, starts: list[tuple[float, float]], length: float, random: Random) -> None:
    for x, y in starts:
        tone = shade(look.hair, random.choice([0.6, 0.75, 1.25]))
        drift = x * random.uniform(0, 0.5)
        pen.line(
            [(x, y), (x + drift * 0.6, y + length / 2), (x + drift, y + length)], tone, random.uniform(0.004, 0.012)
        )


def _shine(pen: Pen, look: Look, random: Random) -> None:
    y, light = random.uniform(-0.36, -0.18), mix(look.hair, (255, 255, 255), random.uniform(0.3, 0.8))
    for x in np.linspace(-0.7, 0.7, random.integers(3, 9)) * look.hair_width:
        spot = ellipse(x, y + 0.25 * x * x, random.uniform(0.02, 0.06), random.uniform(0.02, 0.07))
        pen.glaze(spot, light, random.uniform(0.4, 0.9), random.choice([0, 0.01]))
