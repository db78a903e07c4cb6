"""The sockets that are this pack's own, and what they carry."""

from comfy_api.latest import io

Character = io.Custom("THA4_CHARACTER")  # tha4_core.Character
Poses = io.Custom("THA4_POSES")  # tha4_core.Poses: float32 [N, 45] and frames per second
Student = io.Custom("THA4_STUDENT")  # tha4_core.Student
Teacher = io.Custom("THA4_TEACHER")  # tha4_core.Teacher, or whatever renders and distils like one

CATEGORY = "THA4"
