"""What of the specification a picture breaks, in words that a user can act on (spec section 1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .fitting import HEAD_BOX, SURE, LocatedHead, Placement, centred_square, locate_head, place
from .head_finder import Head
from .model_space import SIZE

NO_FIGURE = ("no_alpha", "inverted_alpha", "opaque_background", "empty")
"""The codes with which nothing can be said of the figure."""

WARNINGS = (
    *NO_FIGURE,
    "several_figures",
    "two_heads",
    "head_outside_box",
    "head_unclear",
    "no_body",
    "leaning",
    "too_few_pixels",
    "faint_background",
    "halo",
    "specks",
    "translucent",
)
"""The codes of what should be put right, the most important first."""

NOTES = ("animated", "batch", "bad_profile", "size")
"""The codes of what is only good to know."""

_BOX = f"rows {HEAD_BOX[1]} to {HEAD_BOX[3] - 1}, columns {HEAD_BOX[0]} to {HEAD_BOX[2] - 1}"
_BORDER_SHARE = 0.3  # of the upper border: more is a background
_HAZE_SHARE = 0.02  # of the frame: less is specks
_SPECKS = ((128, 1), (16, 4), (0, 60))  # alpha, and how many pixels off the figure that have it are specks
_TRANSLUCENT = 0.9
_FACE = slice(96, 160), slice(224, 288)  # rows and columns in the middle of the head's box
_BLURRED = 1.5  # a picture enlarged by more
_LEAN = 15  # degrees; upright characters with hair or a tail on one side come to 10
_NECK_END, _BUST_END = 290, 360  # rows: a figure that ends above has no body, or a body that is cut off
_CUT = 48  # pixels: a figure that ends as wide as that is cut off


@dataclass(frozen=True)
class Finding:
    """One thing that a picture breaks: a stable `code`, what is wrong, and what to do about it."""

    code: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"

    @property
    def is_warning(self) -> bool:
        """Whether it should be put right; else it is good to know."""
        return self.code in WARNINGS


def by_importance(findings: Iterable[Finding]) -> list[Finding]:
    """Findings with the most important one first."""
    return sorted(findings, key=lambda finding: (*WARNINGS, *NOTES).index(finding.code))


def diagnose(picture: Image.Image, placement: Placement) -> list[Finding]:
    """Everything that an RGBA picture breaks when it is placed in the frame so, the most important first.

    The codes are those of WARNINGS, and `size` of NOTES. An empty list: all is well.
    """
    from . import silhouette  # not at the top: SciPy takes its time

    size = _size(picture, placement.scale)
    if picture.getchannel("A").getextrema()[0] == 255:
        return [_NO_ALPHA, *size]
    placed = np.asarray(place(picture, placement))
    alpha = placed[..., 3]
    from_alpha = silhouette.visible_from(alpha)
    if from_alpha is None:
        return [_EMPTY, *size]
    visible = alpha >= from_alpha
    border = _upper_border(picture, placement) >= from_alpha
    if border.mean() > _BORDER_SHARE:
        face = visible[_FACE[0], _FACE[1]]
        return [_INVERTED if border.mean() > 0.9 and face.mean() < 0.1 else _OPAQUE_BACKGROUND, *size]
    figure = silhouette.figure_of(visible)
    head = _head(picture, placement)
    found = [
        *size,
        *_figures(np.asarray(picture.getchannel("A")) >= from_alpha, visible),
        *head,
        *([] if any(one.code == "head_outside_box" for one in head) else _body(figure)),
        *_leaning(silhouette.lean(figure)),
        *_background(silhouette.off_figure(picture, placement, alpha, figure), alpha, max(1.0, placement.scale)),
        *_translucent(silhouette.opacity(alpha, figure)),
    ]
    # A haze is no rim, and the edges of a blurred picture look like one.
    if not {"faint_background", "too_few_pixels"} & {finding.code for finding in found}:
        found += _halo(silhouette.rim(placed, figure, placement.scale))
    return by_importance(found)


_NO_ALPHA = Finding(
    "no_alpha",
    "The picture has no transparency: every pixel is opaque.",
    "Connect the MASK of Load Image, too. If the picture has a background, cut the figure out: in front of a plain one "
    "with Color Select in Load Image's mask editor, else with ComfyUI's Remove Background; its mask goes through "
    "Invert Mask.",
)
_INVERTED = Finding(
    "inverted_alpha",
    "The transparency seems inverted: the background is visible, and the middle is not.",
    "Put Invert Mask before the mask input. (The mask of Remove Background needs it.)",
)
_OPAQUE_BACKGROUND = Finding(
    "opaque_background",
    "The background is opaque: the picture is visible along its upper border.",
    "Cut the figure out with ComfyUI's Remove Background (its mask goes through Invert Mask), or in a paint program.",
)
_EMPTY = Finding(
    "empty",
    "There is no figure in the frame: nothing in it is visible.",
    "Check the picture's alpha (is the MASK inverted?), and its scale and offset.",
)


def _size(picture: Image.Image, scale: float) -> list[Finding]:
    if scale > _BLURRED:
        problem = f"The picture has too few pixels: it is enlarged {scale:.1f} times, and every frame will be blurred."
        remedy = "Use a larger picture, in which the head has at least 128 x 128 pixels."
        return [Finding("too_few_pixels", problem, remedy)]
    if picture.size == (SIZE, SIZE):
        return []
    problem = f"The picture has {picture.width} x {picture.height} pixels and is scaled by {scale:.2f} into the frame."
    return [Finding("size", problem, "That is no fault.")]


def _upper_border(picture: Image.Image, placement: Placement) -> NDArray[np.uint8]:
    """Alpha along the border of what the frame shows, without the lower quarter, where a figure may well leave it."""
    scale, x, y = placement.scale, placement.x, placement.y
    left, top = max(0, int(-x / scale)), max(0, int(-y / scale))
    right, bottom = (min(side, int((SIZE - at) / scale)) for side, at in zip(picture.size, (x, y), strict=True))
    alpha = np.asarray(picture.getchannel("A").crop((left, top, max(left + 1, right), max(top + 1, bottom))))
    sides = alpha[: max(1, len(alpha) * 3 // 4)]
    return np.concatenate([alpha[0], sides[:, 0], sides[:, -1]])


def _figures(visible: NDArray[np.bool_], in_frame: NDArray[np.bool_]) -> list[Finding]:
    """More than one figure: apart in the frame, or side by side in the whole picture."""
    from .silhouette import FIGURE_SHARE, heads, parts

    areas = parts(in_frame)[1]
    figures = int((areas > FIGURE_SHARE * areas.max()).sum())
    if figures > 1:
        problem = f"There are {figures} separate figures in the picture."
        return [Finding("several_figures", problem, "Keep one character, and erase what does not touch it.")]
    if heads(visible) < 2:
        return []
    problem = "There seem to be two heads in the picture, beside one another."
    return [Finding("two_heads", problem, "Keep one character. If it is one, with wings or the like, all is well.")]


def _body(figure: NDArray[np.bool_]) -> list[Finding]:
    """A figure whose head is in its box has a body below it."""
    end = int(np.flatnonzero(figure.any(axis=1))[-1])
    is_cut = np.count_nonzero(figure[end - 2]) > _CUT
    if end > (_BUST_END if is_cut else _NECK_END):
        return []
    problem = f"The body is missing: the figure ends at row {end} of {SIZE}."
    return [Finding("no_body", problem, "Use a picture that shows the character down to the hips at least.")]


def _leaning(degrees: float) -> list[Finding]:
    if abs(degrees) < _LEAN:
        return []
    side = "right" if degrees > 0 else "left"
    problem = f"The figure seems to lean to the {side}, by about {abs(degrees):.0f} degrees."
    return [Finding("leaning", problem, "Turn the picture so that head and body are upright.")]


def _background(off_figure: NDArray[np.bool_], alpha: NDArray[np.uint8], unit: float) -> list[Finding]:
    """What is left on the background; `unit` is the side of one of the picture's pixels, or 1."""
    count = int(off_figure.sum())
    if count > _HAZE_SHARE * off_figure.size:
        problem = (
            f"The background is not wholly transparent: a haze of alpha {int(np.median(alpha[off_figure]))} is on it."
        )
        return [Finding("faint_background", problem, "Clean it up, so that alpha is exactly 0 off the character.")]
    if all((alpha[off_figure] >= least).sum() < few * unit**2 for least, few in _SPECKS):
        return []
    row, column = (int(place) for place in np.argwhere(off_figure)[np.argmax(alpha[off_figure])])
    problem = f"Something is left off the figure: specks, a mark or a line, for one around row {row}, column {column}."
    return [Finding("specks", problem, "Erase all that is no part of the character, so that alpha is exactly 0 there.")]


def _halo(rim: str | None) -> list[Finding]:
    if rim is None:
        return []
    problem = f"A {rim} rim runs around the figure: a rest of the background."
    remedy = "Erase it; Grow Mask, by 1 to 3 pixels, on the mask input cuts it off."
    return [Finding("halo", problem, remedy)]


def _translucent(opacity: float) -> list[Finding]:
    if opacity >= _TRANSLUCENT:
        return []
    problem = f"The figure is translucent: its alpha is about {opacity:.0%} of 255."
    return [Finding("translucent", problem, "Make it opaque, unless the background shall shine through it.")]


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
