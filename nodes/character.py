"""Load Character: a picture fitted into the system's frame, and what is wrong with it."""

from __future__ import annotations

import numpy as np
import torch
from comfy_api.latest import io, ui
from PIL import Image
from torch import Tensor

from ..tha4_core.demo import demo_character
from ..tha4_core.errors import PictureError
from ..tha4_core.picture.character import LARGEST_SOURCE, PICTURE_SUFFIXES, Character, open_picture
from ..tha4_core.picture.diagnosis import diagnose
from ..tha4_core.picture.fitting import draw_guides, place, placed_source
from . import host, types
from .hub import FROM_HUB, hub_file, hub_inputs
from .page.pictures import FITS, FOLDER, fitted, keep

DEMO = "demo"
FROM_GRAPH = "from the image input"


class LoadCharacter(io.ComfyNode):
    """A picture, from the graph or a file, as a character."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4LoadCharacter",
            display_name="Load Character",
            category=types.CATEGORY,
            description="A picture of one upright, front-facing anime character with a transparent background. It is "
            "fitted into the 512 x 512 frame with the head in its box, and checked; the node shows what it found.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=[DEMO, FROM_GRAPH, *host.model_files(FOLDER, PICTURE_SUFFIXES), FROM_HUB],
                    tooltip="The demo character, the image input, a picture with alpha in models/tha4/characters, or "
                    f'"{FROM_HUB}": what repo_id and file_name name.',
                ),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    tooltip="auto: the centred square where that has the face in the head's box; a head found "
                    "elsewhere is moved into the box. centered square: never move it.",
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
                    "image", optional=True, tooltip="One picture of any size. When connected it is used, not the file."
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
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: object) -> float:
        # A picture drawn anew under its old name is another picture.
        return 0.0 if file in (DEMO, FROM_GRAPH, FROM_HUB) else host.model_path(FOLDER, file).stat().st_mtime

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
        if file == FROM_HUB and image is None:
            path = hub_file(FOLDER, repo_id, file_name, revision, PICTURE_SUFFIXES, cls.hidden.unique_id)
            picture, name = open_picture(path), path.stem
        else:
            picture, name = _picture(file, image, mask)
        placement = fitted(picture, fit).adjusted(scale, offset_x, offset_y)
        report = "\n".join(str(finding) for finding in diagnose(picture, placement))
        placed = place(picture, placement)
        guides = host.to_image(draw_guides(placed))
        source = placed_source(picture, placement, LARGEST_SOURCE)
        character = Character(_pixels(placed), name, None if source is None else _pixels(source))
        shown = ui.PreviewImage(guides, cls=cls).as_dict()
        # What comes from other nodes the page cannot know before: it is told where to find it.
        shown["tha4_picture"] = [keep(picture)] if image is not None else []
        return io.NodeOutput(character, guides, report, ui=shown)


def _picture(file: str, image: Tensor | None, mask: Tensor | None) -> tuple[Image.Image, str]:
    if image is None and mask is not None:
        raise PictureError("Load Character has a mask but no image: connect the image that the mask belongs to.")
    if image is None and file == DEMO:
        return Image.fromarray(demo_character().picture.numpy()), DEMO
    if image is None and file == FROM_GRAPH:
        raise PictureError("Load Character has no picture: connect image (and mask), or choose a file.")
    if image is None:
        path = host.model_path(FOLDER, file)
        return open_picture(path), path.stem
    if image.shape[0] != 1:
        raise PictureError(
            f"Load Character takes one picture; the image input has a batch of {image.shape[0]}. Pick one of them."
        )
    return host.picture_from_image(image, mask), "character"


def _pixels(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(picture).copy())
