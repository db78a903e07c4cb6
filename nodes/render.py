"""What Student Render and Teacher Render share: backgrounds, chunks of frames, and the IMAGE and MASK they become."""

from __future__ import annotations

from collections.abc import Callable

import torch
from comfy_api.latest import io
from torch import Tensor

from ..tha4_core import image as images
from ..tha4_core.errors import PictureError
from ..tha4_core.pose import Poses
from . import host

_PREVIEW_BACKGROUND = torch.full((1, 1, 1, 3), 0.25)


def background_inputs() -> list[io.Input]:
    """The inputs by which a render node is told what to put behind the figure."""
    return [
        io.Combo.Input(
            "background",
            options=["none", "color"],
            tooltip="none: straight alpha, with the figure's colour carried past its edge so that nothing you do "
            "next shows a dark fringe. color: an opaque picture over background_color.",
        ),
        io.String.Input("background_color", default="#808080", tooltip="As #rrggbb; used when background is color."),
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


def image_outputs() -> list[io.Output]:
    """The outputs of a render node."""
    return [
        io.Image.Output(display_name="image", tooltip="The frames, 512 x 512."),
        io.Mask.Output(display_name="mask", tooltip="As Load Image gives it: 1 where the frame is transparent."),
    ]


def render_images(
    poses: Poses,
    render: Callable[[Tensor], Tensor],
    chunk_size: int,
    background: Tensor | None,
    rgba: bool,
) -> tuple[Tensor, Tensor]:
    """Frames of all poses as IMAGE `[N, 512, 512, 3 or 4]` and MASK `[N, 512, 512]`, chunk by chunk.

    `render` takes poses `[n, 45]` to frames `[n, 4, 512, 512]` in model space; `background` is `[1 or N, 512, 512, 3]`.
    """
    size, device = images.SIZE, host.output_device()
    image = torch.ones(len(poses), size, size, 4 if rgba else 3, device=device)
    mask = torch.empty(len(poses), size, size, device=device)

    def run(items: slice) -> Callable[[], object]:
        frames = render(poses.values[items])
        straight = images.to_srgb_bled(frames)
        mask[items] = 1 - straight[..., 3].to(device)
        if background is None:
            image[items] = straight[..., : image.shape[-1]].to(device)
        else:
            behind = background[items] if len(background) > 1 else background
            image[items, ..., :3] = images.over_background(frames, behind.to(frames)).to(device)
        return lambda: _preview(frames[-1:])

    host.in_chunks(len(poses), chunk_size, run)
    return image, mask


def background_tensor(background: str, color: str, image: Tensor | None, frames: int) -> Tensor | None:
    """What goes behind the figure, `[1 or frames, 512, 512, 3]`, or None for nothing. Raises PictureError."""
    if image is not None:
        if len(image) not in (1, frames):
            raise PictureError(
                f"background_image has {len(image)} pictures for {frames} frames; give one, or one for each frame."
            )
        return images.cover(image[..., :3], images.SIZE)
    if background == "none":
        return None
    return images.parse_color(color).view(1, 1, 1, 3).expand(1, images.SIZE, images.SIZE, 3)


def _preview(frame: Tensor) -> object:
    return host.to_pillow(images.over_background(frame, _PREVIEW_BACKGROUND.to(frame))[0])
