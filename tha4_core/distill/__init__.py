"""Distillation: a teacher and a character in, a student that needs no teacher out (paper section 5, spec section 6).

run             a distillation from start to end: begin reading here
poses           poses to train on
target_cache    the teacher's images of them, on disk
cache_folders   which folders of them are in use, and which are deleted to make room
recipe          loss terms, presets, schedules
initialisation  first weights
batches         pixels and crops of a step
forward         the networks at those pixels and crops
optimizer       Muon
trainer         the training loop and its checkpoints
gpu_trainer     the same training as CUDA graphs; gpu_targets: what it learns from, in the GPU's memory
evaluation      scores against the teacher
reporting       history, reports, curves
status          how far a run is, by its files

On the command line: `python -m tha4_core.distill`.
"""

from .evaluation import Scores, evaluate
from .poses import read_poses, sample_poses
from .recipe import PRESETS, Preset
from .reporting import Report, draw_curves
from .run import PRECISIONS, Job, distill, history_of, restore
from .status import Status, read_status

__all__ = [
    "PRECISIONS",
    "PRESETS",
    "Job",
    "Preset",
    "Report",
    "Scores",
    "Status",
    "distill",
    "draw_curves",
    "evaluate",
    "history_of",
    "read_poses",
    "read_status",
    "restore",
    "sample_poses",
]
