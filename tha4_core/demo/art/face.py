"""The character's skin: head without eyes, brows and mouth (the rig draws those), ears and neck."""

from __future__ import annotations

import numpy as np

from . import palette as c
from .hair import bangs_outline
from .pen import Pen, Points, both, mirrored, smooth, taper

FACE_HALF: Points = (
    (256, 72),
    (284, 78),
    (301, 98),
    (305.5, 122),
    (304.5, 140),
    (302, 154.5),
    (295, 169),
    (282, 182.5),
    (268, 192),
    (260, 195),
    (256, 195.6),
)
JAW: Points = (
    (305, 132),
    (304.5, 140),
    (302, 154.5),
    (295, 169),
    (282, 182.5),
    (268, 192),
    (260, 195),
    (256, 195.6),
)


def head(pen: Pen) -> None:
    """The face and the skull under the hair."""
    outline = smooth(both(FACE_HALF), closed=True)
    pen.fill(outline, c.SKIN)
    with pen.inside(outline):
        pen.fill(bangs_outline() + np.array([0.5, 5.0]), c.SKIN_SHADE)
        for flip in (False, True):
            cheek: Points = (
                (310, 120),
                (302, 140),
                (298.5, 155),
                (289.5, 170),
                (277, 182.5),
                (265, 191),
                (257, 195.6),
                (262, 200),
                (312, 190),
            )
            pen.fill(smooth(cheek if not flip else mirrored(cheek), closed=True), c.SKIN_SHADE, alpha=0.85)
            x = 286.5 if not flip else 2 * 256 - 286.5
            pen.radial(x, 167, 13.5, 8, ((0, c.BLUSH), (0.45, c.BLUSH), (1, c.BLUSH)), (0.5, 0.32, 0.0))
            for k in (-3.6, 0, 3.6):
                stroke: Points = ((288.4 + k, 165.2), (286.2 + k, 169))
                pen.line(smooth(stroke if not flip else mirrored(stroke)), 0.8, c.BLUSH, taper(0.4, 0.4), alpha=0.8)
    nose(pen)
    for flip in (False, True):
        line = smooth(JAW if not flip else mirrored(JAW)[::-1])
        pen.line(line, 1.3, c.SKIN_LINE, taper(0.25, 0.0))


def nose(pen: Pen) -> None:
    """A touch of shade and light."""
    pen.fill(
        smooth(((255.6, 164.8, 1), (258.2, 168.2), (257.2, 169.3), (254.9, 168.8), (256, 167.2)), closed=True),
        c.SKIN_DEEP,
        alpha=0.85,
    )
    pen.radial(254.8, 166, 1.3, 1.7, ((0, "#ffffff"), (1, "#ffffff")), (0.9, 0.0))


def ears(pen: Pen) -> None:
    """Both ears; hair covers most of them."""
    half: Points = ((302, 134), (309, 131), (314.5, 137), (313.5, 148), (308, 156), (301, 158), (298, 148))
    for flip in (False, True):
        outline = smooth(half if not flip else mirrored(half), closed=True)
        pen.fill(outline, c.SKIN)
        inner: Points = ((304, 139), (310, 138), (310, 146), (306, 152), (302, 154))
        with pen.inside(outline):
            pen.fill(smooth(inner if not flip else mirrored(inner), closed=True), c.SKIN_SHADE)
        pen.line(outline, 1.2, c.SKIN_LINE, taper(0.02, 0.02))


def neck(pen: Pen) -> None:
    """From under the chin to under the collar, in the shade of the chin."""
    half: Points = ((270, 172), (271, 196), (271.5, 212), (276, 224), (290, 234), (300, 262), (256, 276))
    outline = smooth(both(((256, 168), *half)), closed=True)
    pen.fill(outline, c.SKIN)
    shadow: Points = ((256, 168), (274, 176), (274, 203), (268, 212), (256, 216))
    with pen.inside(outline):
        pen.fill(smooth(both(shadow), closed=True), c.SKIN_SHADE)
        pen.fill(smooth(both(((256, 168), (274, 172), (272, 196), (256, 204))), closed=True), c.SKIN_DEEP, alpha=0.75)
    side: Points = ((271, 190), (271.5, 212), (276, 224), (290, 234))
    for flip in (False, True):
        pen.line(smooth(side if not flip else mirrored(side)[::-1]), 1.3, c.SKIN_LINE, taper(0.05, 0.3))
        bone: Points = ((261, 237.5), (266, 236), (273, 236))
        pen.line(smooth(bone if not flip else mirrored(bone)[::-1]), 0.9, c.SKIN_LINE, taper(0.4, 0.6), alpha=0.55)
