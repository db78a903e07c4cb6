"""Progress of a run: its history, its scores on held-out poses, reports to the caller, curves as a picture."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont

from ..picture import model_space as images
from .evaluation import evaluate
from .target_cache import TargetCache
from .trainer import Progress, Trainer

_SCORES = 20  # of a run's history, at most
_FEWEST_STEPS = 50  # between scores, which cost as much as some steps
_PREVIEW_SIZE = 256

_WIDTH, _HEIGHT, _FINE = 960, 420, 2
_BACKGROUND, _PANEL, _GRID, _INK = (24, 26, 31), (32, 35, 41), (58, 62, 72), (222, 226, 233)
_COLORS = {"face": (240, 150, 90), "body": (95, 170, 240), "figure": (95, 170, 240)}
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 56, 16, 40, 34, 64

Points = list[tuple[float, float]]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Report:
    """How far a run is. `stage` is "teacher" (its frames are computed) or "training".

    `done` of `total` are poses or steps, `rate` examples a second (poses; crops or frames), `seconds_left` of the whole
    run (infinite while that cannot be told), `preview` makes a picture of the teacher beside the student where there is
    one to see.
    """

    stage: str
    done: int
    total: int
    rate: float
    seconds_left: float
    progress: Progress
    preview: Callable[[], Image.Image] | None = None


class Reporter:
    """Keeps a training's history, evaluates it now and then, and reports after every step."""

    def __init__(
        self, trainer: Trainer, held_out: TargetCache, tick: Callable[[], None], report: Callable[[Report], None]
    ) -> None:
        self._trainer, self._held_out, self._tick, self._report = trainer, held_out, tick, report
        self._start, self._first = time.monotonic(), trainer.progress.step
        self._seen = self._first
        # Read now: a preview may be made when the run is over and its files are closed.
        self._teacher = images.resize(held_out.frame(0).movedim(-1, 0)[None], _PREVIEW_SIZE)[0]

    def after_step(self) -> None:
        """To be called after every step, or every few. Called again after the same, it adds to the history what is
        missing."""
        progress, preset = self._trainer.progress, self._trainer.preset
        between = max(_FEWEST_STEPS, preset.steps // _SCORES)
        due = progress.step // between != self._seen // between or progress.step % between == 0
        scored = bool(progress.scores) and progress.scores[-1][0] == progress.step
        if due and not scored:
            scores = evaluate(
                self._trainer.student, self._held_out, list(range(0, len(self._held_out.poses), 2)), self._tick
            )
            progress.scores.append([progress.step, scores.face_psnr, scores.figure_psnr])
        self._seen = progress.step
        steps = max(1e-6, (progress.step - self._first) / max(1e-6, time.monotonic() - self._start))
        left = (preset.steps - progress.step) / steps
        self._report(
            Report("training", progress.step, preset.steps, steps * preset.crops, left, progress, self._preview)
        )

    @torch.no_grad()
    def _preview(self) -> Image.Image:
        """The first held-out pose: the teacher left, the student right."""
        pose, student = self._held_out.poses[:1], self._trainer.student
        frame = student.render(pose, size=_PREVIEW_SIZE, precision="float32", keep_memory=False)[0].cpu()
        pictures = images.over_background(torch.stack([self._teacher, frame]), torch.full((1, 1, 1, 3), 0.25))
        return Image.fromarray((torch.cat([*pictures], dim=1) * 255).round().to(torch.uint8).numpy())


def draw_curves(progress: Progress, steps: int) -> Image.Image:
    """Loss (logarithmic) and PSNR over `steps` steps: RGB, 960 x 420."""
    picture = Image.new("RGB", (_WIDTH * _FINE, _HEIGHT * _FINE), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    middle = _WIDTH / 2
    left = (_LEFT, _TOP, middle - _GAP / 2, _HEIGHT - _BOTTOM)
    right = (middle + _GAP / 2, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM)
    losses = {
        name: [(row[0], math.log10(max(row[column], 1e-6))) for row in progress.losses]
        for column, name in ((1, "face"), (2, "body"))
    }
    scores = {name: [(row[0], row[column]) for row in progress.scores] for column, name in ((1, "face"), (2, "figure"))}
    _panel(draw, left, "loss", losses, steps, lambda level: f"{10**level:.2g}")
    _panel(draw, right, "PSNR against the teacher, dB", scores, steps, lambda level: f"{level:.0f}")
    return picture.resize((_WIDTH, _HEIGHT), Image.Resampling.BOX)


def _panel(
    draw: ImageDraw.ImageDraw,
    box: Box,
    title: str,
    curves: dict[str, Points],
    steps: int,
    label: Callable[[float], str],
) -> None:
    x0, y0, x1, y1 = (number * _FINE for number in box)
    draw.rectangle((x0, y0, x1, y1), fill=_PANEL)
    draw.text((x0, y0 - 26 * _FINE), title, font=_font(13), fill=_INK)
    low, high = _range([value for points in curves.values() for _, value in points])
    for part in range(5):
        level = low + (high - low) * part / 4
        y = y1 - (y1 - y0) * part / 4
        draw.line((x0, y, x1, y), fill=_GRID, width=_FINE)
        draw.text((x0 - 6 * _FINE, y), label(level), font=_font(11), fill=_INK, anchor="rm")
    draw.text((x1, y1 + 8 * _FINE), f"{steps} steps", font=_font(11), fill=_INK, anchor="ra")
    for row, (name, points) in enumerate(curves.items()):
        wide, tall = (x1 - x0) / steps, (y1 - y0) / (high - low)
        where = [(x0 + wide * step, y1 - tall * (value - low)) for step, value in points]
        if len(where) > 1:
            draw.line(where, fill=_COLORS[name], width=2 * _FINE, joint="curve")
        at = (x1 - 6 * _FINE, y0 - (26 - 14 * row) * _FINE)
        last = f" {label(points[-1][1])}" if points else ""
        draw.text(at, f"{name}{last}", font=_font(11), fill=_COLORS[name], anchor="ra")


def _range(values: list[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    return (low, high) if high - low > 1e-3 else (low - 0.5, high + 0.5)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _FINE)
