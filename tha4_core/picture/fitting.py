"""Fitting a picture of any size into the system's frame, so that the head falls into its box (spec section 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .model_space import SIZE

HEAD_BOX = (192, 64, 320, 192)
"""The box that the head falls into: left, top, right, bottom, in pixels of the 512 frame."""

_HEAD_SIZE = HEAD_BOX[2] - HEAD_BOX[0]
_HEAD_CENTRE = ((HEAD_BOX[0] + HEAD_BOX[2]) / 2, (HEAD_BOX[1] + HEAD_BOX[3]) / 2)

# How far the head may be from its box before a picture is worth resampling: the published characters stay within it.
_CENTRE_TOLERANCE = 20.0
_SIZE_TOLERANCE = 1.3

_ANALYSED_SIZE = 256  # pixels; a silhouette needs no more
_VISIBLE = 128  # alpha of a pixel that belongs to the figure

# Proportions of silhouettes, tried out on characters drawn to the specification.
_TUFT = 0.2  # of the widest row: rows above that are narrower are a tuft of hair or a ribbon
_NECK = 0.8  # a neck is narrower than this part of the head above it
_SHOULDER = 1.15  # and the shoulders below are wider than the neck by this
_HEAD_HEIGHTS = (0.6, 1.3)  # a head above a neck, over what its width suggests: at least, at most
_HEAD_ASPECT = 0.9  # height over width of a head with its hair, where no neck is seen


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in the 512 frame: frame pixel = picture pixel * scale + (x, y)."""

    scale: float
    x: float
    y: float

    def times(self, factor: float) -> Placement:
        """The same in a frame `factor` times as large."""
        return Placement(self.scale * factor, self.x * factor, self.y * factor)

    def adjusted(self, scale: float, x: float, y: float) -> Placement:
        """Scaled about the head box's centre, then moved by x, y frame pixels."""
        centre_x, centre_y = _HEAD_CENTRE
        return Placement(
            self.scale * scale, (self.x - centre_x) * scale + centre_x + x, (self.y - centre_y) * scale + centre_y + y
        )


@dataclass(frozen=True)
class Head:
    """A head as its silhouette suggests it: centre and size in pixels; `neck_seen` tells a measurement from a guess."""

    x: float
    y: float
    size: float
    neck_seen: bool

    def is_in_box(self) -> bool:
        """Whether a head in frame pixels lies in the head box, roughly."""
        distance = max(abs(self.x - _HEAD_CENTRE[0]), abs(self.y - _HEAD_CENTRE[1]))
        ratio = self.size / _HEAD_SIZE
        return distance <= _CENTRE_TOLERANCE and 1 / _SIZE_TOLERANCE <= ratio <= _SIZE_TOLERANCE


