"""What Student Render and Teacher Render share: backgrounds, and the IMAGE, MASK and VIDEO that frames become."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..tha4_core.errors import PictureError
from ..tha4_core.picture import model_space as images
from ..tha4_core.pose import Poses
from . import host

_PREVIEW_BACKGROUND = torch.full((1, 1, 1, 3), 0.25)
_IMAGES = {0, 1}  # the places of the outputs image and mask


def background_inputs() -> list[io.Input]:
    """The inputs by which a render node is told what to put behind the figure."""
    return [
        io.Combo.Input(
            "background",
            options=["none", "color"],
            tooltip="none: straight alpha, with the figure's colour carried past its edge so that nothing you do "
            "next shows a dark fringe. color: an opaque picture over background_color.",
        ),
        io.String.Input(
            "background_color",
            default="#808080",
            tooltip="As #rrggbb; used when background is color, and in a video file that cannot be transparent (mp4).",
        ),
        io.Boolean.Input(
            "rgba",
            default=False,
            tooltip="Give IMAGE a fourth channel, alpha. Save Animated WEBP and PNG keep it; many nodes expect three.",
        ),
        io.Image.Input(
            "background_image",
            optional=True,
            tooltip="Goes behind the figure when connected, whatever background says: one picture, or one a frame.",
        ),
    ]


def audio_input() -> io.Input:
    """The sound of a render node's video."""
    return io.Audio.Input("audio", optional=True, tooltip="The sound of the video; cut where the poses end.")


def image_outputs(size: str) -> list[io.Output]:
    """The first outputs of a render node; its frames have `size` (a text)."""
    return [
        io.Image.Output(display_name="image", tooltip=f"The frames, {size}. Rendered only if image or mask is used."),
        io.Mask.Output(display_name="mask", tooltip="As Load Image gives it: 1 where the frame is transparent."),
    ]


def video_output() -> io.Output:
    """The last output of a render node."""
    return io.Video.Output(
        display_name="video",
        tooltip="The same frames with the sound, rendered while they are saved: memory does not grow with the length. "
        "For Save Video with Alpha, or Save Video.",
    )


@dataclass(frozen=True)
class Shot:
    """Everything that is to be seen, before anything of it is rendered.

    `start` brings the model to its device and says how many poses it takes at once; `render` then takes poses `[n, 45]`
    to frames `[n, 4, size, size]` in model space. `behind` gives what is behind some of the frames, sRGB
    `[n or 1, size or 1, size or 1, 3]`; None: nothing. `color`, a text, is behind the figure where there is no alpha.
    """

    poses: Poses
    size: int
    start: Callable[[], int]
    render: Callable[[Tensor], Tensor]
    behind: Callable[[slice], Tensor] | None
    color: str

    def part(self, items: slice) -> Shot:
        """Some of the frames."""
        start, _, _ = items.indices(len(self.poses))
        behind = self.behind
        return replace(
            self,
            poses=Poses(self.poses.values[items], self.poses.fps),
            behind=behind and (lambda some: behind(slice(some.start + start, some.stop + start))),
        )

    def frames(self, previews: bool) -> Iterator[tuple[slice, Tensor]]:
        """Frames in model space, chunk by chunk, on the model's device, with progress and interrupts."""
        chunk: list[Tensor] = []

        def run(items: slice) -> Callable[[], object] | None:
            frames = self.render(self.poses.values[items])
            chunk.append(frames)
            return (lambda: _preview(frames[-1:])) if previews else None

        for items in host.chunks(len(self.poses), self.start(), run):
            yield items, chunk.pop()

    def pictures(self, alpha: bool) -> Iterator[Tensor]:
        """Pictures sRGB `[n, size, size, 3]`, chunk by chunk; with `alpha`, straight-alpha `[n, size, size, 4]`."""
        # Without previews: on a node that saves, ComfyUI would go on showing the last one instead of the video.
        for items, frames in self.frames(previews=False):
            if self.behind is not None:
                picture = images.over_background(frames, self.behind(items).to(frames))
                yield torch.cat([picture, torch.ones_like(picture[..., :1])], dim=-1) if alpha else picture
            elif alpha:
                yield images.to_srgb_bled(frames)
            else:
                yield images.over_background(frames, _plain(self.color).to(frames))


def shot(
    poses: Poses,
    size: int,
    start: Callable[[], int],
    render: Callable[[Tensor], Tensor],
    background: str,
    background_color: str,
    background_image: Tensor | None,
) -> Shot:
    """A shot with the background that a node's inputs name. Raises PictureError."""
    behind = _behind(background, background_color, background_image, len(poses), size)
    return Shot(poses, size, start, render, behind, background_color)


def render_images(shot: Shot, rgba: bool) -> tuple[Tensor, Tensor]:
    """All frames as IMAGE `[N, size, size, 3 or 4]` and MASK `[N, size, size]`."""
    size, device = shot.size, host.output_device()
    image = torch.ones(len(shot.poses), size, size, 4 if rgba else 3, device=device)
    mask = torch.empty(len(shot.poses), size, size, device=device)
    for items, frames in shot.frames(previews=True):
        straight = images.to_srgb_bled(frames)
        mask[items] = 1 - straight[..., 3].to(device)
        if shot.behind is None:
            image[items] = straight[..., : image.shape[-1]].to(device)
        else:
            image[items, ..., :3] = images.over_background(frames, shot.behind(items).to(frames)).to(device)
    return image, mask


_NOT_RENDERED = ExecutionBlocker("This render's image and mask were not connected when it ran: run the graph again.")


def images_if_used(shot: Shot, rgba: bool, node_class: str, node_id: str | None) -> tuple[Any, Any]:
    """IMAGE and MASK of a node; where no node of the running graph takes either, nothing is rendered for them."""
    linked = host.linked_outputs(node_class)
    if linked is None or node_id not in linked or linked[node_id] & _IMAGES:
        return render_images(shot, rgba)
    return _NOT_RENDERED, _NOT_RENDERED


def who_uses_images(node_class: str) -> str:
    """The fingerprint of a render node: without it, ComfyUI would keep what was made while no image was used."""
    linked = host.linked_outputs(node_class) or {}
    return " ".join(sorted(node_id for node_id, outputs in linked.items() if outputs & _IMAGES))


def _behind(
    background: str, color: str, image: Tensor | None, frames: int, size: int
) -> Callable[[slice], Tensor] | None:
    if image is not None:
        if len(image) not in (1, frames):
            raise PictureError(
                f"background_image has {len(image)} pictures for {frames} frames; give one, or one for each frame."
            )
        if len(image) > 1:
            return lambda items: images.cover(image[items][..., :3], size)
        only = images.cover(image[..., :3], size)
        return lambda items: only
    if background == "none":
        return None
    plain = _plain(color)
    return lambda items: plain


def _plain(color: str) -> Tensor:
    return images.parse_color(color).view(1, 1, 1, 3)


def _preview(frame: Tensor) -> object:
    return host.to_pillow(images.over_background(frame, _PREVIEW_BACKGROUND.to(frame))[0])
