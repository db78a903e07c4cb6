"""The iris and its lights. Lids, lashes and whites are curves that the rig draws (`demo/shapes.py`)."""

from __future__ import annotations

import numpy as np

from . import palette as c
from .pen import Array, Pen, smooth

X, Y = 256.0, 149.5
RX, RY = 11.6, 13.7


def ellipse(x: float, y: float, rx: float, ry: float, power: float = 2.0) -> Array:
    """A closed (super)ellipse."""
    t = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    cos, sin = np.cos(t), np.sin(t)
    e = 2 / power
    return np.stack([x + rx * np.sign(cos) * np.abs(cos) ** e, y + ry * np.sign(sin) * np.abs(sin) ** e], axis=1)


def iris(pen: Pen) -> None:
    """Dark above and bright below, a dark rim, a pupil, rays and a glow."""
    outline = ellipse(X, Y, RX, RY, 2.15)
    pen.fill(outline, c.IRIS_RIM)
    inner = ellipse(X, Y + 0.3, RX - 1.3, RY - 1.4, 2.15)
    pen.fill(inner, [(Y - RY + place * 2 * RY, colour) for place, colour in c.IRIS])
    with pen.inside(inner):
        pen.radial(
            X, Y + RY * 0.74, RX * 1.0, RY * 0.62, ((0, "#fff3a6"), (0.5, "#ffd873"), (1, "#ffb347")), (0.95, 0.6, 0.0)
        )
        for angle in np.linspace(20, 160, 9):
            a = np.deg2rad(angle)
            ray = smooth(((X + 4.5 * np.cos(a), Y + 6.2 * np.sin(a)), (X + 8.6 * np.cos(a), Y + 11.4 * np.sin(a))))
            pen.line(ray, 0.8, "#c4502a", alpha=0.4)
        pen.fill(ellipse(X, Y - 8.4, RX * 1.1, 6.4), "#54182a", alpha=0.65, blur=1.2)
    pen.fill(ellipse(X, Y + 0.2, 4.4, 5.7), "#4a1526")
    pen.fill(ellipse(X, Y - 0.2, 3.2, 4.5), "#2c0d1f")


def glint(pen: Pen) -> None:
    """The light's mirror image, above, and its echo below."""
    pen.fill(ellipse(X - 4.3, Y - 5.6, 3.7, 4.4), "#ffffff")
    pen.fill(ellipse(X + 5.0, Y + 5.8, 1.9, 2.3), "#fffbe8", alpha=0.95)
    pen.fill(ellipse(X + 5.4, Y - 3.4, 1.0, 1.2), "#ffe9d8", alpha=0.8)
