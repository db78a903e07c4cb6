"""What of the specification a picture breaks, in words that a user can act on (spec section 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .fitting import HEAD_BOX, SURE, LocatedHead, Placement, centred_square, locate_head, place
from .head_finder import Head
from .model_space import SIZE

_VISIBLE = 128  # alpha of a pixel that belongs to the figure
_FAINT = 13  # alpha of a pixel that one does not see and the networks do
_EMPTY_SHARE = 0.005  # of the frame: less is no figure
_BORDER_SHARE = 0.3  # of the upper border: more is a background
_FAINT_SHARE = 0.02  # of the frame: more is a haze
_SECOND_FIGURE_SHARE = 0.15  # of the largest figure's area
_BOX = f"rows {HEAD_BOX[1]} to {HEAD_BOX[3] - 1}, columns {HEAD_BOX[0]} to {HEAD_BOX[2] - 1}"


@dataclass(frozen=True)
class Finding:
    """One thing that a picture breaks: a stable `code`, what is wrong, and what to do about it."""

    code: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


def diagnose(picture: Image.Image, placement: Placement) -> list[Finding]:
    """Everything that an RGBA picture breaks when it is placed in the frame so; an empty list where all is well.

    The codes: `size`, `no_alpha`, `opaque_background`, `faint_background`, `empty`, `several_figures`,
    `head_outside_box`, `head_unclear`.
    """
    findings = _size(picture)
    if picture.getchannel("A").getextrema()[0] == 255:
        return [*findings, _NO_ALPHA]
    alpha = np.asarray(place(picture, placement).getchannel("A"))
    if (alpha >= _VISIBLE).mean() < _EMPTY_SHARE:
        return [*findings, _EMPTY]
    if (_upper_border(alpha) >= _VISIBLE).mean() > _BORDER_SHARE:
        return [*findings, _OPAQUE_BACKGROUND]
    return findings + _faint(alpha) + _several(alpha) + _head(picture, placement)


_NO_ALPHA = Finding(
    "no_alpha",
    "The picture has no transparency: every pixel is opaque.",
    "Remove the background (any background-removal node), or connect the MASK of Load Image.",
)
_EMPTY = Finding(
    "empty",
    "There is no figure in the frame: nothing in it is visible.",
    "Check the picture's alpha (is the MASK inverted?), and its scale and offset.",
)
_OPAQUE_BACKGROUND = Finding(
    "opaque_background",
    "The background is opaque: the picture is visible along its upper border.",
    "Remove the background, so that alpha is 0 everywhere but on the character.",
)


def _size(picture: Image.Image) -> list[Finding]:
    if picture.size == (SIZE, SIZE):
        return []
    problem = f"The picture has {picture.width} x {picture.height} pixels instead of {SIZE} x {SIZE}."
    return [Finding("size", problem, "It was resampled; for the last bit of sharpness, draw it at that size.")]


def _upper_border(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The border without its lower quarter, where a figure may well leave the frame."""
    sides = alpha[: SIZE * 3 // 4]
    return np.concatenate([alpha[0], sides[:, 0], sides[:, -1]])


def _faint(alpha: NDArray[np.uint8]) -> list[Finding]:
    if ((alpha > 0) & (alpha < _FAINT)).mean() <= _FAINT_SHARE:
        return []
    problem = "The background is not wholly transparent: a faint haze is left on it."
    return [Finding("faint_background", problem, "Clean it up, so that alpha is exactly 0 off the character.")]


def _several(alpha: NDArray[np.uint8]) -> list[Finding]:
    from scipy import ndimage

    labels, count = ndimage.label(alpha >= _VISIBLE)
    areas = np.sort(np.bincount(labels.ravel())[1:])[::-1]
    figures = int((areas > _SECOND_FIGURE_SHARE * areas[0]).sum()) if count else 0
    if figures < 2:
        return []
    problem = f"There are {figures} separate figures in the picture."
    return [Finding("several_figures", problem, "Keep one character, and erase what does not touch it.")]


def _head(picture: Image.Image, placement: Placement) -> list[Finding]:
    found = locate_head(picture, placement)
    if found is None:
        return [Finding("head_unclear", "No face was found.", f"Look at the preview: the head belongs in {_BOX}.")]
    if found.confidence < SURE:
        return [_unclear(centred_square(*picture.size), found)]
    return [] if found.in_box else [_outside(found.head, placement)]


def _unclear(square: Placement, found: LocatedHead) -> Finding:
    remedy = (
        f"Look at the preview: the head belongs in {_BOX}. Either the picture is right as it is ({_told(square)}), "
        f"or its head must be moved into the box ({_told(found.moved)})."
    )
    return Finding("head_unclear", f"It is not certain where the head is (confidence {found.confidence:.0%}).", remedy)


def _outside(head: Head, placement: Placement) -> Finding:
    x, y = head.x * placement.scale + placement.x, head.y * placement.scale + placement.y
    where = f"about {head.size * placement.scale:.0f} pixels high around row {y:.0f}, column {x:.0f}"
    remedy = 'Set fit to "auto", or adjust scale and offset until the head fills the box of the preview.'
    return Finding("head_outside_box", f"The head is {where}, not in its box, {_BOX}.", remedy)


def _told(placement: Placement) -> str:
    return f"scale {placement.scale:.3g}, x {placement.x:.0f}, y {placement.y:.0f}"
