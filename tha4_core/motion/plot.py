"""A picture of poses over time: a band for each group of parameters, a curve for each parameter that moves."""

from __future__ import annotations

import colorsys

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .. import pose
from ..errors import MotionError
from ..pose import Poses
from . import timeline
from .groups import GROUPS
from .timeline import Array

_HUES = {"brows": 0.08, "eyes": 0.58, "mouth": 0.97, "gaze": 0.48, "head": 0.33, "body": 0.78}
_BACKGROUND, _BAND, _GRID, _INK, _FAINT = (24, 26, 31), (32, 35, 41), (58, 62, 72), (222, 226, 233), (140, 147, 160)
# Drawn twice as large and then halved: Pillow's lines have no soft edges of their own.
_FINE = 2
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 76, 210, 14, 30, 8

Box = tuple[int, int, int, int]


def plot(poses: Poses, width: int = 1024, height: int = 768) -> Tensor:
    """The curves of the poses over time as an image, float32 `[height, width, 3]` in 0..1.

    One band for each group, in the group's colour; parameters that stay 0 are left out.
    Raises MotionError for a size under 480 × 360 or over 8192.
    """
    if not (480 <= width <= 8192 and 360 <= height <= 8192):
        raise MotionError(f"The plot is {width} × {height}; it must be from 480 × 360 to 8192 × 8192.")
    picture = Image.new("RGB", (width * _FINE, height * _FINE), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    values = timeline.to_array(poses)
    band = (height - _TOP - _BOTTOM - _GAP * (len(GROUPS) - 1)) / len(GROUPS)
    for row, (group, indices) in enumerate(GROUPS.items()):
        top = _TOP + row * (band + _GAP)
        box = tuple(round(v * _FINE) for v in (_LEFT, top, width - _RIGHT, top + band))
        _draw_band(draw, (box[0], box[1], box[2], box[3]), group, indices, values)
    _draw_seconds(draw, (_LEFT * _FINE, (height - _BOTTOM) * _FINE, (width - _RIGHT) * _FINE, 0), poses)
    small = picture.resize((width, height), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small, dtype=np.float32) / 255)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _FINE)


def _draw_band(draw: ImageDraw.ImageDraw, box: Box, group: str, indices: tuple[int, ...], values: Array) -> None:
    left, top, right, bottom = box
    draw.rectangle(box, fill=_BAND)
    lowest = min(pose.PARAMETERS[i].minimum for i in indices)
    for level in {lowest, 0.0, 1.0}:
        y = float(_height(np.array(level), lowest, box))
        draw.line((left, y, right, y), fill=_GRID, width=_FINE)
        draw.text((left - 6 * _FINE, y), f"{level:g}", font=_font(10), fill=_FAINT, anchor="rm")
    draw.text((6 * _FINE, (top + bottom) / 2), group, font=_font(13), fill=_colour(group, 0, 1), anchor="lm")
    moving = _moving(indices, values)
    for rank, index in enumerate(moving):
        colour = _colour(group, rank, len(moving))
        draw.line(_curve(values[:, index], lowest, box), fill=colour, width=round(1.5 * _FINE), joint="curve")
    _draw_names(draw, box, group, list(moving.values()))


def _moving(indices: tuple[int, ...], values: Array) -> dict[int, str]:
    """Index → name of the curves to draw; two sides that move as one are one curve."""
    found = {i: pose.NAMES[i] for i in indices if values[:, i].any()}
    for left in [i for i, name in found.items() if name.endswith("_left") and i + 1 in found]:
        if np.array_equal(values[:, left], values[:, left + 1]):
            found[left] = found[left].removesuffix("_left")
            del found[left + 1]
    return found


def _draw_names(draw: ImageDraw.ImageDraw, box: Box, group: str, moving: list[str]) -> None:
    line = 13 * _FINE
    room = max(1, (box[3] - box[1]) // line)
    shown = moving if len(moving) <= room else moving[: room - 1]
    names = [(name, _colour(group, rank, len(moving))) for rank, name in enumerate(shown)]
    if len(shown) < len(moving):
        names.append((f"and {len(moving) - len(shown)} more", _FAINT))
    for rank, (name, colour) in enumerate(names):
        draw.text((box[2] + 8 * _FINE, box[1] + rank * line), name, font=_font(11), fill=colour)


def _colour(group: str, rank: int, count: int) -> tuple[int, int, int]:
    spread = (rank / max(count - 1, 1) - 0.5) if count > 1 else 0.0
    red, green, blue = colorsys.hls_to_rgb((_HUES[group] + 0.14 * spread) % 1.0, 0.66 + 0.24 * spread, 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)


def _height(value: Array, lowest: float, box: Box) -> Array:
    margin = 5 * _FINE
    result: Array = box[3] - margin - (value - lowest) / (1 - lowest) * (box[3] - box[1] - 2 * margin)
    return result


def _curve(values: Array, lowest: float, box: Box) -> list[tuple[float, float]]:
    """The points of one curve; of more frames than pixels, each pixel's lowest and highest."""
    position = np.arange(len(values))
    pixels = box[2] - box[0]
    if len(values) > 4 * pixels:
        parts = np.array_split(position, pixels)
        ends = {int(part[pick(values[part])]) for part in parts for pick in (np.argmin, np.argmax)}
        position = np.array(sorted(ends))
    x = box[0] + pixels * position / max(len(values) - 1, 1)
    y = _height(values[position], lowest, box)
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    return points if len(points) > 1 else [(float(box[0]), points[0][1]), (float(box[2]), points[0][1])]


def _draw_seconds(draw: ImageDraw.ImageDraw, box: Box, poses: Poses) -> None:
    length = max(len(poses) - 1, 1) / poses.fps
    steps = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
    step = next((s for s in steps if length / s <= 10), length / 10)
    for tick in range(int(length / step + 1e-9) + 1):
        x = box[0] + (box[2] - box[0]) * tick * step / length
        draw.line((x, box[1], x, box[1] + 5 * _FINE), fill=_FAINT, width=_FINE)
        draw.text((x, box[1] + 7 * _FINE), f"{tick * step:g} s", font=_font(10), fill=_FAINT, anchor="mt")
    frames = f"{len(poses)} poses, {poses.fps:g} fps"
    draw.text((box[2] + 8 * _FINE, box[1] + 7 * _FINE), frames, font=_font(10), fill=_FAINT)
