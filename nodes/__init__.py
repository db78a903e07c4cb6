"""The extension: which nodes there are."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import host
from .character import LoadCharacter
from .pose import PoseVector
from .sequence import PoseSequence
from .student import LoadStudent, StudentRender
from .teacher import LoadTeacher, TeacherRender

NODES: list[type[io.ComfyNode]] = [
    LoadCharacter,
    LoadTeacher,
    LoadStudent,
    PoseVector,
    PoseSequence,
    TeacherRender,
    StudentRender,
]


class THA4Extension(ComfyExtension):
    """All of this pack's nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


async def comfy_entrypoint() -> THA4Extension:
    """What ComfyUI calls once when it loads the pack."""
    host.register_model_folder()
    return THA4Extension()
