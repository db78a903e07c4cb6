"""Fitting a picture of any size into the system's frame, so that the head falls into its box (spec section 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .head_finder import Head, find_heads
from .model_space import SIZE

HEAD_BOX = (192, 64, 320, 192)
"""The box that the head falls into: left, top, right, bottom, in pixels of the 512 frame."""

_HEAD_SIZE = HEAD_BOX[2] - HEAD_BOX[0]
_HEAD_CENTRE = ((HEAD_BOX[0] + HEAD_BOX[2]) / 2, (HEAD_BOX[1] + HEAD_BOX[3]) / 2)

# How far the head may be from its box before a picture is worth resampling: the published characters stay within it.
_CENTRE_TOLERANCE = 20.0
_SIZE_TOLERANCE = 1.3

SURE = 0.5
"""The confidence from which on the user need not look."""

# Logits. Three training runs and their scores on ten published pictures led to them.
_PREFERENCE = 2.0  # how much likelier a head elsewhere must be than one in the box
_LEAST_LOGIT = 0.5  # a face, certainly
_LEAST_MARGIN = 0.5  # how much likelier than any other head
_NO_FACE = 0.0  # a face rather than none; below it there is no reason to move the picture


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
class Fit:
    """What `auto_fit` suggests for a picture, and how sure it is.

    `alternative` is the other plausible placement where `sure` is False and there is one: the picture as it is, or the
    head moved into its box. `confidence` is 0..1, and at least `SURE` where `sure`.
    """

    placement: Placement
    sure: bool
    alternative: Placement | None
    confidence: float


@dataclass(frozen=True)
class LocatedHead:
    """A head, in picture pixels, and whether it lies in its box where the picture is placed as it was said.

    `moved` is the placement that brings it into the box; where it lies there already and another place is about as
    likely, that brings the other there. `confidence` as in `Fit`.
    """

    head: Head
    in_box: bool
    moved: Placement
    confidence: float


def centred_square(width: int, height: int) -> Placement:
    """The published way: the centred square of the picture fills the frame."""
    side = min(width, height)
    scale = SIZE / side
    return Placement(scale, -((width - side) // 2) * scale, -((height - side) // 2) * scale)


def head_in_box(head: Head) -> Placement:
    """The placement that moves and scales a head, in picture pixels, into the head box."""
    scale = _HEAD_SIZE / head.size
    return Placement(scale, _HEAD_CENTRE[0] - head.x * scale, _HEAD_CENTRE[1] - head.y * scale)


def is_in_box(head: Head, placement: Placement) -> bool:
    """Whether a head, in picture pixels, lies in the head box, roughly, where the picture is placed so."""
    x, y = head.x * placement.scale + placement.x, head.y * placement.scale + placement.y
    ratio = head.size * placement.scale / _HEAD_SIZE
    distance = max(abs(x - _HEAD_CENTRE[0]), abs(y - _HEAD_CENTRE[1]))
    return distance <= _CENTRE_TOLERANCE and 1 / _SIZE_TOLERANCE <= ratio <= _SIZE_TOLERANCE


def locate_head(picture: Image.Image, placement: Placement) -> LocatedHead | None:
    """The character's head in an RGBA picture that is placed so; None where nothing like a head is seen.

    One that lies in the box is preferred to a somewhat likelier one elsewhere: most pictures are placed right.
    """
    heads = find_heads(picture)
    if not heads:
        return None
    plausible = [head for head in heads if head.logit >= heads[0].logit - _PREFERENCE]
    head = next((head for head in plausible if is_in_box(head, placement)), heads[0])
    rival = next((other for other in heads if not head.is_near(other, 0.35, 0.35)), None)
    margin = math.inf if rival is None else head.logit - rival.logit
    evidence = min(head.logit - _LEAST_LOGIT, margin - _LEAST_MARGIN)
    in_box = is_in_box(head, placement)
    moved = head_in_box(rival if in_box and rival and margin < _LEAST_MARGIN else head)
    return LocatedHead(head, in_box, moved, 1 / (1 + math.exp(-2 * evidence)))


def auto_fit(picture: Image.Image) -> Fit:
    """Where an RGBA picture of any size should lie in the frame.

    As it is (its centred square) where a face is found in the head box or nowhere; else with the likeliest head moved
    into the box.
    """
    square = centred_square(*picture.size)
    found = locate_head(picture, square)
    if found is None:
        return Fit(square, False, None, 0.0)
    stays = found.in_box or found.head.logit < _NO_FACE
    suggested, other = (square, found.moved) if stays else (found.moved, square)
    sure = found.confidence >= SURE
    return Fit(suggested, sure, None if sure else other, found.confidence)


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
