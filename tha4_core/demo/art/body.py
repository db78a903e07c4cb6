"""The character's clothes: a navy top with a ribbon, a cream hooded jacket with the hands in its pockets, a skirt."""

from __future__ import annotations

import numpy as np

from . import palette as c
from .eyes import ellipse
from .hair import SIDE, lock
from .pen import Array, Colour, Pen, Points, both, mirrored, smooth, taper

TOP_HALF: Points = ((256, 246), (268, 243), (279, 236), (296, 246), (290, 330), (256, 340))
SKIRT_HALF: Points = ((256, 428), (310, 428), (322, 452), (340, 500), (352, 556, 1), (256, 560))
JACKET_HALF: Points = (
    (257.5, 322, 1), (268, 294), (280, 262), (282, 236), (300, 234), (322, 246), (330, 275), (322, 318),
    (316, 360), (319, 404), (322, 446, 1), (290, 452), (257.5, 453, 1),
)  # fmt: skip
SLEEVE: Points = (
    (296, 238), (313, 236), (331, 245), (347, 272), (358, 308), (366, 346), (366, 378), (354, 402), (334, 420, 1),
    (322, 408), (317, 396, 1), (328, 380), (333, 362), (331, 340), (324, 312), (318, 290), (308, 262),
)  # fmt: skip
CUFF: Points = ((338, 416), (335, 421, 1), (326, 427, 1), (310, 404, 1), (318, 396, 1), (328, 392))
HOOD: Points = (
    (266, 212), (286, 205), (310, 209), (325, 222), (324, 240), (311, 258), (293, 279), (276, 306, 1),
    (276, 284), (280, 262), (279, 240), (273, 226),
)  # fmt: skip
LINING: Points = (
    (266, 212),
    (276, 214),
    (287, 226),
    (291, 246),
    (287, 268),
    (276, 306, 1),
    (276, 284),
    (279, 262),
    (278, 240),
    (272, 226),
)
POCKET: Points = ((266, 404), (290, 396), (309, 391, 1), (318, 410), (322, 434, 1), (300, 437), (266, 438, 1))


def body(pen: Pen) -> None:
    """All clothes, from the skirt to the hood."""
    _skirt(pen)
    _top(pen)
    for flip in (False, True):
        _jacket(pen, flip)
    _zip(pen)
    for flip in (False, True):
        _sleeve(pen, flip)
        _pocket(pen, flip)
    for flip in (False, True):
        _hood(pen, flip)
    _ribbon(pen)
    with pen.on_top_only():
        for flip in (False, True):
            for points, widths in SIDE:
                shade = lock(mirrored(points)[::-1] if flip else points, widths)
                pen.fill(shade + np.array([2.5 if flip else -2.5, 4.0]), c.CLOTH_DEEP, alpha=0.55)


def _side(points: Points, flip: bool, closed: bool = True) -> Array:
    return smooth(mirrored(points)[::-1] if flip else points, closed=closed)


def _closed(pen: Pen, outline: Array, width: float, colour: Colour) -> None:
    pen.line(np.concatenate([outline, outline[:4]]), width, colour, taper(0, 0))


def _skirt(pen: Pen) -> None:
    outline = smooth(both(SKIRT_HALF), closed=True)
    pen.fill(outline, c.NAVY)
    with pen.inside(outline):
        for top, bottom in ((256, 256), (274, 284), (291, 312), (306, 340)):
            for flip in (False, True):
                pleat: Points = ((top - 1, 428, 1), (bottom + 1, 556, 1), (bottom - 13, 556, 1), (top - 3, 452, 1))
                pen.fill(_side(pleat, flip), c.NAVY_SHADE)
                pen.line(_side(((top, 440), (bottom, 556)), flip, False), 1.2, c.NAVY_LINE, taper(0.2, 0))
        pen.fill(smooth(both(((256, 440), (330, 440), (330, 458), (256, 466))), closed=True), c.NAVY_SHADE)
    _closed(pen, outline, 1.4, c.NAVY_LINE)


def _top(pen: Pen) -> None:
    outline = smooth(both(TOP_HALF), closed=True)
    pen.fill(outline, c.NAVY)
    with pen.inside(outline):
        pen.fill(
            smooth(both(((256, 286), (266, 276), (280, 230), (300, 240), (290, 340), (256, 340))), closed=True),
            c.NAVY_SHADE,
        )
        collar = smooth([*mirrored(((256, 249.5), (268, 246.5), (280, 239))), (268, 246.5), (280, 239)])
        pen.line(collar, 1.4, c.GOLD, taper(0, 0))
    edge = smooth([*mirrored(((256, 246), (268, 243), (279, 236))), (268, 243), (279, 236)])
    pen.line(edge, 1.3, c.NAVY_LINE, taper(0, 0))


