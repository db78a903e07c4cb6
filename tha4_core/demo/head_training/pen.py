"""The pen that made-up characters are drawn with: smooth shapes, flat or shaded, with or without outlines."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from torch import Tensor

Array = NDArray[np.float64]
Colour = tuple[int, int, int]
Random = np.random.Generator
SIDES = (-1, 1)
"""Left and right, as factors of x."""


@dataclass(frozen=True)
class Style:
    """How a character is drawn: outline width in head sizes and darkness, strength and direction of its shading."""

    line_width: float
    line_tone: float
    shading: float
    light: float
    texture: int
    """Strands of hair and folds of cloth: how many."""

    @classmethod
    def random(cls, random: Random) -> Style:
        """Any style, from flat shapes to soft shading with outlines."""
        flat = random.random() < 0.2
        return cls(
            line_width=0.0 if random.random() < 0.3 else random.uniform(0.004, 0.018),
            line_tone=random.uniform(0.1, 0.8),
            shading=0.0 if flat else random.uniform(0.1, 0.7),
            light=random.uniform(-1.0, 1.0),
            texture=0 if flat else int(random.integers(0, 30)),
        )


class Pen:
    """Draws on a transparent square. Points are in head sizes from the head's centre, x to the right, y down."""

    def __init__(self, side: int, centre: tuple[float, float], size: float, style: Style) -> None:
        self.image = Image.new("RGBA", (side, side))
        self.style = style
        self.size = size
        self._centre = np.array(centre)
        self._turn = np.eye(2)

    def tilt(self, angle: float) -> None:
        """What is drawn from now on is turned about the head's centre, in radians."""
        cos, sin = np.cos(angle), np.sin(angle)
        self._turn = np.array([[cos, -sin], [sin, cos]])

    def fill(
        self, points: ArrayLike, colour: Colour, smooth: bool = True, outlined: bool = True, depth: float = 1.0
    ) -> None:
        """A closed shape in the style's outline and `depth` times its shading."""
        outline = curve(points) if smooth else np.asarray(points, dtype=float)
        polygon = self._pixels(outline)
        mask, corner = _mask(polygon, self.image.size)
        if mask is None:
            return
        self.image.paste(self._tones(colour, mask.size, depth), corner, mask)
        if outlined and self.style.line_width:
            self.line(np.concatenate([outline, outline[:1]]), shade(colour, self.style.line_tone), smooth=False)

    def line(self, points: ArrayLike, colour: Colour, width: float | None = None, smooth: bool = True) -> None:
        """An open line, `width` in head sizes (the style's own where it is None)."""
        pixels = self._pixels(curve(points, closed=False) if smooth else np.asarray(points, dtype=float))
        thick = max(1, round((self.style.line_width if width is None else width) * self.size))
        ImageDraw.Draw(self.image).line([tuple(p) for p in pixels], fill=(*colour, 255), width=thick, joint="curve")

    def glaze(self, points: ArrayLike, colour: Colour, opacity: float, blur: float = 0.0) -> None:
        """A translucent shape over what is painted already; `blur` in head sizes."""
        margin = 2 * blur * self.size
        mask, (left, top) = _mask(self._pixels(curve(points)), self.image.size, margin, round(255 * opacity))
        if mask is None:
            return
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(float(blur * self.size)))
        box = (left, top, left + mask.width, top + mask.height)
        mask = ImageChops.multiply(mask, self.image.getchannel("A").crop(box))
        self.image.paste((*colour, 255), box, mask)

    def erase(self, points: ArrayLike) -> None:
        """Make what lies inside a polygon transparent."""
        mask, corner = _mask(self._pixels(np.asarray(points, dtype=float)), self.image.size)
        if mask is not None:
            self.image.paste((0, 0, 0, 0), corner, mask)

    def _pixels(self, points: Array) -> Array:
        return np.asarray(points @ self._turn.T * self.size + self._centre)

    def _tones(self, colour: Colour, size: tuple[int, int], depth: float) -> Any:
        """One colour, or an image of that colour that gets darker away from the light."""
        if not self.style.shading:
            return (*colour, 255)
        x = np.linspace(0, 1, size[0]) - 0.5
        y = np.linspace(0, 1, size[1])[:, None] - 0.5
        away = np.clip(0.5 + self.style.light * x + (1 - abs(self.style.light) / 2) * y, 0, 1)
        light, dark = np.array(shade(colour, 1.08)), np.array(shade(colour, 1 - depth * self.style.shading))
        tones = light + (dark - light) * (away**1.5)[..., None]
        return Image.fromarray(tones.clip(0, 255).astype(np.uint8)).convert("RGBA")


