"""Distill Student: from a character and a teacher to a student of one's own, in the graph."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import torch
from comfy_api.latest import io
from PIL import Image

from ..tha4_core.demo import DemoRig
from ..tha4_core.distill import PRESETS, Job, Report, distill, draw_curves, history_of, restore
from ..tha4_core.distill.target_cache import BYTES_PER_POSE
from ..tha4_core.picture.character import Character
from ..tha4_core.pose import Poses
from ..tha4_core.student import Student
from ..tha4_core.teacher import Teacher
from . import host, types
from .student import FOLDER

WORK = "distill"
EVENT = "tha4.distill"
_MEMORY = 4 * 2**30  # bytes: a teacher's stage, or a step of training
_EVENT_SECONDS, _PREVIEW_SECONDS = 1.0, 5.0
_KEPT = 8  # students whose files are written again where they were deleted; 2 to 20 MB each
_PRECISIONS = ("auto", "float32", "tf32")


class DistillStudent(io.ComfyNode):
    """Teaches a small network one character."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        presets = "; ".join(f"{preset.name}: {preset.meaning}" for preset in PRESETS.values())
        return io.Schema(
            node_id="THA4DistillStudent",
            display_name="Distill Student",
            category=types.CATEGORY,
            **types.search_aliases("train", "distillation"),
            description="Makes a student of a character: a network under 2 MB that renders it in real time, from what "
            "a teacher shows. It can be cancelled at any moment; queued again, it goes on where it was. The student "
            "lies in models/tha4/students.",
            inputs=[
                types.Character.Input("character", tooltip="From Load Character. It needs a transparent background."),
                types.Teacher.Input("teacher", tooltip="From Load Teacher."),
                io.String.Input("name", default="my_character", tooltip="The student's file is NAME.safetensors."),
                io.Combo.Input(
                    "preset",
                    options=list(PRESETS),
                    default="good",
                    tooltip=f"{presets}. Times are without the teacher's frames, which come first.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**31 - 2,
                    control_after_generate=False,
                    tooltip="Equal seeds and inputs make equal students.",
                ),
                io.Combo.Input(
                    "when_it_exists",
                    options=["resume", "restart"],
                    tooltip="resume: go on where a run with the same inputs was stopped, or give its finished student; "
                    "what was made with other inputs is never overwritten. restart: begin anew and replace it.",
                ),
                io.Combo.Input(
                    "precision",
                    options=list(_PRECISIONS),
                    tooltip="What matrix products are computed in. auto: TF32 on an NVIDIA GPU, else float32.",
                ),
                types.Poses.Input(
                    "poses",
                    optional=True,
                    tooltip="Learn from these poses instead of the preset's: for a student of one motion.",
                ),
            ],
            outputs=[
                types.Student.Output(display_name="student"),
                io.Image.Output(display_name="report", tooltip="Loss and PSNR over the training."),
                io.String.Output(display_name="scores", tooltip="The numbers of the report, as text."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, name: str = "", **_: object) -> int:
        # Where a student's file was deleted, the node must run again though its inputs are the same.
        path = _path(name)
        return _deletions[path] + _is_deleted(path)

    @classmethod
    def execute(
        cls,
        character: Character,
        teacher: Teacher | DemoRig,
        name: str,
        preset: str,
        seed: int,
        when_it_exists: str,
        precision: str,
        poses: Poses | None = None,
    ) -> io.NodeOutput:
        count = PRESETS[preset].poses if poses is None else len(poses)
        device = host.load_to_device(teacher, _MEMORY + count * BYTES_PER_POSE)
        job = Job(
            character=character,
            teacher=teacher,
            name=name.strip(),
            students=_path(name).parent,
            work=host.wanted_folders(WORK)[0],
            preset=PRESETS[preset],
            poses=None if poses is None else poses.values,
            seed=seed,
            precision=_precision(precision, device),
            device=device,
        )
        monitor, restart = _Monitor(cls.hidden.unique_id, job), when_it_exists == "restart"
        deleted = _is_deleted(job.path)
        _deletions[job.path] += deleted
        restored = deleted and not restart and restore(job, _made[job.path])
        with host.interruptible(teacher), monitor.reporting_the_end():
            student = distill(job, restart=restart, tick=host.stop_if_interrupted, report=monitor.report)
        _remember(job.path, student)
        if deleted:
            how = "written again" if restored else "made anew"
            host.show_text(f"{job.path.name} had been deleted: it was {how}.", cls.hidden.unique_id)
        history = history_of(student)
        image = host.to_image(draw_curves(history, PRESETS[preset].steps))
        return io.NodeOutput(student, image, _scores_text(student))


_made: dict[Path, Student] = {}
"""The last students that were made, by their files."""
_deletions: Counter[Path] = Counter()
"""How often the file of such a student was found to be deleted."""


def _path(name: str) -> Path:
    return host.wanted_folders(FOLDER)[0] / f"{name.strip()}.safetensors"


def _is_deleted(path: Path) -> bool:
    return path in _made and not path.is_file()


def _remember(path: Path, student: Student) -> None:
    _made.pop(path, None)
    _made[path] = student
    while len(_made) > _KEPT:
        del _made[next(iter(_made))]


class _Monitor:
    """Sends the progress of a run to ComfyUI's progress bar and to the page's monitor."""

    def __init__(self, node_id: str | None, job: Job) -> None:
        self._node_id, self._job = node_id, job
        self._bar: host.ProgressBar | None = None
        self._stage = ""
        self._sent = self._previewed = 0.0
        self._last: Report | None = None

    def report(self, report: Report) -> None:
        """The trainer calls this after every step."""
        self._last, now = report, time.monotonic()
        if self._bar is None or report.stage != self._stage:
            self._bar, self._stage = host.ProgressBar(report.total), report.stage
        elif now - self._sent < _EVENT_SECONDS and report.done < report.total:
            return
        self._sent = now
        preview = None
        if report.preview is not None and now - self._previewed > _PREVIEW_SECONDS:
            preview, self._previewed = report.preview(), now
        self._bar.update_absolute(report.done, report.total, ("JPEG", preview, None) if preview else None)
        host.show_text(_progress_text(report), self._node_id)
        self._send("running", report, preview)

    @contextmanager
    def reporting_the_end(self) -> Iterator[None]:
        """At the end of the block, send whether the run has finished, was stopped or has failed."""
        state = "failed"
        try:
            yield
            state = "finished"
        except host.Interrupt:
            state = "stopped"
            raise
        finally:
            if self._last is not None:
                self._send(state, self._last, None)

    def _send(self, state: str, report: Report, preview: Image.Image | None) -> None:
        losses, scores = report.progress.losses, report.progress.scores
        training = report.stage == "training"
        host.send_event(
            EVENT,
            {
                "node": self._node_id,
                "state": state,
                "stage": report.stage,
                "preset": self._job.preset.name,
                "step": report.done,
                "steps": report.total,
                "examples": report.done * self._job.preset.crops if training else report.done,
                "rate": report.rate,
                "seconds_left": report.seconds_left,
                "loss": {"step": losses[-1][0], "face": losses[-1][1], "body": losses[-1][2]} if losses else None,
                "psnr": {"step": scores[-1][0], "face": scores[-1][1], "body": scores[-1][2]} if scores else None,
                "preview": _data_url(preview) if preview else None,
            },
        )


def _precision(precision: str, device: torch.device) -> str:
    if precision == "auto":
        return "tf32" if device.type == "cuda" else "float32"
    return precision


def _progress_text(report: Report) -> str:
    unit = "poses" if report.stage == "teacher" else "examples"
    minutes, seconds = divmod(round(report.seconds_left), 60)
    what = "The teacher shows" if report.stage == "teacher" else "Training"
    return f"{what}: {report.done} of {report.total}, {report.rate:.1f} {unit}/s, {minutes}:{seconds:02} left"


def _scores_text(student: Student) -> str:
    scores = json.loads(student.metadata.get("scores", "{}"))
    lines = [f"{name.replace('_', ' ')}: {value:.3f}" for name, value in scores.items()]
    history = history_of(student)
    lines += [f"step {step:.0f}: face {face:.2f} dB, figure {figure:.2f} dB" for step, face, figure in history.scores]
    return "\n".join(lines)


def _data_url(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
