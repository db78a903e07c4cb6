"""The pen that the demo's character is drawn with: smooth curves, tapered lines, flat fills with a second tone.

Everything is in pixels of the 512 x 512 character image. A layer is drawn `FINE` times larger with Skia and reduced to
`KEPT` pixels a pixel by averaging linear light, premultiplied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import skia  # type: ignore[import-not-found, import-untyped, unused-ignore]
from numpy.typing import NDArray

KEPT = 2
"""Kept texture pixels a picture pixel."""
FINE = 8
"""Drawn pixels a picture pixel."""
WIDTH, HEIGHT = 512, 544
"""What a layer can cover: the picture, and 32 rows below it that body movement brings into view."""
MIDDLE = 256.0
"""The column that the character is symmetric about."""

Array = NDArray[Any]
Points = Sequence[tuple[float, ...]]
Colour = str
Stops = Sequence[tuple[float, Colour]]


def smooth(points: Points, closed: bool = False, steps: int = 20) -> Array:
    """A dense polyline `[n, 2]` through the points, smooth except at points with a third number (corners)."""
    xy = np.array([p[:2] for p in points], dtype=float)
    corner = [len(p) > 2 for p in points]
    count = len(xy)
    segments = count if closed else count - 1
    chords = np.roll(xy, -1, axis=0) - xy
    lengths = np.maximum(np.linalg.norm(chords, axis=1), 1e-6)[:, None]
    unit = chords / lengths
    before, after = np.roll(unit, 1, axis=0), unit
    weight = np.roll(lengths, 1, axis=0)
    tangent = (before * lengths + after * weight) / (lengths + weight)
    pieces = []
    for i in range(segments):
        j = (i + 1) % count
        start_free = corner[i] or (not closed and i == 0)
        end_free = corner[j] or (not closed and j == count - 1)
        m0 = (1.5 * unit[i] - 0.5 * tangent[j] if not end_free else unit[i]) if start_free else tangent[i]
        m1 = (1.5 * unit[i] - 0.5 * tangent[i] if not start_free else unit[i]) if end_free else tangent[j]
        pieces.append(_hermite(xy[i], xy[j], m0 * lengths[i], m1 * lengths[i], steps))
    line = np.concatenate([*pieces, xy[:1] if closed else xy[-1:]])
    return np.asarray(line)


def _hermite(p0: Array, p1: Array, m0: Array, m1: Array, steps: int) -> Array:
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    return np.asarray(
        (2 * t**3 - 3 * t**2 + 1) * p0 + (t**3 - 2 * t**2 + t) * m0 + (3 * t**2 - 2 * t**3) * p1 + (t**3 - t**2) * m1
    )


def mirrored(points: Points) -> list[tuple[float, ...]]:
    """The points reflected about the character's middle, in reverse order."""
    return [(2 * MIDDLE - p[0], *p[1:]) for p in reversed(points)]


def both(half: Points) -> list[tuple[float, ...]]:
    """A closed symmetric outline from the points of its right half, top to bottom."""
    inner = [p for p in half if p[0] != MIDDLE]
    return [*half, *mirrored(inner)]


def offset(line: Array, distance: Array | float) -> Array:
    """The polyline moved sideways (to the right of its direction on the screen is negative)."""
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    return np.asarray(line + normal * np.reshape(distance, (-1, 1)))


def along(line: Array) -> Array:
    """Arc length from 0 to 1 at each point."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(length / max(length[-1], 1e-9))


def taper(start: float = 0.15, end: float = 0.15, power: float = 0.8) -> Callable[[Array], Array]:
    """A line's width along itself: from 0 up over the first part `start`, and down over the last part `end`."""

    def profile(t: Array) -> Array:
        up = np.clip(t / max(start, 1e-6), 0, 1) if start else np.ones_like(t)
        down = np.clip((1 - t) / max(end, 1e-6), 0, 1) if end else np.ones_like(t)
        return np.asarray((np.sin(up * np.pi / 2) * np.sin(down * np.pi / 2)) ** power)

    return profile


def tone(colour: Colour, alpha: float = 1.0) -> int:
    """Skia's colour for "#rrggbb"."""
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return int(skia.Color(r, g, b, round(alpha * 255)))


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """A colour between two."""
    a, b = ([int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (first, second))
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in zip(a, b, strict=True))


