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
from ..tha4_core.student import PRECISIONS, Student, check_size
from . import folders, host, types
from .hub import FROM_HUB, hub_file, hub_inputs
from .render import FrameSource, RenderJob, image_inputs, image_outputs, poses_input, render_images

FOLDER = "students"
DEMO = "demo"
"""The student that comes with the pack; one of that name in models/tha4/students replaces it."""
_TENSORFLOW_JS = "face_morpher.json"
_SUFFIXES = (".safetensors", DESCRIPTION, _TENSORFLOW_JS)
# Bytes for a 512 x 512 frame on a GPU, where a tile is the whole picture. Poses run one by one: more add only frames.
_MEMORY = 600 * 2**20
_POSES_AT_ONCE = 16


def students() -> dict[str, str]:
    """The students in models/tha4/students: display name (of a folder or a file) -> the file to open.

    The demo's, which comes with the pack, has no file there: "".
    """
    files = folders.model_files(FOLDER, _SUFFIXES)
    return {DEMO: ""} | {_display_name(file): file for file in reversed(files)}


def student_path(name: str) -> Path:
    """The file or folder that opens a student of `students()`. Raises WeightsError for another name."""
    file = students().get(name)
    if file is None:
        raise WeightsError(
            f"models/tha4/{FOLDER}/{name} is not there any more. Put it back, or choose another student."
        )
    if not file:
        return DEMO_STUDENT
    path = folders.model_path(FOLDER, file)
    return path.parent if path.name == _TENSORFLOW_JS else path


def student_fingerprint(path: Path) -> str:
    """A text that changes whenever a student's files do."""
    folder = path.parent if path.name == DESCRIPTION else path
    return folders.fingerprint(folder.iterdir() if folder.is_dir() else [path])


def _demo_first(name: str) -> tuple[bool, str]:
    return name != DEMO, name.casefold()


def _display_name(file: str) -> str:
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
            **types.search_aliases("talking head anime", "distilled character", "avatar"),
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


def student_inputs(note: str = "") -> list[io.Input]:
    """The inputs that say how a student renders; their tooltips begin with `note`."""
    return [
        io.Int.Input(
            "size",
            default=SIZE,
            min=256,
            max=2048,
            step=32,
            optional=True,
            tooltip=f"{note}Height and width of the frames. 512 is what students are trained for; 256 is a quick "
            "preview. Above 512 the character's picture is used as large as it was, if it was larger.",
        ),
        io.Combo.Input(
            "precision",
            options=list(PRECISIONS),
            optional=True,
            tooltip=f"{note}What an NVIDIA GPU computes a student in. auto: whatever proves fastest in a first trial "
            "and shows the same picture. Everything else computes in float32.",
        ),
    ]


def student_frames(student: Student, size: int, precision: str) -> FrameSource:
    """The frames of a student. Raises SizeError."""
    check_size(size)
    memory = int(_MEMORY * max(1, size / SIZE) ** 2)

    def load() -> int:
        return host.chunk_size(memory, host.load_to_device(student, memory), _POSES_AT_ONCE)

    def render(poses: Tensor) -> Tensor:
        return student.render(poses, size=size, tick=host.stop_if_interrupted, precision=precision)

    return FrameSource(size, load, render)


class StudentRender(io.ComfyNode):
    """A student's frames for a sequence of poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4StudentRender",
            display_name="Student Render",
            category=types.CATEGORY,
            **types.search_aliases("talking head anime", "animate", "real time", "avatar"),
            description="Renders a distilled character in every pose of a sequence, as images. All frames are in "
            "memory at once; for a long video take Render Video.",
            inputs=[
                types.Student.Input("student", tooltip="From Load Student."),
                poses_input(),
                *image_inputs(),
                *student_inputs(),
            ],
            outputs=image_outputs("size x size"),
        )

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
    ) -> io.NodeOutput:
        frames = student_frames(student, size, precision)
        job = RenderJob.from_inputs(frames, poses, background, background_color, background_image)
        return io.NodeOutput(*render_images(job, rgba))
