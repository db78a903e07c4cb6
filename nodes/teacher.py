"""Load Teacher and Teacher Render."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakValueDictionary

import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..tha4_core.demo import DemoRig
from ..tha4_core.errors import MissingWeightsError, THA4Error
from ..tha4_core.picture.character import Character
from ..tha4_core.picture.model_space import SIZE
from ..tha4_core.pose import Poses
from ..tha4_core.teacher import Teacher, outputs_sheet
from ..tha4_core.weights import PUBLICATIONS, Publication, Repository, download_teacher, find_teacher_files
from . import folders, host, types
from .render import FrameSource, RenderJob, image_inputs, image_outputs, poses_input, render_images

FOLDER = "teacher"
DEMO_RIG = "demo rig"
PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_PUBLISHED = "; ".join(f"{name}: {p.size / 1e6:.0f} MB, {p.licence}" for name, p in PUBLICATIONS.items())
_MEMORY_PER_POSE = 2 * 2**30  # bytes: the upscaler's features at 512 pixels, in and out
_POSES_AT_ONCE = 4


def teachers() -> dict[str, dict[str, object]]:
    """The published teachers: whether their files are here, where they belong, their size and their licence."""
    wanted = folders.wanted_folders(FOLDER)
    return {
        name: {
            "found": _is_here(wanted, publication),
            "folder": publication.folder_in(Path("models", folders.MODEL_FOLDER, FOLDER)).as_posix(),
            "size": f"{publication.size / 1e6:.0f} MB",
            "licence": publication.licence,
        }
        for name, publication in PUBLICATIONS.items()
    }


def _is_here(wanted: list[Path], publication: Publication) -> bool:
    try:
        return bool(find_teacher_files(wanted, publication))
    except THA4Error:
        return False


class LoadTeacher(io.ComfyNode):
    """The networks that animate any character."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        folded = types.advanced(io.String.Input)
        return io.Schema(
            node_id="THA4LoadTeacher",
            display_name="Load Teacher",
            category=types.CATEGORY,
            **types.search_aliases("talking head anime", "THA3", "THA4", "download"),
            description="A teacher animates characters that nobody has distilled yet. Weights are looked for in "
            "models/tha4/teacher; if they are not there and auto_download is on, they come from the hub repository "
            "that you name, or else from where they are published. Mind their licences: THA4's are for non-commercial "
            "use only, THA3's for any use with attribution.",
            inputs=[
                io.Combo.Input(
                    "teacher",
                    options=[DEMO_RIG, *PUBLICATIONS],
                    tooltip="demo rig: moves the demo character, at once and without a download. The others move any "
                    f"character: {_PUBLISHED}.",
                ),
                io.Combo.Input(
                    "precision",
                    options=["auto", *PRECISIONS],
                    tooltip="What the convolutions compute in. auto: float32 on a CPU, on a GPU what ComfyUI says "
                    "suits it. Coordinates, norms and the final blend are always float32.",
                ),
                io.Boolean.Input(
                    "auto_download",
                    default=False,
                    tooltip="Fetch the weights, once, if they are not in models/tha4/teacher. Switching it on means "
                    "that you accept their licence.",
                ),
                io.String.Input(
                    "repo_id",
                    default="",
                    tooltip="A hub repository that has the five files, as owner/name: a mirror, or a copy of your own. "
                    "Empty: where they are published.",
                    **folded,
                ),
                io.String.Input(
                    "revision", default="main", tooltip="The branch, tag or commit of that repository.", **folded
                ),
            ],
            outputs=[types.Teacher.Output(display_name="teacher")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, teacher: str, **_: object) -> str:
        # Files that were put there or replaced since are another teacher.
        try:
            files = find_teacher_files(folders.wanted_folders(FOLDER), PUBLICATIONS[teacher])
        except (KeyError, THA4Error):
            return ""
        return folders.fingerprint(files.values())

    @classmethod
    def execute(cls, teacher: str, precision: str, auto_download: bool, repo_id: str, revision: str) -> io.NodeOutput:
        if teacher == DEMO_RIG:
            return io.NodeOutput(DemoRig())
        publication, progress = PUBLICATIONS[teacher], host.Download(cls.hidden.unique_id)
        wanted = folders.wanted_folders(FOLDER)
        try:
            files = find_teacher_files(wanted, publication)
        except MissingWeightsError:
            if not auto_download:
                raise
            own = Repository(repo_id.strip(), revision.strip() or "main", within=publication.variant)
            sources = [own] if repo_id.strip() else []
            shapes = Teacher.shapes(publication.architecture)
            files = download_teacher(wanted[0], shapes, publication, sources, progress=progress)
        loaded = Teacher.load_files(files, _dtype(precision), publication)
        _open[teacher, precision, cls.fingerprint_inputs(teacher)] = loaded
        return io.NodeOutput(loaded)


_open: WeakValueDictionary[tuple[str, str, str], Teacher] = WeakValueDictionary()
"""What Load Teacher has loaded, by its inputs and its files, for as long as ComfyUI keeps it."""


def open_teacher(teacher: str, precision: str) -> Teacher | None:
    """What a Load Teacher with these inputs has loaded from the files as they are now; None where it is not open."""
    return _open.get((teacher, precision, LoadTeacher.fingerprint_inputs(teacher)))


def _dtype(precision: str) -> torch.dtype:
    return host.preferred_dtype() if precision == "auto" else PRECISIONS[precision]


def teacher_frames(teacher: Teacher | DemoRig, character: Character) -> FrameSource:
    """The frames of any character by a teacher."""

    def load() -> int:
        return host.chunk_size(_MEMORY_PER_POSE, host.load_to_device(teacher, _MEMORY_PER_POSE), _POSES_AT_ONCE)

    def render(poses: Tensor) -> Tensor:
        with host.interruptible(teacher):
            return teacher.render(character, poses)

    def release() -> None:
        if isinstance(teacher, Teacher):
            teacher.release_graphs()

    return FrameSource(SIZE, load, render, release)


class TeacherRender(io.ComfyNode):
    """A teacher's frames of any character for a sequence of poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4TeacherRender",
            display_name="Teacher Render",
            category=types.CATEGORY,
            **types.search_aliases("talking head anime", "animate", "puppet"),
            description="Renders any character in every pose of a sequence, as images. Slow beside a student, but it "
            "needs no distillation. Poses that repeat, and faces that stay the same, are computed once. All frames "
            "are in memory at once; for a long video take Render Video.",
            inputs=[
                types.Character.Input("character", tooltip="From Load Character, or Load Student's character."),
                types.Teacher.Input("teacher", tooltip="From Load Teacher."),
                poses_input(),
                *image_inputs(),
                io.Boolean.Input(
                    "debug", default=False, tooltip="Also tile every intermediate image of the first pose."
                ),
            ],
            outputs=[
                *image_outputs("512 x 512"),
                io.Image.Output(display_name="debug", tooltip="The intermediate images; needs debug switched on."),
            ],
        )

    @classmethod
    def execute(
        cls,
        character: Character,
        teacher: Teacher | DemoRig,
        poses: Poses,
        background: str,
        background_color: str,
        rgba: bool,
        debug: bool,
        background_image: Tensor | None = None,
    ) -> io.NodeOutput:
        frames = teacher_frames(teacher, character)
        job = RenderJob.from_inputs(frames, poses, background, background_color, background_image)
        image, mask = render_images(job, rgba)
        return io.NodeOutput(image, mask, _debug_sheet(teacher, character, poses) if debug else _NO_DEBUG_SHEET)


_NO_DEBUG_SHEET = ExecutionBlocker("Teacher Render's debug output is connected: switch its debug input on.")


def _debug_sheet(teacher: Teacher | DemoRig, character: Character, poses: Poses) -> Tensor:
    with host.interruptible(teacher):
        return host.to_image(outputs_sheet(teacher.outputs(character, poses.values[:1])))