def _mask(
    polygon: Array, size: tuple[int, int], margin: float = 1.0, value: int = 255
) -> tuple[Image.Image | None, tuple[int, int]]:
    """The polygon's inside as a mask of its visible rectangle, and that rectangle's corner; None where none is seen."""
    first = np.floor(polygon.min(0) - margin).clip(0).astype(int)
    last = np.minimum(np.ceil(polygon.max(0) + margin), size).astype(int)
    if (last <= first).any():
        return None, (0, 0)
    mask = Image.new("L", (int(last[0] - first[0]), int(last[1] - first[1])))
    ImageDraw.Draw(mask).polygon([tuple(p) for p in polygon - first], fill=value)
    return mask, (int(first[0]), int(first[1]))


def curve(points: ArrayLike, closed: bool = True, steps: int = 6) -> Array:
    """A smooth polyline through the points (Catmull-Rom spline)."""
    p = np.asarray(points, dtype=float)
    if len(p) < 3:
        return p
    around = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
    before, start, end, after = around[:-3, None], around[1:-2, None], around[2:-1, None], around[3:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    spline = start + t / 2 * (
        end - before + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    line = spline.reshape(-1, 2)
    return line if closed else np.concatenate([line, p[-1:]])


def ellipse(x: float, y: float, half_width: float, half_height: float, turn: float = 0.0) -> Array:
    """Points of an ellipse, turned by `turn` radians."""
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    across, down = half_width * np.cos(angle), half_height * np.sin(angle)
    return np.stack(
        [x + across * np.cos(turn) - down * np.sin(turn), y + across * np.sin(turn) + down * np.cos(turn)], 1
    )


def limb(points: ArrayLike, widths: ArrayLike) -> Array:
    """The outline of a limb or lock of hair along the points, as wide at each as `widths` says."""
    middle = np.asarray(points, dtype=float)
    along = np.gradient(middle, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.linalg.norm(along, axis=1), 1e-6)[:, None]
    half = np.asarray(widths)[:, None] / 2
    return np.concatenate([middle + across * half, (middle - across * half)[::-1]])


def mirrored(points: ArrayLike) -> Array:
    """The points reflected left to right."""
    return np.asarray(points, dtype=float) * (-1, 1)


def symmetric(right_half: ArrayLike) -> Array:
    """A closed symmetric outline from its right half, top to bottom."""
    right = np.asarray(right_half, dtype=float)
    return np.concatenate([right, mirrored(right[right[:, 0] > 0])[::-1]])


def shade(colour: Colour, factor: float) -> Colour:
    """The colour darker (factor below 1) or lighter."""
    red, green, blue = (int(min(255, c * factor)) for c in colour)
    return red, green, blue


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of the other colour, the rest of the one."""
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour by hue, saturation and value, each 0..1 (the hue wraps)."""
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue


def any_colour(random: Random) -> Colour:
    """Any colour, pale, dark and grey ones often."""
    return hsv(random.random(), random.random() ** 1.3, 1 - 0.9 * random.random() ** 1.5)


def colour_matrix(random: Random, hue: float) -> Tensor:
    """Turns the hue by up to `hue` radians, scales the saturation and the channels: `[3, 3]`."""
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    angle, saturation = random.uniform(-hue, hue), random.uniform(0.4, 1.3)
    cos, sin = saturation * np.cos(angle), saturation * np.sin(angle)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return torch.from_numpy(random.uniform(0.7, 1.1, (3, 1)) * (np.linalg.inv(yiq) @ turn @ yiq)).float()
