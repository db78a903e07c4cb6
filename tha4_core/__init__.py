"""THA4 as a library: a picture of an anime character and 45 pose numbers in, a posed frame out.

import tha4_core as tha4

student = tha4.Student.load("models/tha4/students/mine.safetensors")
frames = student.render(tha4.make_pose({"head_y": 0.5, "mouth_aaa": 1.0}))  # [1, 4, 512, 512], model space
pictures = tha4.image.to_srgb(frames)  # [1, 512, 512, 4], straight-alpha sRGB
"""

from . import motion
from .errors import PictureError, PoseError, THA4Error, WeightsError
from .picture import model_space as image
from .picture.character import Character
from .pose import PARAMETERS, Poses, make_pose
from .student.model import Student
from .teacher.pipeline import Teacher

__all__ = [
    "PARAMETERS",
    "Character",
    "PictureError",
    "PoseError",
    "Poses",
    "Student",
    "THA4Error",
    "Teacher",
    "WeightsError",
    "image",
    "make_pose",
    "motion",
]