def _jacket(pen: Pen, flip: bool) -> None:
    outline = _side(JACKET_HALF, flip)
    pen.fill(outline, c.CLOTH)
    with pen.inside(outline):
        shade: Points = ((336, 270), (316, 276), (308, 300), (306, 340), (300, 372), (306, 400), (310, 430), (336, 440))
        pen.fill(_side(shade, flip), c.CLOTH_SHADE)
        under: Points = ((262, 320, 1), (278, 312), (296, 290), (312, 268), (330, 256), (330, 230), (270, 230))
        pen.fill(_side(under, flip), c.CLOTH_SHADE)
        fold: Points = ((308, 338, 1), (294, 348), (280, 350, 1), (294, 353), (306, 352))
        pen.fill(_side(fold, flip), c.CLOTH_SHADE)
        fold2: Points = ((257, 380, 1), (268, 372), (284, 370, 1), (270, 378), (257, 390, 1))
        pen.fill(_side(fold2, flip), c.CLOTH_SHADE)
        pen.line(_side(((308, 338), (294, 347), (281, 350)), flip, False), 1.0, c.CLOTH_LINE, taper(0.05, 0.8))
        hem: Points = ((256, 438, 1), (290, 437), (330, 432, 1), (330, 460, 1), (256, 460, 1))
        pen.fill(_side(hem, flip), c.NAVY)
        for x in np.arange(259, 326, 4.0):
            pen.line(_side(((x, 438), (x + 0.4, 453)), flip, False), 0.8, c.NAVY_SHADE, taper(0.1, 0.1))
        pen.fill(_side(((308, 430, 1), (330, 430, 1), (330, 460, 1), (312, 460, 1)), flip), c.NAVY_SHADE, alpha=0.7)
        pen.line(_side(((257, 438), (290, 437), (324, 432)), flip, False), 1.2, c.NAVY_LINE, taper(0, 0))
        pen.fill(_side(((256, 318, 1), (261, 312, 1), (260.4, 440, 1), (256, 440, 1)), flip), c.CLOTH_DEEP, alpha=0.6)
    _closed(pen, outline, 1.3, c.CLOTH_LINE)


def _zip(pen: Pen) -> None:
    pen.line(smooth(((256, 320), (256, 453))), 3.0, c.ACCENT, taper(0, 0))
    pen.line(smooth(((256, 320), (256, 453))), 0.9, c.ACCENT_LINE, taper(0, 0))
    pull = smooth(((254.4, 321), (257.6, 321), (258.8, 333), (256, 336.5), (253.2, 333)), closed=True)
    pen.fill(pull, c.GOLD)
    _closed(pen, pull, 1.0, c.ACCENT_LINE)


def _sleeve(pen: Pen, flip: bool) -> None:
    cuff = _side(CUFF, flip)
    pen.fill(cuff, c.NAVY)
    with pen.inside(cuff):
        pen.fill(_side(((336, 420), (326, 412), (318, 398), (306, 400), (312, 430)), flip), c.NAVY_SHADE)
    _closed(pen, cuff, 1.3, c.NAVY_LINE)
    outline = _side(SLEEVE, flip)
    pen.fill(outline, c.CLOTH)
    with pen.inside(outline):
        shade: Points = (
            (300, 250), (316, 272), (330, 300), (341, 338), (344, 366), (350, 388), (342, 412), (300, 430), (300, 300),
        )  # fmt: skip
        pen.fill(_side(shade, flip), c.CLOTH_SHADE)
        elbow: Points = ((333, 358, 1), (346, 356), (358, 364, 1), (346, 363), (336, 372))
        pen.fill(_side(elbow, flip), c.CLOTH_DEEP)
        pen.fill(_side(((332, 378, 1), (348, 376), (362, 386, 1), (346, 384), (330, 392)), flip), c.CLOTH_DEEP)
        pen.fill(_side(((318, 396, 1), (334, 386), (352, 400, 1), (334, 421, 1)), flip), c.CLOTH_DEEP, alpha=0.6)
        _stripes(pen, flip, _side(shade, flip))
        pen.line(_side(((332, 357), (345, 355.5), (357, 363)), flip, False), 1.1, c.CLOTH_LINE, taper(0.02, 0.8))
        pen.line(_side(((331, 378), (347, 375.5), (361, 386)), flip, False), 1.1, c.CLOTH_LINE, taper(0.02, 0.8))
    pen.line(outline[20:], 1.4, c.CLOTH_LINE, taper(0.04, 0.06))


