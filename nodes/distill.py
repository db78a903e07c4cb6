"""Distill Student: from a character and a teacher to a student of one's own, in the graph."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import torch
from comfy_api.latest import io

from ..tha4_core.demo import DemoRig
from ..tha4_core.distill import PRESETS, Job, distill, draw_curves, history_of, restore
from ..tha4_core.distill.target_cache import BYTES_PER_POSE
from ..tha4_core.picture.character import Character
from ..tha4_core.pose import Poses
from ..tha4_core.student import Student
from ..tha4_core.teacher import Teacher
from . import folders, host, types
from .page import distillations
from .page.preview_queue import QUEUE
from .student import FOLDER

_MEMORY = 4 * 2**30  # bytes: a teacher's stage, or a step of training
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
            work=folders.wanted_folders(distillations.WORK)[0],
            preset=PRESETS[preset],
            poses=None if poses is None else poses.values,
            seed=seed,
            precision=_precision(precision, device),
            device=device,
        )
        restart, deleted = when_it_exists == "restart", _is_deleted(job.path)
        _deletions[job.path] += deleted
        restored = deleted and not restart and restore(job, _made[job.path])
        tick = _give_way if device.type == "cpu" else host.stop_if_interrupted
        with (
            distillations.following(cls.hidden.unique_id, job) as run,
            QUEUE.shared(),
            host.interruptible(teacher, tick),
        ):
            student = distill(job, restart=restart, tick=tick, report=run.report)
        _remember(job.path, student)
        how = "written again" if restored else "made anew"
        run.end("finished", f"{job.path.name} had been deleted: it was {how}." if deleted else "")
        history = history_of(student)
        image = host.to_image(draw_curves(history, PRESETS[preset].steps))
        return io.NodeOutput(student, image, _scores_text(student))


_made: dict[Path, Student] = {}
"""The last students that were made, by their files."""
_deletions: Counter[Path] = Counter()
"""How often the file of such a student was found to be deleted."""


def _path(name: str) -> Path:
    return folders.wanted_folders(FOLDER)[0] / f"{name.strip()}.safetensors"


def _is_deleted(path: Path) -> bool:
    return path in _made and not path.is_file()


def _remember(path: Path, student: Student) -> None:
    _made.pop(path, None)
    _made[path] = student
    while len(_made) > _KEPT:
        del _made[next(iter(_made))]


def _give_way() -> None:
    """To be called many times a second while the processor trains: stops on interrupts, and lets previews go first."""
    host.stop_if_interrupted()
    QUEUE.give_way()


def _precision(precision: str, device: torch.device) -> str:
    if precision == "auto":
        return "tf32" if device.type == "cuda" else "float32"
    return precision


def _scores_text(student: Student) -> str:
    scores = json.loads(student.metadata.get("scores", "{}"))
    lines = [f"{name.replace('_', ' ')}: {value:.3f}" for name, value in scores.items()]
    history = history_of(student)
    lines += [f"step {step:.0f}: face {face:.2f} dB, figure {figure:.2f} dB" for step, face, figure in history.scores]
    return "\n".join(lines)
