"""The sockets that are this pack's own and one of ComfyUI's that it has no name for, and what they carry.

Also what only newer versions of ComfyUI take in a node's schema.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

from comfy_api.latest import io

Character = io.Custom("THA4_CHARACTER")  # tha4_core.Character
Poses = io.Custom("THA4_POSES")  # tha4_core.Poses: float32 [N, 45] and frames per second
Student = io.Custom("THA4_STUDENT")  # tha4_core.Student
Teacher = io.Custom("THA4_TEACHER")  # tha4_core.Teacher, or whatever renders and distils like one

# From ComfyUI's node Detect Face Landmarks (MediaPipe): {"frames": for each picture a list of faces, each with
# "blendshapes" (52 names, 0..1), "transformation_matrix" (4 × 4), "bbox_xyxy" and more}; no frame rate.
FaceLandmarks = io.Custom("FACE_LANDMARKS")

CATEGORY = "THA4"


def where_known(function: Callable[..., object], **arguments: Any) -> dict[str, Any]:
    """Those of the arguments that a function of ComfyUI has; older versions have fewer."""
    known = signature(function).parameters
    return {name: value for name, value in arguments.items() if name in known}


def search_aliases(*words: str) -> dict[str, Any]:
    """By what else the node search of newer versions finds a node: for `io.Schema`."""
    return where_known(io.Schema, search_aliases=list(words))


def advanced(function: Callable[..., object]) -> dict[str, Any]:
    """Folds an input away in newer versions: for an input's class, such as `io.Float.Input`."""
    return where_known(function, advanced=True)
