"""Load Student and Student Render."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from comfy_api.latest import io
from torch import Tensor

from ..tha4_core.demo import DEMO_STUDENT
from ..tha4_core.errors import WeightsError
from ..tha4_core.picture.model_space import SIZE
from ..tha4_core.picture.published import DESCRIPTION
from ..tha4_core.pose import Poses
from ..tha4_core.student.gpu import PRECISIONS
from ..tha4_core.student.model import Student
from ..tha4_core.student.renderer import check_size
from . import host, types
from .hub import FROM_HUB, hub_file, hub_inputs
from .render import audio_input, background_inputs, image_outputs, images_if_used, shot, video_output, who_uses_images
from .video import Audio, ShotVideo

FOLDER = "students"
DEMO = "demo"
"""The student that comes with the pack; one of that name in models/tha4/students stands before it."""
_TENSORFLOW_JS = "face_morpher.json"
_SUFFIXES = (".safetensors", DESCRIPTION, _TENSORFLOW_JS)
# Bytes that 512 x 512 takes on a GPU, where a tile is a whole picture; poses follow one another and add only frames.
_MEMORY = 600 * 2**20
_POSES_AT_ONCE = 16


def students() -> dict[str, str]:
    """The students in models/tha4/students: the name shown (a folder's, or a file's) -> the file that opens it.

    The demo's, which comes with the pack, has no file there: "".
    """
    files = host.model_files(FOLDER, _SUFFIXES)
    return {DEMO: ""} | {_shown(file): file for file in reversed(files)}


def student_path(name: str) -> Path:
    """The file or folder that opens a student of `students()`. Raises WeightsError for another name."""
    file = students().get(name)
    if file is None:
        raise WeightsError(
            f"models/tha4/{FOLDER}/{name} is not there any more. Put it back, or choose another student."
        )
    if not file:
        return DEMO_STUDENT
    path = host.model_path(FOLDER, file)
    return path.parent if path.name == _TENSORFLOW_JS else path


def student_fingerprint(path: Path) -> str:
    """A text that changes whenever a student's files do."""
    folder = path.parent if path.name == DESCRIPTION else path
    return host.fingerprint(folder.iterdir() if folder.is_dir() else [path])


def _demo_first(name: str) -> tuple[bool, str]:
    return name != DEMO, name.casefold()


def _shown(file: str) -> str:
    path = PurePosixPath(file)
    return str(path.parent) if path.name in (DESCRIPTION, _TENSORFLOW_JS) else file


class LoadStudent(io.ComfyNode):
    """A distilled character from models/tha4/students."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4LoadStudent",
            display_name="Load Student",
            category=types.CATEGORY,
            description="A distilled character: the demo's, or one of models/tha4/students: a .safetensors of this "
            "pack, a published folder (character_model.yaml), or a folder of the web demo (face_morpher.json).",
            inputs=[
                io.Combo.Input(
                    "student",
                    options=[*sorted(students(), key=_demo_first), FROM_HUB],
                    tooltip="The demo's student, a file or folder of models/tha4/students, or "
                    f'"{FROM_HUB}": see repo_id and file_name.',
                ),
                *hub_inputs("lambda.safetensors"),
            ],
            outputs=[
                types.Student.Output(display_name="student"),
                types.Character.Output(display_name="character", tooltip="The character that it was made for."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, student: str, **_: object) -> str:
        known = student in students()
        return student_fingerprint(student_path(student)) if known else ""

    @classmethod
    def execute(cls, student: str, repo_id: str, file_name: str, revision: str) -> io.NodeOutput:
        if student == FROM_HUB:
            path = hub_file(FOLDER, repo_id, file_name, revision, (".safetensors",), cls.hidden.unique_id)
        else:
            path = student_path(student)
        loaded = Student.load(path)
        return io.NodeOutput(loaded, loaded.character)


class StudentRender(io.ComfyNode):
    """A student's frames for a sequence of poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4StudentRender",
            display_name="Student Render",
            category=types.CATEGORY,
            description="Renders a distilled character in every pose of a sequence.",
            inputs=[
                types.Student.Input("student", tooltip="From Load Student."),
                types.Poses.Input("poses", tooltip="From Pose Vector, Pose Sequence or anything that makes poses."),
                *background_inputs(),
                io.Int.Input(
                    "size",
                    default=SIZE,
                    min=256,
                    max=2048,
                    step=32,
                    optional=True,
                    tooltip="Height and width of the frames. 512 is what students are trained for; 256 is a quick "
                    "preview. Above 512 the character's picture is used as large as it was, if it was larger.",
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    optional=True,
                    tooltip="What an NVIDIA GPU computes a student in. auto: whatever proves fastest in a first trial "
                    "and shows the same picture. Everything else computes in float32.",
                ),
                audio_input(),
            ],
            outputs=[*image_outputs("size x size"), video_output()],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> str:
        return who_uses_images("THA4StudentRender")

    @classmethod
    def execute(
        cls,
        student: Student,
        poses: Poses,
        background: str,
        background_color: str,
        rgba: bool,
        background_image: Tensor | None = None,
        size: int = SIZE,
        precision: str = "auto",
        audio: Audio | None = None,
    ) -> io.NodeOutput:
        check_size(size)
        memory = int(_MEMORY * max(1, size / SIZE) ** 2)

        def start() -> int:
            return host.chunk_size(memory, host.load_to_device(student, memory), _POSES_AT_ONCE)

        def render(some: Tensor) -> Tensor:
            return student.render(some, size=size, tick=host.stop_if_interrupted, precision=precision)

        seen = shot(poses, size, start, render, background, background_color, background_image)
        return io.NodeOutput(
            *images_if_used(seen, rgba, "THA4StudentRender", cls.hidden.unique_id), ShotVideo(seen, audio)
        )
