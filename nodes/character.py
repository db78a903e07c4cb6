"""Load Character: a picture fitted into the system's frame, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from ..tha4_core.demo import demo_character
from ..tha4_core.errors import PictureError
from ..tha4_core.picture.character import LARGEST_SOURCE, Character
from ..tha4_core.picture.diagnosis import Finding, by_importance, diagnose
from ..tha4_core.picture.fitting import draw_guides, place, placed_source
from ..tha4_core.picture.reading import PICTURE_SUFFIXES, read_picture
from . import folders, host, types
from .hub import FROM_HUB, hub_file, hub_inputs
from .page.pictures import FITS, FOLDER, fitted, keep, picture_files, picture_path

DEMO = "demo"
FROM_GRAPH = "from the image input"
_NOT_CONNECTED = object()


class LoadCharacter(io.ComfyNode):
    """A picture, from the graph or a file, as a character."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4LoadCharacter",
            display_name="Load Character",
            category=types.CATEGORY,
            **types.search_aliases("anime character", "load image", "vtuber"),
            description="A picture of one upright, front-facing anime character with a transparent background. It is "
            "fitted into the 512 x 512 frame with the head in its box, and checked; the node shows what it found.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=[DEMO, FROM_GRAPH, *picture_files(), FROM_HUB],
                    tooltip="The demo character, the image input, a picture in models/tha4/characters or in ComfyUI's "
                    "input folder (input/...; Upload and files dropped on the node go there), or "
                    f'"{FROM_HUB}": what repo_id and file_name name.',
                ),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    tooltip="auto: the centred square where that has the face in the head's box; a head found "
                    "elsewhere is moved into the box. centered square: never move it. head in box: always move it.",
                ),
                io.Float.Input(
                    "scale", default=1.0, min=0.1, max=10.0, step=0.01, tooltip="Makes the figure larger, after fit."
                ),
                io.Float.Input(
                    "offset_x", default=0.0, min=-1024, max=1024, step=1, tooltip="Moves it right, in frame pixels."
                ),
                io.Float.Input(
                    "offset_y", default=0.0, min=-1024, max=1024, step=1, tooltip="Moves it down, in frame pixels."
                ),
                *hub_inputs("character.png"),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="One picture of any size. When connected it is used, not the file; of a batch the first.",
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="The MASK of Load Image: 1 where the picture is transparent."
                ),
            ],
            outputs=[
                types.Character.Output(display_name="character"),
                io.Image.Output(display_name="preview", tooltip="The fitted picture with the head's box drawn on it."),
                io.String.Output(display_name="report", tooltip="What was found, one line each; empty: all is well."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def validate_inputs(cls, file: str | None, image: object = _NOT_CONNECTED) -> bool | str:
        # ComfyUI gives None for what a link brings, and nothing at all for an optional input without one.
        if image is None or file is None or file in (DEMO, FROM_HUB, *picture_files()):
            return True
        return _NO_PICTURE if file == FROM_GRAPH else f'There is no picture "{file}" any more: choose another file.'

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: object) -> str:
        # A picture drawn anew under its old name is another picture. An image that is connected needs no file.
        return folders.fingerprint([picture_path(file)]) if file in picture_files() else ""

    @classmethod
    def execute(
        cls,
        file: str,
        fit: str,
        scale: float,
        offset_x: float,
        offset_y: float,
        repo_id: str,
        file_name: str,
        revision: str,
        image: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        if image is not None:
            picture, notes, name = *_from_graph(image, mask, _loaded_file(cls.hidden)), "character"
        elif mask is not None:
            raise PictureError("Load Character has a mask but no image: connect the image that the mask belongs to.")
        elif file == FROM_HUB:
            path = hub_file(FOLDER, repo_id, file_name, revision, PICTURE_SUFFIXES, cls.hidden.unique_id)
            (picture, notes), name = read_picture(path), path.stem
        else:
            picture, notes, name = _from_file(file)
        placement = fitted(picture, fit).adjusted(scale, offset_x, offset_y)
        report = "\n".join(str(finding) for finding in by_importance([*notes, *diagnose(picture, placement)]))
        placed = place(picture, placement)
        source = placed_source(picture, placement, LARGEST_SOURCE)
        character = Character(_pixels(placed), name, None if source is None else _pixels(source), notes=tuple(notes))
        # What comes from other nodes the page cannot know before: it is told where to find it. The fit editor shows
        # the picture, so ComfyUI's own preview would be a second one.
        shown = {"tha4_picture": [keep(picture)] if image is not None else []}
        return io.NodeOutput(character, host.to_image(draw_guides(placed)), report, ui=shown)


_NO_PICTURE = "Load Character has no picture: connect image (and mask), or choose a file."


def _from_file(file: str) -> tuple[Image.Image, list[Finding], str]:
    if file == DEMO:
        return Image.fromarray(demo_character().picture.numpy()), [], DEMO
    if file == FROM_GRAPH:
        raise PictureError(_NO_PICTURE)
    path = picture_path(file)
    return *read_picture(path), path.stem


def _from_graph(image: Tensor, mask: Tensor | None, file: Path | None) -> tuple[Image.Image, list[Finding]]:
    """The first picture of an IMAGE and its MASK; `file` is what Load Image made them of, if it did."""
    notes = [] if len(image) == 1 else [_batch(len(image))]
    picture = host.picture_from_image(image, mask)
    if file is None:
        return picture, notes
    # Load Image takes no notice of colour profiles.
    read, of_file = read_picture(file)
    if read.size != picture.size:
        return picture, notes
    read.putalpha(picture.getchannel("A"))
    return read, [*notes, *(note for note in of_file if note.code == "bad_profile")]


def _batch(count: int) -> Finding:
    return Finding("batch", f"The image input has a batch of {count} pictures.", "The first one is used.")


def _loaded_file(hidden: io.HiddenHolder) -> Path | None:
    """The file of the Load Image node that the image input of this node is connected with directly, if it is so."""
    prompt = hidden.prompt or {}
    link = prompt.get(hidden.unique_id, {}).get("inputs", {}).get("image")
    origin = prompt.get(link[0], {}) if isinstance(link, list) else {}
    name = origin.get("inputs", {}).get("image")
    if origin.get("class_type") != "LoadImage" or not isinstance(name, str):
        return None
    name = name.removesuffix(" [input]")
    return folders.input_path(name) if name in folders.input_files(PICTURE_SUFFIXES) else None


def _pixels(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(picture).copy())
