"""The proportions and colours that a made-up character is drawn by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .pen import Array, Colour, Random, any_colour, hsv, shade


@dataclass(frozen=True)
class Look:
    """Lengths in head sizes from the centre of the head; the crown of the hair is at -0.5 always."""

    face: float
    """Half the face's width."""
    chin: float
    jaw: float
    """Half the width near the chin, as a share of `face`."""
    eye_x: float
    eye_y: float
    eye_width: float
    """Half of it, as `eye_height`."""
    eye_height: float
    mouth_y: float
    brow_y: float
    fringe: float
    """The row that the fringe reaches."""
    hair_width: float
    """Half the width of the hair on the head."""
    yaw: float
    """How far the face is turned aside, in radians."""
    skin: Colour
    hair: Colour
    iris: tuple[Colour, Colour]
    cloth: tuple[Colour, Colour, Colour]

    @classmethod
    def random(cls, random: Random) -> Look:
        """Any look, from a chibi's to a grown-up's."""
        u = random.uniform
        face, eye_y, chin = u(0.3, 0.47), u(0.03, 0.25), u(0.42, 0.49)
        eye_x = face * u(0.4, 0.62)
        eye_width = min(u(0.05, 0.14), eye_x * 0.8)
        eye_height = eye_width * u(0.5, 1.6)
        low = eye_y + eye_height * 0.7
        return cls(
            face=face,
            chin=chin,
            jaw=u(0.25, 0.75),
            eye_x=eye_x,
            eye_y=eye_y,
            eye_width=eye_width,
            eye_height=eye_height,
            mouth_y=low + (chin - low) * u(0.35, 0.75),
            brow_y=eye_y - eye_height - u(0.01, 0.1),
            fringe=eye_y - eye_height * u(0.3, 1) - u(0, 0.15),
            hair_width=face + u(0.02, 0.16),
            yaw=u(-0.6, 0.6) if random.random() < 0.5 else 0.0,
            skin=skin_colour(random),
            hair=hair_colour(random),
            iris=eye_colours(random),
            cloth=(any_colour(random), any_colour(random), any_colour(random)),
        )

    def turned(self, points: ArrayLike) -> Array:
        """Points of the face as they are seen when it is turned aside: the far half narrower."""
        x, y = np.asarray(points, dtype=float).T
        radius = 1.1 * self.face
        seen = radius * np.sin(np.arcsin((x / radius).clip(-1, 1)) + self.yaw)
        return np.stack([seen, y], 1)


def skin_colour(random: Random) -> Colour:
    """Mostly a human skin, pale to dark; sometimes grey or of any hue."""
    kind = random.random()
    if kind < 0.8:
        return hsv(random.uniform(0.02, 0.1), random.uniform(0.06, 0.5), 1 - 0.45 * random.random() ** 2)
    return hsv(random.random(), random.uniform(0, 0.15 if kind < 0.88 else 0.7), random.uniform(0.4, 1))


def hair_colour(random: Random) -> Colour:
    """Natural, grey or white, or any hue."""
    kind = random.random()
    if kind < 0.35:
        return hsv(random.uniform(0.0, 0.14), random.uniform(0.1, 0.8), random.uniform(0.1, 1))
    if kind < 0.5:
        return hsv(random.random(), random.uniform(0, 0.2), random.random())
    return any_colour(random)


def eye_colours(random: Random) -> tuple[Colour, Colour]:
    """The two irises: alike, seldom of two colours."""
    one = hsv(random.random(), random.uniform(0.1, 1), random.uniform(0.15, 1))
    return (one, hsv(random.random(), 0.8, 0.8)) if random.random() < 0.1 else (one, shade(one, 1))
