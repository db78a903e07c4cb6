"""Pictures and model space (spec section 1).

A *picture* is straight-alpha sRGB, `[..., H, W, 4]` in 0..1, as ComfyUI and Pillow see it.
*Model space* is what the networks see: `[..., 4, H, W]`, linear light, colour multiplied by alpha, 0..1 mapped to
-1..1.
"""

from __future__ import annotations

from functools import partial

import torch
from PIL import ImageColor
from torch import Tensor
from torch.nn import functional

from ..errors import PictureError

SIZE = 512
"""Height and width of a character image in pixels."""

_INVISIBLE = 1e-5
"""Alpha below which a pixel has no colour of its own (spec section 1)."""


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """sRGB values in 0..1 as linear light (IEC 61966-2-1)."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Linear light in 0..1 as sRGB values (IEC 61966-2-1)."""
    # Below the knee the power is unused, and its base is kept off 0 where half precision has no finite slope.
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curve)


def to_model(picture: Tensor) -> Tensor:
    """A picture `[..., H, W, 4]`, straight-alpha sRGB 0..1, in model space `[..., 4, H, W]`."""
    rgb, alpha = picture[..., :3], picture[..., 3:]
    premultiplied = torch.cat([srgb_to_linear(rgb) * alpha, alpha], dim=-1)
    return (premultiplied * 2 - 1).movedim(-1, -3)


def to_srgb(frames: Tensor) -> Tensor:
    """Frames in model space `[..., 4, H, W]` as pictures `[..., H, W, 4]`, straight-alpha sRGB 0..1.

    Colour is 0 where nothing is visible (alpha below 1e-5).
    """
    rgb, alpha = _premultiplied(frames)
    colour = torch.where(alpha < _INVISIBLE, 0.0, rgb / alpha.clamp(min=_INVISIBLE))
    return _picture(colour, alpha)


def to_srgb_bled(frames: Tensor) -> Tensor:
    """As `to_srgb` for `[N, 4, H, W]`, with the figure's colour carried past its edge.

    Whatever resizes or filters the straight colour afterwards finds the figure's own colour beyond its edge and no
    dark fringe. Pixels that are visible (alpha of at least 1/255) have the colour that `to_srgb` gives them.
    """
    rgb, alpha = _premultiplied(frames)
    visible = (alpha >= 1 / 255).to(alpha.dtype)
    return _picture(_bleed(rgb * visible, alpha * visible), alpha)


def over_background(frames: Tensor, background: Tensor) -> Tensor:
    """Frames in model space `[N, 4, H, W]` over opaque sRGB backgrounds `[N or 1, H, W, 3]`: sRGB `[N, H, W, 3]`.

    The two are mixed in linear light.
    """
    rgb, alpha = _premultiplied(frames)
    mixed = rgb + srgb_to_linear(background).movedim(-1, -3) * (1 - alpha)
    return linear_to_srgb(mixed.clamp(0, 1)).movedim(-3, -1)


def cover(pictures: Tensor, size: int) -> Tensor:
    """Pictures `[N, h, w, C]` scaled to cover a square of `size` pixels, and what stands out cut off on both sides."""
    height, width = pictures.shape[1:3]
    scale = size / min(height, width)
    scaled = (max(size, round(height * scale)), max(size, round(width * scale)))
    resized = _antialiased(pictures.movedim(-1, 1), scaled, "bilinear")
    top, left = (scaled[0] - size) // 2, (scaled[1] - size) // 2
    return resized[..., top : top + size, left : left + size].movedim(1, -1)


def parse_color(text: str) -> Tensor:
    """A colour as people write it (`#rrggbb`, `red`, `rgb(1, 2, 3)`) as sRGB `[3]` in 0..1. Raises PictureError."""
    try:
        return torch.tensor(ImageColor.getrgb(text.strip())[:3]) / 255
    except ValueError as error:
        raise PictureError(f'"{text}" is no colour. Write it as #rrggbb, such as #00ff00, or by name.') from error


def crop(image: Tensor, rows: slice, columns: slice) -> Tensor:
    """A view of a rectangle of `[..., H, W]`."""
    return image[..., rows, columns]


def paste(patch: Tensor, image: Tensor, rows: slice, columns: slice) -> Tensor:
    """A copy of `image` `[N or 1, C, H, W]` with `patch` `[N, C, h, w]` over its rectangle."""
    pasted = image.expand(patch.shape[0], -1, -1, -1).clone()
    pasted[..., rows, columns] = patch
    return pasted


def resize(image: Tensor, size: int) -> Tensor:
    """`[N, C, H, W]` resized to `size` x `size`: bilinear, align_corners=False, no antialiasing."""
    return functional.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)


def resample(image: Tensor, size: int) -> Tensor:
    """Model space `[N, C, H, H]` at `size` x `size`: bicubic, antialiased; as it is where it has that size."""
    if image.shape[-1] == size:
        return image
    return _antialiased(image, (size, size), "bicubic").clamp(-1, 1)


def _antialiased(image: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """`[N, C, H, W]` at another height and width, align_corners=False; on the CPU where its device cannot."""
    resize = partial(functional.interpolate, size=size, mode=mode, align_corners=False, antialias=True)
    try:
        return resize(image)
    except NotImplementedError:  # MPS before PyTorch 2.8
        return resize(image.cpu()).to(image.device)


def _premultiplied(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Linear premultiplied colour and alpha clamped to 0..1, both channels-first."""
    unit = (frames + 1) / 2
    return unit[..., :3, :, :], unit[..., 3:, :, :].clamp(0, 1)


def _picture(linear: Tensor, alpha: Tensor) -> Tensor:
    return torch.cat([linear_to_srgb(linear.clamp(0, 1)), alpha], dim=-3).movedim(-3, -1)


def _bleed(rgb: Tensor, weight: Tensor) -> Tensor:
    """Straight colour `[N, 3, H, W]` everywhere from premultiplied colour and its weight: push-pull over a pyramid."""
    colour = torch.where(weight > 0, rgb / weight.clamp(min=torch.finfo(weight.dtype).tiny), 0.0)
    if max(weight.shape[-2:]) == 1:
        return colour
    coarse = _bleed(_halve(rgb), _halve(weight))
    fill = functional.interpolate(coarse, size=weight.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(weight > 0, colour, fill)


def _halve(image: Tensor) -> Tensor:
    return functional.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)
