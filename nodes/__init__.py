"""The extension: which nodes there are."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import folders
from .arithmetic import CombinePoses, EditPoses, Expression
from .character import LoadCharacter
from .distill import DistillStudent
from .export_puppet import ExportPuppet
from .idle import IdleMotion
from .lip_sync import LipSync
from .page import routes
from .pose import PoseVector
from .pose_files import LoadPoses, PlotPoses, SavePoses
from .sequence import PoseSequence
from .student import LoadStudent, StudentRender
from .teacher import LoadTeacher, TeacherRender
from .tracked_face import TrackedFace
from .video import RenderVideo, SaveVideo

NODES: list[type[io.ComfyNode]] = [
    LoadCharacter,
    LoadTeacher,
    LoadStudent,
    PoseVector,
    PoseSequence,
    Expression,
    IdleMotion,
    LipSync,
    TrackedFace,
    LoadPoses,
    SavePoses,
    CombinePoses,
    EditPoses,
    PlotPoses,
    TeacherRender,
    DistillStudent,
    StudentRender,
    RenderVideo,
    SaveVideo,
    ExportPuppet,
]


class THA4Extension(ComfyExtension):
    """All of this pack's nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


async def comfy_entrypoint() -> THA4Extension:
    """What ComfyUI calls once when it loads the pack."""
    folders.register_model_folders()
    folders.make_model_folders()
    routes.register()
    return THA4Extension()
