"""Teachers: five published networks as one pipeline, which poses any character.

pipeline      THA4's and THA3's, from weights to frames
cache         faces and frames of the last poses
exclusive     one thread at a time
stage_graphs  its stages as CUDA graphs
outputs       what a teacher gives beside frames: targets for distillation, a mask of the face, intermediate images
"""

from .outputs import Targets, outputs_sheet
from .pipeline import ARCHITECTURES, PRECISIONS, Teacher, THA3Teacher, THA4Teacher

__all__ = [
    "ARCHITECTURES",
    "PRECISIONS",
    "THA3Teacher",
    "THA4Teacher",
    "Targets",
    "Teacher",
    "outputs_sheet",
]