def centred_square(width: int, height: int) -> Placement:
    """The published way: the centred square of the picture fills the frame."""
    side = min(width, height)
    scale = SIZE / side
    return Placement(scale, -((width - side) // 2) * scale, -((height - side) // 2) * scale)


def head_in_box(head: Head) -> Placement:
    """The placement that moves and scales a head, in picture pixels, into the head box."""
    scale = _HEAD_SIZE / head.size
    return Placement(scale, _HEAD_CENTRE[0] - head.x * scale, _HEAD_CENTRE[1] - head.y * scale)


@dataclass(frozen=True)
class Fit:
    """What `auto_fit` suggests for a picture, and how sure it is.

    `alternative` is the other plausible placement where `sure` is False and there is one: the picture as it is, or the
    head moved into its box. `confidence` is 0..1.
    """

    placement: Placement
    sure: bool
    alternative: Placement | None
    confidence: float


def auto_fit(picture: Image.Image) -> Fit:
    """The centred square if that puts the head into its box (or no head is found), else the head moved into it."""
    square = centred_square(*picture.size)
    head = find_head(np.asarray(picture.getchannel("A")))
    if head is None:
        return Fit(square, False, None, 0.0)
    if _moved(head, square).is_in_box():
        return Fit(square, head.neck_seen, None, 1.0)
    moved = head_in_box(head)
    if head.neck_seen:
        return Fit(moved, True, None, 1.0)
    # A picture of the system's own size was drawn for it: a mere guess is no reason to move it.
    own_size = picture.size == (SIZE, SIZE)
    return Fit(square if own_size else moved, False, moved if own_size else square, 0.5)


def place(picture: Image.Image, placement: Placement, side: int = SIZE) -> Image.Image:
    """An RGBA picture placed in a transparent frame of `side` x `side` pixels (Lanczos)."""
    scale, x, y = placement.scale, placement.x, placement.y
    left, top = max(0.0, -x / scale), max(0.0, -y / scale)
    right, bottom = min(picture.width, (side - x) / scale), min(picture.height, (side - y) / scale)
    frame = Image.new("RGBA", (side, side))
    if right - left < 1 or bottom - top < 1:
        return frame
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    resized = picture.resize(size, Image.Resampling.LANCZOS, box=(left, top, right, bottom))
    frame.paste(resized, (round(left * scale + x), round(top * scale + y)))
    return frame


def placed_source(picture: Image.Image, placement: Placement, largest: int) -> Image.Image | None:
    """What `place` gives in a frame as large as the picture has pixels for, at most `largest`; None if that is 512."""
    side = min(largest, int(SIZE / placement.scale))
    return place(picture, placement.times(side / SIZE), side) if side > SIZE else None


def find_head(alpha: NDArray[np.uint8]) -> Head | None:
    """The head of the figure whose alpha is `[H, W]`, from its silhouette: top, neck, width. None without a figure."""
    rows, columns = (np.flatnonzero((alpha >= _VISIBLE).any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return None
    height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    step = max(1, round(max(height, width) / _ANALYSED_SIZE))
    figure = alpha[rows[0] : rows[-1] + 1 : step, columns[0] : columns[-1] + 1 : step] >= _VISIBLE
    head = _head_of(_largest_figure(figure))
    return Head(float(columns[0] + head.x * step), float(rows[0] + head.y * step), head.size * step, head.neck_seen)


def draw_guides(picture: Image.Image) -> Image.Image:
    """An RGBA 512 x 512 picture over a checkerboard, with the head box drawn on it, as RGB."""
    squares = np.indices((SIZE, SIZE)) // 16
    board = np.where((squares.sum(axis=0) % 2)[..., None], np.uint8(200), np.uint8(230)).repeat(3, axis=2)
    sheet = Image.fromarray(board).convert("RGBA")
    sheet.alpha_composite(picture)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle(HEAD_BOX, outline=(220, 30, 60), width=2)
    draw.line((_HEAD_CENTRE[0], HEAD_BOX[1] - 12, _HEAD_CENTRE[0], HEAD_BOX[3] + 12), fill=(220, 30, 60))
    return sheet.convert("RGB")


def _moved(head: Head, placement: Placement) -> Head:
    scale = placement.scale
    return Head(head.x * scale + placement.x, head.y * scale + placement.y, head.size * scale, head.neck_seen)


def _head_of(mask: NDArray[np.bool_]) -> Head:
    widths = mask.sum(axis=1)
    top = int(np.argmax(widths >= _TUFT * widths.max()))
    guess = _guess_chin(widths, top)
    neck = _find_neck(widths, top, guess - top)
    bottom = guess if neck is None else neck
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    return Head((columns[0] + columns[-1] + 1) / 2, (top + bottom) / 2, float(bottom - top), neck is not None)


def _largest_figure(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a mask."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    largest: NDArray[np.bool_] = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return largest


def _find_neck(widths: NDArray[np.int64], top: int, guess: int) -> int | None:
    """The row at which a head, about `guess` rows high, narrows to a neck with shoulders below it, or None."""
    figure = widths[top:]
    widest = np.maximum.accumulate(figure)
    widest_below = np.maximum.accumulate(figure[::-1])[::-1]
    narrow = (figure < _NECK * widest) & (widest_below > _SHOULDER * figure) & (figure > 0)
    # What narrows sooner is a bun or a hat, what narrows later a waist or the ends of long hair.
    height = np.arange(figure.size)
    narrow &= (height > _HEAD_HEIGHTS[0] * guess) & (height < _HEAD_HEIGHTS[1] * guess)
    if not narrow.any():
        return None
    start = int(np.argmax(narrow))
    length = int(np.argmin(np.append(narrow[start:], False)))
    return top + start + int(np.argmin(figure[start : start + length]))


def _guess_chin(widths: NDArray[np.int64], top: int) -> int:
    """Where a head without a visible neck would end, from the width that the silhouette has near its top."""
    figure = widths[top:]
    high_enough = np.arange(1, figure.size + 1) >= _HEAD_ASPECT * np.maximum.accumulate(figure)
    return top + (int(np.argmax(high_enough)) if high_enough.any() else figure.size - 1) + 1
