"""What the render nodes share: the inputs for the background, and how poses become frames, IMAGE and MASK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from comfy_api.latest import io
from torch import Tensor

from ..tha4_core.errors import PictureError
from ..tha4_core.picture import model_space as images
from ..tha4_core.pose import Poses
from . import host, types

_PREVIEW_BACKGROUND = torch.full((1, 1, 1, 3), 0.25)


def poses_input() -> io.Input:
    """The poses that a render node renders."""
    return types.Poses.Input("poses", tooltip="From Pose Vector, Pose Sequence or anything that makes poses.")


def background_inputs(color_used: str) -> list[io.Input]:
    """The widgets that choose what is behind the figure. `color_used` says when background_color is used."""
    return [
        io.Combo.Input(
            "background",
            options=["none", "color"],
            tooltip="none: straight alpha, with the figure's colour carried past its edge so that nothing you do "
            "next shows a dark fringe. color: an opaque picture over background_color.",
        ),
        io.String.Input("background_color", default="#808080", tooltip=f"As #rrggbb; used {color_used}."),
    ]


def background_image_input() -> io.Input:
    """A picture, or one for each frame, behind the figure."""
    return io.Image.Input(
        "background_image",
        optional=True,
        tooltip="Goes behind the figure when connected, whatever background says: one picture, or one a frame.",
    )


def image_inputs() -> list[io.Input]:
    """The inputs about the background and the channels of a node that gives IMAGE and MASK."""
    rgba = io.Boolean.Input(
        "rgba",
        default=False,
        tooltip="Give IMAGE a fourth channel, alpha. Save Animated WEBP and PNG keep it; many nodes expect three.",
    )
    return [*background_inputs("when background is color"), rgba, background_image_input()]


def image_outputs(size: str) -> list[io.Output]:
    """IMAGE and MASK of a render node; `size`, a text, is the size of its frames."""
    return [
        io.Image.Output(display_name="image", tooltip=f"The frames, {size}."),
        io.Mask.Output(display_name="mask", tooltip="As Load Image gives it: 1 where the frame is transparent."),
    ]


@dataclass(frozen=True)
class FrameSource:
    """A model that renders square frames of `size` pixels.

    `load` brings the model to its device and returns how many poses to render at once. `render` takes poses `[n, 45]`
    and returns frames `[n, 4, size, size]` in model space. `release` frees, after the last frame, what rendering keeps.
    """

    size: int
    load: Callable[[], int]
    render: Callable[[Tensor], Tensor]
    release: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class RenderJob:
    """All that decides the frames, before any of them is rendered.

    `background` takes a slice of the frames and returns what is behind them, sRGB `[n or 1, size or 1, size or 1, 3]`;
    None: they are transparent. `color`, sRGB `[1, 1, 1, 3]`, is behind transparent frames in a file without alpha.
    """

    source: FrameSource
    poses: Poses
    background: Callable[[slice], Tensor] | None
    color: Tensor

    @classmethod
    def from_inputs(
        cls,
        source: FrameSource,
        poses: Poses,
        background: str,
        background_color: str,
        background_image: Tensor | None,
    ) -> RenderJob:
        """The job that a render node's inputs describe. Raises PictureError."""
        color = images.parse_color(background_color).view(1, 1, 1, 3)
        if background_image is not None:
            chosen = _image_background(background_image, len(poses), source.size)
        else:
            chosen = (lambda _: color) if background == "color" else None
        return cls(source, poses, chosen, color)

    def part(self, items: slice) -> RenderJob:
        """Some of the frames."""
        start, _, _ = items.indices(len(self.poses))
        background = self.background
        return replace(
            self,
            poses=Poses(self.poses.values[items], self.poses.fps),
            background=background and (lambda some: background(slice(some.start + start, some.stop + start))),
        )

    def frames(self, previews: bool) -> Iterator[tuple[slice, Tensor]]:
        """Frames in model space, chunk by chunk, on the model's device, with progress and interrupts."""
        chunk: list[Tensor] = []

        def render(items: slice) -> Callable[[], object] | None:
            frames = self.source.render(self.poses.values[items])
            chunk.append(frames)
            return (lambda: _preview(frames[-1:])) if previews else None

        try:
            for items in host.chunks(len(self.poses), self.source.load(), render):
                yield items, chunk.pop()
        finally:
            self.source.release()

    def pictures(self, alpha: bool) -> Iterator[Tensor]:
        """Pictures sRGB `[n, size, size, 3]`, chunk by chunk; with `alpha`, straight-alpha `[n, size, size, 4]`."""
        # Without previews: on a node that saves, ComfyUI would go on showing the last one instead of the video.
        for items, frames in self.frames(previews=False):
            if self.background is not None:
                picture = images.over_background(frames, self.background(items).to(frames))
                yield torch.cat([picture, torch.ones_like(picture[..., :1])], dim=-1) if alpha else picture
            elif alpha:
                yield images.to_srgb_bled(frames)
            else:
                yield images.over_background(frames, self.color.to(frames))


def render_images(job: RenderJob, rgba: bool) -> tuple[Tensor, Tensor]:
    """All frames as IMAGE `[N, size, size, 3 or 4]` and MASK `[N, size, size]`."""
    count, size, device = len(job.poses), job.source.size, host.output_device()
    image = torch.ones(count, size, size, 4 if rgba else 3, device=device)
    mask = torch.empty(count, size, size, device=device)
    for items, frames in job.frames(previews=True):
        straight = images.to_srgb_bled(frames)
        mask[items] = 1 - straight[..., 3].to(device)
        if job.background is None:
            image[items] = straight[..., : image.shape[-1]].to(device)
        else:
            image[items, ..., :3] = images.over_background(frames, job.background(items).to(frames)).to(device)
    return image, mask


def _image_background(image: Tensor, frames: int, size: int) -> Callable[[slice], Tensor]:
    if len(image) not in (1, frames):
        raise PictureError(
            f"background_image has {len(image)} pictures for {frames} frames; give one, or one for each frame."
        )
    if len(image) > 1:
        return lambda items: images.cover(image[items][..., :3], size)
    only = images.cover(image[..., :3], size)
    return lambda _: only


def _preview(frame: Tensor) -> object:
    return host.to_pillow(images.over_background(frame, _PREVIEW_BACKGROUND.to(frame))[0])
