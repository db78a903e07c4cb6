"""Export Puppet: a student as one HTML file."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from comfy_api.latest import io, ui

from ..tha4_core.atomic_write import temporary_file
from ..tha4_core.errors import PageError
from ..tha4_core.export import PageOptions, read_mediapipe, to_html
from ..tha4_core.picture.model_space import SIZE
from ..tha4_core.student import Student
from . import folders, host, types
from .page.live.mediapipe import FOLDER as MEDIAPIPE_FOLDER

UI_KEY = "tha4_puppet"
"""Under which the page finds the file that the node wrote: a list of ComfyUI's `{"filename", "subfolder", "type"}`."""
_LOCALES = Path(__file__).parents[1] / "locales"
_LARGE, _LARGE_WITH_WEBCAM = 3_000_000, 12_000_000  # bytes


class ExportPuppet(io.ComfyNode):
    """A student as one HTML file that moves by itself."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4ExportPuppet",
            display_name="Export Puppet",
            category=types.CATEGORY,
            **types.search_aliases("talking head anime", "HTML", "web page", "website", "mascot", "avatar"),
            description="Writes one HTML file in which the character moves: by itself, after the mouse, by the "
            "microphone, and on demand by a webcam. It needs no server and no network: double-click it, or put it on a "
            "web page.",
            inputs=[
                types.Student.Input("student", tooltip="The character. Its licence and credits go into the file."),
                io.String.Input(
                    "filename_prefix", default="THA4/puppet", tooltip="Folder and beginning of the name, in output."
                ),
                io.String.Input("title", default="", tooltip="Of the page. Empty: the character's name."),
                io.Combo.Input(
                    "background",
                    options=["none", "color"],
                    tooltip="none: transparent, so that a web page shows through. color: background_color.",
                ),
                io.String.Input(
                    "background_color", default="#22262e", tooltip="As #rrggbb; used when background is color."
                ),
                io.Int.Input(
                    "size",
                    default=SIZE,
                    min=64,
                    max=1024,
                    step=32,
                    tooltip="Pixels of a frame at most. The page takes fewer where its window is smaller or the GPU "
                    "slower. Above 512 the file also holds the character's larger picture, if there is one.",
                ),
                io.Boolean.Input("idle", default=True, tooltip="Blinks, breath and small movements by itself."),
                io.Boolean.Input(
                    "mouse", default=True, tooltip="Look at the mouse or finger from the start; the page has a button."
                ),
                io.Boolean.Input(
                    "microphone",
                    default=False,
                    tooltip="Ask for the microphone from the start, which moves the mouth; the page has a button. The "
                    "sound stays in the page.",
                ),
                io.Boolean.Input(
                    "webcam",
                    default=False,
                    optional=True,
                    tooltip="Put MediaPipe's files (15 MB) into the page, compressed, so that a webcam can move head "
                    "and face; the page has a button. The file has 3 MB at most without and 12 MB with it. Needs the "
                    "files in models/tha4/mediapipe; where they are missing, the node says where to get them.",
                ),
            ],
            outputs=[io.String.Output(display_name="path", tooltip="Where the file is.")],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        student: Student,
        filename_prefix: str,
        title: str,
        background: str,
        background_color: str,
        size: int,
        idle: bool,
        mouse: bool,
        microphone: bool,
        webcam: bool = False,
    ) -> io.NodeOutput:
        behind = background_color if background == "color" else "none"
        files = read_mediapipe(folders.wanted_folders(MEDIAPIPE_FOLDER)) if webcam else {}
        content = to_html(student, PageOptions(title, behind, size, idle, mouse, microphone, files, _texts()))
        path = folders.new_output_path(filename_prefix, ".html")
        _write(path, content)
        text = _text(path, len(content), size, webcam)
        host.show_text(text, cls.hidden.unique_id)
        saved = ui.SavedResult(path.name, folders.in_output_folder(path), io.FolderType.output)
        return io.NodeOutput(str(path), ui={**ui.PreviewText(text).as_dict(), UI_KEY: [saved]})


@cache
def _texts() -> dict[str, dict[str, str]]:
    """The translations of this pack's texts, by language."""
    files = sorted(_LOCALES.glob("*/main.json"))
    return {file.parent.name: json.loads(file.read_text(encoding="utf-8"))["tha4"] for file in files}


def _write(path: Path, content: bytes) -> None:
    try:
        with temporary_file(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise PageError(
            f"{path}: cannot be written ({error.strerror or error}). Free some space, or choose another name."
        ) from error


def _text(path: Path, length: int, size: int, webcam: bool) -> str:
    text = f"{path}\n{length / 1e6:.2f} MB" + (" with MediaPipe for the webcam" if webcam else "")
    if length > (_LARGE_WITH_WEBCAM if webcam else _LARGE):
        text += ": the character's picture is large." + (f" Size {SIZE} keeps it smaller." if size > SIZE else "")
    return text
