"""Looking at a training after every step: its history, its scores on poses that it does not learn from, its reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image

from ..picture import model_space as images
from .checkpoint import Progress
from .judging import evaluate
from .store import TargetStore
from .trainer import Trainer

_ROWS, _SCORES = 200, 20  # of a run's history, at most
_FEWEST_STEPS = 50  # between scores, which cost as much as some steps
_PREVIEW_SIZE = 256


@dataclass(frozen=True)
class Report:
    """What a run says while it runs. `stage` is "teacher" (its frames are computed) or "training".

    `done` of `total` are poses or steps, `rate` examples a second (poses; crops or frames), `preview` makes a picture
    of the teacher beside the student where there is one to see.
    """

    stage: str
    done: int
    total: int
    rate: float
    seconds_left: float
    progress: Progress
    preview: Callable[[], Image.Image] | None = None


class Watch:
    """Looks at a training after every step: keeps its history, scores it now and then, reports."""

    def __init__(
        self, trainer: Trainer, held_out: TargetStore, tick: Callable[[], None], report: Callable[[Report], None]
    ) -> None:
        self._trainer, self._held_out, self._tick, self._report = trainer, held_out, tick, report
        self._start, self._first = time.monotonic(), trainer.progress.step

    def look(self) -> None:
        """Once after every step."""
        progress, preset = self._trainer.progress, self._trainer.preset
        if progress.step % max(1, preset.steps // _ROWS) == 0 and progress.pending[2]:
            face, body, count = progress.pending
            progress.losses.append([progress.step, face / count, body / count])
            progress.pending = [0.0, 0.0, 0.0]
        if progress.step % max(_FEWEST_STEPS, preset.steps // _SCORES) == 0:
            scores = evaluate(
                self._trainer.student, self._held_out, list(range(0, len(self._held_out.poses), 2)), self._tick
            )
            progress.scores.append([progress.step, scores.face_psnr, scores.figure_psnr])
        steps = max(1e-6, (progress.step - self._first) / max(1e-6, time.monotonic() - self._start))
        left = (preset.steps - progress.step) / steps
        self._report(
            Report("training", progress.step, preset.steps, steps * preset.crops, left, progress, self._preview)
        )

    @torch.no_grad()
    def _preview(self) -> Image.Image:
        """The first pose to judge by: the teacher left, the student right."""
        student = self._trainer.student.render(self._held_out.poses[:1], size=_PREVIEW_SIZE)[0].cpu()
        teacher = images.resize(self._held_out.frame(0).movedim(-1, 0)[None], _PREVIEW_SIZE)[0]
        pictures = images.over_background(torch.stack([teacher, student]), torch.full((1, 1, 1, 3), 0.25))
        return Image.fromarray((torch.cat([*pictures], dim=1) * 255).round().to(torch.uint8).numpy())
