"""How a value goes from one key to the next: the easings of CSS and of R. Penner, by their usual names.

An easing maps 0..1 to a curve that starts at 0 and ends at 1. `back` and `elastic` leave 0..1 on their way.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from ..errors import MotionError
from .timeline import Array

Easing = Callable[[Array], Array]

# Halvings of the interval in which a Bézier's parameter is searched; 2^-30 is far below a float32's step.
_HALVINGS = 30


def cubic_bezier(x: Array, x1: Array | float, y1: Array | float, x2: Array | float, y2: Array | float) -> Array:
    """y at x of the Bézier curve (0,0), (x1,y1), (x2,y2), (1,1), as in CSS; x1 and x2 in 0..1; arrays broadcast."""
    x = np.clip(np.asarray(x, dtype=np.float64), 0.0, 1.0)
    low, high = np.zeros_like(x), np.ones_like(x)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = _bezier(middle, x1, x2) < x
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(x >= 1, 1.0, np.where(x <= 0, 0.0, _bezier((low + high) / 2, y1, y2)))


def _bezier(s: Array, a: Array | float, b: Array | float) -> Array:
    result: Array = 3 * (1 - s) ** 2 * s * a + 3 * (1 - s) * s**2 * b + s**3
    return result


def _bounce_out(x: Array) -> Array:
    steps, n = 2.75, 7.5625
    result: Array = np.select(
        [x < 1 / steps, x < 2 / steps, x < 2.5 / steps],
        [n * x**2, n * (x - 1.5 / steps) ** 2 + 0.75, n * (x - 2.25 / steps) ** 2 + 0.9375],
        n * (x - 2.625 / steps) ** 2 + 0.984375,
    )
    return result


def _circ(x: Array) -> Array:
    result: Array = 1 - np.sqrt(np.maximum(1 - x**2, 0))
    return result


_FAMILIES: dict[str, Easing] = {
    "sine": lambda x: 1 - np.cos(x * np.pi / 2),
    "quad": lambda x: x**2,
    "cubic": lambda x: x**3,
    "quart": lambda x: x**4,
    "quint": lambda x: x**5,
    # Shifted so that it starts at 0; the textbook 2^(10x-10) starts with a jump of 0.001.
    "expo": lambda x: (2 ** (10 * x) - 1) / 1023,
    "circ": _circ,
    "back": lambda x: 2.70158 * x**3 - 1.70158 * x**2,
    "elastic": lambda x: -(2 ** (10 * x - 10)) * np.sin((10 * x - 10.75) * 2 * np.pi / 3),
    "bounce": lambda x: 1 - _bounce_out(1 - x),
}


def _out(ease_in: Easing) -> Easing:
    return lambda x: 1 - ease_in(1 - x)


def _in_out(ease_in: Easing) -> Easing:
    return lambda x: np.where(x < 0.5, ease_in(2 * x) / 2, 1 - ease_in(2 - 2 * x) / 2)


EASINGS: dict[str, Easing] = {
    "linear": lambda x: x,
    "ease": lambda x: cubic_bezier(x, 0.25, 0.1, 0.25, 1.0),
    "ease-in": lambda x: cubic_bezier(x, 0.42, 0.0, 1.0, 1.0),
    "ease-out": lambda x: cubic_bezier(x, 0.0, 0.0, 0.58, 1.0),
    "ease-in-out": lambda x: cubic_bezier(x, 0.42, 0.0, 0.58, 1.0),
    "step-start": lambda x: np.where(x > 0, 1.0, 0.0),
    "step-end": lambda x: np.where(x < 1, 0.0, 1.0),
    **{f"ease-in-{name}": family for name, family in _FAMILIES.items()},
    **{f"ease-out-{name}": _out(family) for name, family in _FAMILIES.items()},
    **{f"ease-in-out-{name}": _in_out(family) for name, family in _FAMILIES.items()},
}
"""Every easing by name. `back` and `elastic` in-out are made of their in and out halves."""

SPLINE = "spline"
"""Not a curve of its own but the name for a PCHIP spline through a track's keys (see keyframes)."""
NAMES: tuple[str, ...] = (*EASINGS, SPLINE)


def find_name(text: str) -> str | None:
    """The easing that a text names (`ease-out-quad`, `easeOutQuad` and `ease_out_quad` are one), or None."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", text).replace("_", "-").lower()
    return name if name in NAMES else None


def check_name(text: str) -> str:
    """The easing that a text names. Raises MotionError where there is none."""
    name = find_name(text)
    if name is None:
        raise MotionError(f'There is no easing "{text}". The easings are: {", ".join(NAMES)}.')
    return name


def ease(name: str, x: Array) -> Array:
    """The easing called `name` at x, any shape; below 0 it is 0 and above 1 it is 1."""
    x = np.asarray(x, dtype=np.float64)
    return np.where(x >= 1, 1.0, np.where(x <= 0, 0.0, EASINGS[name](np.clip(x, 0.0, 1.0))))
