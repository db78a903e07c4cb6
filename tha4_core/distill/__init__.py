"""Distillation: a teacher and a character in, a student that needs no teacher out (paper section 5, spec section 6).

run.distill is the way through: job (what is asked for) -> poses, store (what the teacher shows) -> start, batches,
forward, losses, optimizers, trainer (the loop) -> watch, judging (how good it is) -> a student's file.
"""

from .job import PRECISIONS, Job
from .judging import Scores, evaluate
from .poses import read_poses, sample_poses
from .presets import PRESETS, Preset
from .run import distill, history_of, restore
from .watch import Report

__all__ = [
    "PRECISIONS",
    "PRESETS",
    "Job",
    "Preset",
    "Report",
    "Scores",
    "distill",
    "evaluate",
    "history_of",
    "read_poses",
    "restore",
    "sample_poses",
]
