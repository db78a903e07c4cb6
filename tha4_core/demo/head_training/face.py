"""Faces of made-up characters: skin, brows, eyes of many kinds, nose, mouth, glasses."""

from __future__ import annotations

import numpy as np

from .look import Look
from .pen import SIDES, Array, Colour, Pen, Random, any_colour, ellipse, limb, mirrored, mix, shade, symmetric

WHITE: Colour = (252, 252, 252)


def draw_skin(pen: Pen, look: Look, random: Random) -> None:
    """Ears and the face without its features; the hair hides the top."""
    ear_y = look.eye_y + 0.04
    if random.random() < 0.7:
        for side in SIDES:
            tip = random.uniform(0.15, 0.4) if random.random() < 0.1 else 0.03
            ear = [(look.face - 0.02, ear_y - 0.06), (look.face + tip, ear_y - 0.07), (look.face, ear_y + 0.08)]
            pen.fill(np.array(ear) * (side, 1), look.skin)
    face = look.face
    right = [(0, -0.45), (face * 0.8, -0.35), (face, -0.05), (face, look.eye_y)]
    cheek = [(face * 0.92, (look.eye_y + look.chin) / 2), (face * look.jaw, look.chin - 0.07), (0, look.chin)]
    outline = symmetric([*right, *cheek])
    pen.fill(look.turned(outline), look.skin, depth=random.uniform(0, 0.5))
    if random.random() < 0.5:
        fringe_shadow = ellipse(0, look.fringe - 0.02, face * 0.9, 0.12)
        pen.glaze(fringe_shadow, shade(look.skin, 0.6), 0.5, 0.02)


def draw_features(pen: Pen, look: Look, random: Random) -> None:
    """Eyes, nose, mouth and blush."""
    if random.random() < 0.4:
        for side in SIDES:
            spot = ellipse(side * look.eye_x * 1.1, look.eye_y + look.eye_height + 0.04, 0.07, 0.035)
            pen.glaze(look.turned(spot), (235, 100, 100), random.uniform(0.2, 0.8), 0.015)
    kind = random.choice(["shaded", "plain", "dot", "closed"], p=[0.68, 0.14, 0.07, 0.11])
    lash = any_colour(random) if random.random() < 0.2 else mix((25, 15, 25), look.hair, random.uniform(0, 0.5))
    slant, wink = random.uniform(-0.3, 0.3), random.choice([-1, 1]) if random.random() < 0.06 else 0
    seed = random.integers(1 << 30)
    for side, iris in zip(SIDES, look.iris, strict=True):
        eye = Eye(pen, look, side, slant, np.random.default_rng(seed))  # both eyes alike
        if kind == "closed" or side == wink:
            eye.closed(lash)
        elif kind == "plain":
            pen.fill(eye.at(ellipse(0, 0, 0.8, 1)), iris, outlined=False)
        elif kind == "dot":
            pen.fill(eye.at(ellipse(0, 0, 0.4, 0.5)), lash, outlined=False)
        else:
            eye.shaded(iris, lash)
    _nose_and_mouth(pen, look, random)


class Eye:
    """One eye, in units of half its width and half its height from its middle, the temple to the right."""

    def __init__(self, pen: Pen, look: Look, side: int, slant: float, random: Random) -> None:
        self.pen, self.look, self.side, self.slant, self.random = pen, look, side, slant, random

    def at(self, points: Array) -> Array:
        """Where points of the eye are on the head."""
        x, y = np.asarray(points, dtype=float).T
        across = self.side * (self.look.eye_x + x * self.look.eye_width)
        down = self.look.eye_y + y * self.look.eye_height - self.slant * x * self.look.eye_width
        return self.look.turned(np.stack([across, down], 1))

    def closed(self, lash: Colour) -> None:
        """A lid that is shut, smiling or asleep."""
        bend = self.random.choice([-0.7, 0.6])
        self._stroke([(-1, 0), (-0.5, bend * 0.7), (0, bend), (0.5, bend * 0.7), (1, 0)], 0.02, 0.035, lash)

    def shaded(self, iris: Colour, lash: Colour) -> None:
        """White, iris with a pupil and lights, lashes."""
        random, pen = self.random, self.pen
        round_ = random.uniform(0.6, 1)
        white = [(-1, 0.2), (-0.6, -0.8 * round_), (0, -1), (0.6, -0.8), (1, -0.1), (0.6, 0.85), (0, 1), (-0.6, 0.85)]
        white_colour = shade(WHITE, random.uniform(0.8, 1)) if random.random() < 0.9 else iris
        pen.fill(self.at(np.array(white)), white_colour, outlined=False)
        width, look_x = random.uniform(0.45, 0.85), random.uniform(-0.15, 0.15) * self.side
        pen.fill(self.at(ellipse(look_x, 0.02, width, 0.95)), shade(iris, random.uniform(0.5, 1)), outlined=False)
        if random.random() < 0.7:
            pen.glaze(self.at(ellipse(look_x, 0.5, width * 0.8, 0.4)), mix(iris, WHITE, 0.5), 0.8)
        if random.random() < 0.8:
            pupil = random.uniform(0.3, 0.55)
            pen.fill(self.at(ellipse(look_x, 0, width * pupil, pupil)), shade(iris, 0.25), outlined=False)
        for _ in range(random.integers(0, 3)):
            x, y, size = random.uniform(-0.5, 0.3), random.uniform(-0.7, 0.5), random.uniform(0.1, 0.3)
            pen.fill(self.at(ellipse(x * self.side, y, size, size)), WHITE, outlined=False)
        self._lashes(lash)

    def _lashes(self, lash: Colour) -> None:
        thick = self.random.uniform(0.01, 0.05)
        tail = self.random.uniform(0.9, 1.4)
        self._stroke([(-1.05, -0.1), (-0.6, -0.85), (0, -1.08), (0.7, -0.8), (tail, 0.1)], thick * 0.5, thick, lash)
        if self.random.random() < 0.6:
            self.pen.line(self.at(np.array([(-0.5, 0.95), (0, 1.05), (0.6, 0.9)])), lash, 0.008)
        if self.random.random() < 0.4:
            self.pen.line(
                self.at(np.array([(-0.6, -1.25), (0, -1.4), (0.7, -1.15)])), shade(self.look.skin, 0.6), 0.007
            )

    def _stroke(self, points: list[tuple[float, float]], thin: float, thick: float, ink: Colour) -> None:
        middle = self.at(np.array(points))
        widths = np.interp(np.linspace(0, 1, len(points)), [0, 0.5, 1], [thin, thick, thin])
        self.pen.fill(limb([(x, y) for x, y in middle], widths), ink, outlined=False)