def _stripes(pen: Pen, flip: bool, shade: Array) -> None:
    """A navy band about the upper arm, and a thin one of the accent under it; darker in the shade."""
    for first, last, colour, dark in ((296, 312, c.NAVY, c.NAVY_SHADE), (316.5, 319.5, c.ACCENT, c.ACCENT_SHADE)):
        band: Points = (
            (310, first + 8, 1),
            (332, first + 3),
            (366, first - 7, 1),
            (370, last - 7, 1),
            (334, last + 3),
            (310, last + 8, 1),
        )
        pen.fill(_side(band, flip), colour)
        with pen.inside(shade):
            pen.fill(_side(band, flip), dark)


def _pocket(pen: Pen, flip: bool) -> None:
    outline = _side(POCKET, flip)
    pen.fill(outline, c.CLOTH)
    with pen.inside(outline):
        pen.fill(
            _side(((309, 391, 1), (303, 394, 1), (311, 412), (315, 438, 1), (326, 438, 1), (320, 410)), flip), c.ACCENT
        )
        pen.fill(_side(((300, 440), (306, 428), (290, 432), (266, 431), (262, 442)), flip), c.CLOTH_SHADE)
        pen.line(_side(((303, 394), (311, 412), (315, 438)), flip, False), 1.0, c.ACCENT_LINE, taper(0, 0))
    _closed(pen, outline, 1.2, c.CLOTH_LINE)


def _hood(pen: Pen, flip: bool) -> None:
    outline = _side(HOOD, flip)
    pen.fill(outline, c.CLOTH)
    with pen.inside(outline):
        shade: Points = ((330, 226), (314, 236), (300, 256), (284, 276), (272, 308), (290, 300), (330, 250))
        pen.fill(_side(shade, flip), c.CLOTH_SHADE)
        pen.fill(_side(((262, 206), (290, 204), (306, 210), (304, 224), (294, 232), (280, 222)), flip), c.CLOTH_SHADE)
        lining = _side(LINING, flip)
        pen.fill(lining, c.NAVY)
        with pen.inside(lining):
            pen.fill(
                _side(((266, 212), (280, 226), (284, 246), (281, 268), (276, 290), (270, 270), (268, 230)), flip),
                c.NAVY_SHADE,
            )
        pen.line(_side(LINING[:6], flip, False), 1.1, c.NAVY_LINE, taper(0.05, 0.05))
        pen.line(_side(((296, 262), (306, 246), (309, 232)), flip, False), 1.0, c.CLOTH_LINE, taper(0.1, 0.8))
    _closed(pen, outline, 1.4, c.CLOTH_LINE)
    _string(pen, flip)


def _string(pen: Pen, flip: bool) -> None:
    course: Points = ((283, 282), (281.5, 296), (283, 312), (282, 326))
    pen.line(_side(course, flip, False), 3.0, c.CLOTH_LINE, taper(0, 0))
    pen.line(_side(course, flip, False), 1.4, c.CLOTH, taper(0, 0))
    x = 282.0 if not flip else 512 - 282.0
    pen.fill(ellipse(x, 329, 2.9, 5.2, 3.0), c.ACCENT_LINE)
    pen.fill(ellipse(x, 329, 1.9, 4.2, 3.0), c.ACCENT)
    pen.fill(ellipse(283.5 if not flip else 512 - 283.5, 281, 2.4, 2.4), c.GOLD)
    _closed(pen, ellipse(283.5 if not flip else 512 - 283.5, 281, 2.4, 2.4), 0.9, c.ACCENT_LINE)


def _ribbon(pen: Pen) -> None:
    for flip in (False, True):
        tail = _side(((255, 257, 1), (263, 268), (267, 287, 1), (260.5, 284), (255, 289, 1), (257, 272)), flip)
        pen.fill(tail, c.ACCENT)
        with pen.inside(tail):
            pen.fill(_side(((254, 256), (259, 268), (258, 292), (252, 290)), flip), c.ACCENT_SHADE)
        _closed(pen, tail, 1.2, c.ACCENT_LINE)
    for flip in (False, True):
        loop = _side(
            ((257, 255, 1), (264, 247), (275, 243.5), (278.5, 250), (278, 262), (273.5, 266), (264, 262.5)), flip
        )
        pen.fill(loop, c.ACCENT)
        with pen.inside(loop):
            pen.fill(_side(((256, 256), (268, 257), (280, 256), (279, 270), (262, 266)), flip), c.ACCENT_SHADE)
            pen.line(_side(((259, 255.5), (266, 252), (271, 251.5)), flip, False), 1.0, c.ACCENT_LINE, taper(0.02, 0.8))
        _closed(pen, loop, 1.2, c.ACCENT_LINE)
    knot = ellipse(256, 256, 4.6, 4.9, 2.8)
    pen.fill(knot, c.ACCENT)
    with pen.inside(knot):
        pen.fill(ellipse(257, 259.5, 5, 3.4), c.ACCENT_SHADE)
    _closed(pen, knot, 1.2, c.ACCENT_LINE)