class Pen:
    """One layer being drawn."""

    def __init__(self, fine: int = FINE) -> None:
        self.fine = fine
        self.surface = skia.Surface(WIDTH * fine, HEIGHT * fine)
        self.canvas = self.surface.getCanvas()
        self.canvas.scale(fine, fine)

    def fill(
        self, line: Array, colour: Colour | Stops, *, alpha: float = 1.0, blur: float = 0.0, horizontal: bool = False
    ) -> None:
        """Fill a closed polyline with a colour, or with a gradient: (row or column, colour) stops."""
        self.canvas.drawPath(path(line), paint(colour, alpha, blur, horizontal))

    def line(
        self,
        line: Array,
        width: float,
        colour: Colour | Stops,
        profile: Callable[[Array], Array] | None = None,
        *,
        alpha: float = 1.0,
        blur: float = 0.0,
    ) -> None:
        """A line whose width follows `profile` along its length."""
        widths = width / 2 * (profile or taper())(along(line))
        left, right = offset(line, widths), offset(line, -widths)
        self.canvas.drawPath(path(np.concatenate([left, right[::-1]])), paint(colour, alpha, blur, False))

    def radial(self, x: float, y: float, rx: float, ry: float, stops: Stops, alphas: Sequence[float]) -> None:
        """An ellipse filled with a radial gradient; stops lie at 0..1 of the radius."""
        shader = skia.GradientShader.MakeRadial(
            center=(0, 0),
            radius=1,
            colors=[tone(c, a) for (_, c), a in zip(stops, alphas, strict=True)],
            positions=[s for s, _ in stops],
        )
        self.canvas.save()
        self.canvas.translate(x, y)
        self.canvas.scale(rx, ry)
        self.canvas.drawCircle(0, 0, 1, skia.Paint(Shader=shader, AntiAlias=True))
        self.canvas.restore()

    @contextmanager
    def inside(self, *lines: Array) -> Iterator[None]:
        """Draw only inside all of these closed polylines."""
        self.canvas.save()
        for line in lines:
            self.canvas.clipPath(path(line), skia.ClipOp.kIntersect, True)
        yield
        self.canvas.restore()

    @contextmanager
    def flipped(self) -> Iterator[None]:
        """Draw reflected about the middle."""
        self.canvas.save()
        self.canvas.translate(2 * MIDDLE, 0)
        self.canvas.scale(-1, 1)
        yield
        self.canvas.restore()

    @contextmanager
    def on_top_only(self) -> Iterator[None]:
        """Draw only where the layer is already painted (Skia's source-atop)."""
        self.canvas.saveLayer(None, skia.Paint(BlendMode=skia.BlendMode.kSrcATop))
        yield
        self.canvas.restore()

    def pixels(self) -> Array:
        """The layer reduced to `KEPT` pixels a pixel: straight-alpha sRGB, uint8 `[H, W, 4]`."""
        data = self.surface.toarray(colorType=skia.kRGBA_8888_ColorType)
        return reduce(data, self.fine // KEPT)


def path(line: Array) -> Any:
    """A closed Skia path."""
    return skia.Path.Polygon([skia.Point(float(x), float(y)) for x, y in line], True)


def paint(colour: Colour | Stops, alpha: float, blur: float, horizontal: bool) -> Any:
    """An antialiased Skia paint of one colour or of a linear gradient."""
    made = skia.Paint(AntiAlias=True)
    if isinstance(colour, str):
        made.setColor(tone(colour, alpha))
    else:
        first, last = colour[0][0], colour[-1][0]
        ends = [(first, 0), (last, 0)] if horizontal else [(0, first), (0, last)]
        made.setShader(
            skia.GradientShader.MakeLinear(
                points=ends,
                colors=[tone(c, alpha) for _, c in colour],
                positions=[(s - first) / (last - first) for s, _ in colour],
            )
        )
    if blur:
        made.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return made


def reduce(data: Array, factor: int) -> Array:
    """Unpremultiplied uint8 `[H, W, 4]` averaged over squares in premultiplied linear light."""
    rows, columns = np.any(data[..., 3], axis=1), np.any(data[..., 3], axis=0)
    height, width = data.shape[0] // factor, data.shape[1] // factor
    result = np.zeros((height, width, 4), np.uint8)
    if not rows.any():
        return result
    top, bottom = (int(v) // factor for v in np.flatnonzero(rows)[[0, -1]])
    left, right = (int(v) // factor for v in np.flatnonzero(columns)[[0, -1]])
    part = data[top * factor : (bottom + 1) * factor, left * factor : (right + 1) * factor]
    value = part[..., :3].astype(np.float32) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    alpha = part[..., 3:].astype(np.float32) / 255
    both_ = np.concatenate([linear * alpha, alpha], axis=2)
    shape = (bottom - top + 1, factor, right - left + 1, factor, 4)
    mean = both_.reshape(shape).mean(axis=(1, 3))
    colour = mean[..., :3] / np.maximum(mean[..., 3:], 1e-6)
    srgb = np.where(colour <= 0.0031308, colour * 12.92, 1.055 * np.maximum(colour, 1e-9) ** (1 / 2.4) - 0.055)
    straight = np.concatenate([srgb, mean[..., 3:]], axis=2).clip(0, 1)
    result[top : bottom + 1, left : right + 1] = (straight * 255).round().astype(np.uint8)
    return result