def draw_brows(pen: Pen, look: Look, random: Random) -> None:
    """Two brows, seen through the hair as the style of these drawings has it."""
    ink = shade(look.hair, random.uniform(0.3, 0.9)) if random.random() < 0.8 else (40, 30, 30)
    thick, arch, slope = random.uniform(0.006, 0.035), random.uniform(-0.01, 0.05), random.uniform(-0.05, 0.05)
    for side in SIDES:
        inner, outer = look.eye_x - look.eye_width * 0.9, look.eye_x + look.eye_width
        brow = [(inner, look.brow_y - slope), (look.eye_x, look.brow_y - arch), (outer, look.brow_y + slope)]
        middle = look.turned(np.array(brow) * (side, 1))
        pen.fill(limb([(x, y) for x, y in middle], (thick, thick, thick * 0.3)), ink, outlined=False)


def _nose_and_mouth(pen: Pen, look: Look, random: Random) -> None:
    low = look.eye_y + look.eye_height
    if random.random() < 0.7:
        y, dark = low + (look.mouth_y - low) * random.uniform(0.3, 0.7), shade(look.skin, random.uniform(0.5, 0.85))
        nose = np.array([(0.005, y - 0.03), (0.015, y), (0, y + 0.005)])
        pen.line(look.turned(nose), dark, random.uniform(0.005, 0.012))
    kind = random.choice(["line", "open", "full", "cat", "none"], p=[0.35, 0.4, 0.1, 0.1, 0.05])
    width, y = random.uniform(0.02, 0.1), look.mouth_y
    ink: Colour = (120, 45, 50) if random.random() < 0.7 else shade(look.skin, 0.4)
    if kind in ("line", "cat"):
        bend = random.uniform(-0.02, 0.03)
        line = [(-width, y), (-width / 2, y + bend), (0, y if kind == "cat" else y + bend), (width / 2, y + bend)]
        pen.line(look.turned([*line, (width, y)]), ink, random.uniform(0.006, 0.015))
    if kind == "open":
        depth = random.uniform(0.02, 0.11)
        mouth = [(-width, y), (0, y + 0.005), (width, y), (width * 0.6, y + depth * 0.8), (0, y + depth)]
        inside = mix((180, 40, 50), (90, 20, 30), random.random())
        pen.fill(look.turned([*mouth, (-width * 0.6, y + depth * 0.8)]), inside)
        pen.fill(look.turned(ellipse(0, y + depth * 0.75, width * 0.5, depth * 0.2)), (240, 130, 130), outlined=False)
    if kind == "full":
        pen.fill(look.turned(ellipse(0, y, width * 0.7, random.uniform(0.012, 0.03))), (190, 50, 60), outlined=False)


def draw_glasses(pen: Pen, look: Look, random: Random) -> None:
    """Glasses, a patch over one eye, or a mask over the mouth."""
    kind, colour = random.choice(["glasses", "patch", "mask"], p=[0.6, 0.25, 0.15]), any_colour(random)
    wide, high = look.eye_width * random.uniform(1.1, 1.4), max(look.eye_height, 0.05) * random.uniform(1, 1.3)
    if kind == "mask":
        mask = [(look.face * 0.95, look.mouth_y - 0.1), (look.face * 0.6, look.chin), (0, look.chin + 0.02)]
        pen.fill(symmetric([(0, look.mouth_y - 0.12), *mask]), colour)
        return
    for side in SIDES if kind == "glasses" else (random.choice(SIDES),):
        rim = look.turned(ellipse(side * look.eye_x, look.eye_y, min(wide, look.eye_x * 0.95), high))
        if kind == "patch":
            pen.fill(rim, colour)
            pen.line(look.turned([(side * look.eye_x, look.eye_y), (-side * look.face * 0.9, -0.25)]), colour, 0.02)
        else:
            pen.line(np.concatenate([rim, rim[:1]]), colour, random.uniform(0.008, 0.025))
    if kind == "glasses":
        pen.line(mirrored([(-0.05, look.eye_y), (0.05, look.eye_y)]), colour, 0.012)
