"""The sockets that are this pack's own and one of ComfyUI's that it has no name for, and what they carry."""

from comfy_api.latest import io

Character = io.Custom("THA4_CHARACTER")  # tha4_core.Character
Poses = io.Custom("THA4_POSES")  # tha4_core.Poses: float32 [N, 45] and frames per second
Student = io.Custom("THA4_STUDENT")  # tha4_core.Student
Teacher = io.Custom("THA4_TEACHER")  # tha4_core.Teacher, or whatever renders and distils like one

# From ComfyUI's node Detect Face Landmarks (MediaPipe): {"frames": for each picture a list of faces, each with
# "blendshapes" (52 names, 0..1), "transformation_matrix" (4 × 4), "bbox_xyxy" and more}; no frame rate.
FaceLandmarks = io.Custom("FACE_LANDMARKS")

CATEGORY = "THA4"
