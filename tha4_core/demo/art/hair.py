"""The character's hair: what hangs behind the head, the locks beside the face, and dome and bangs before it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from . import palette as c
from .pen import Array, Pen, Points, along, both, mirrored, offset, smooth, taper

BACK_HALF: Points = (
    (256, 84), (284, 88), (304, 102), (316, 124), (322.5, 146), (326.5, 170), (331, 192), (340, 209), (357, 220, 1),
    (344, 223), (335, 219.5, 1), (339, 233), (349, 246, 1), (331, 244), (320, 234, 1), (321, 248), (326, 261, 1),
    (309, 252), (300, 237, 1), (297, 247), (294, 256, 1), (282, 244), (270, 238), (256, 238),
)  # fmt: skip

DOME_TOP: Points = (
    (192.5, 146),
    (190, 124),
    (196, 98),
    (211, 75),
    (233, 61),
    (258, 56.5),
    (282, 60),
    (303, 74),
    (317, 97),
    (322.5, 123),
    (320.5, 146),
)

# From the viewer's right to the left; a third number marks tips and notches.
BANGS_EDGE: Points = (
    (320.5, 146), (319.5, 160), (313.5, 174, 1), (313, 158), (309.5, 140), (307.5, 126, 1),
    (307, 142), (305, 151), (303, 158, 1), (301, 144), (298, 127), (295.5, 114, 1),
    (296, 128), (293, 139, 1), (284, 130), (275, 115), (270, 100, 1),
    (270.5, 118), (269.5, 123), (267, 129, 1), (262.5, 121), (259.5, 109, 1),
    (262.5, 125), (263, 137), (260.5, 149, 1), (251, 138), (245.5, 119), (244, 102.5, 1),
    (242, 119), (237, 128), (229.5, 136, 1), (225.5, 128), (223.5, 117), (222.5, 107, 1),
    (220.5, 122), (215.5, 132), (209.5, 140.5, 1), (209.5, 129), (211.5, 116, 1),
    (210.5, 137), (206, 150), (203, 164, 1), (199.5, 152), (199, 137), (200, 125, 1),
    (197.5, 148), (199, 164), (202, 177, 1), (194, 163), (192.5, 146),
)  # fmt: skip

# Strands go on from the notches of the bangs up to the parting; the number is how far the shade reaches into the lock.
STRANDS: tuple[tuple[Points, float], ...] = (
    (((307.5, 126), (307, 114), (298, 92), (284, 76)), 0.35),
    (((295.5, 114), (292.5, 103), (284, 86), (272, 74)), 0.5),
    (((270, 100), (268.5, 93), (266, 81), (263, 70)), 0.45),
    (((259.5, 109), (258.5, 103), (259, 94), (260, 88)), 0.3),
    (((244, 102.5), (244.5, 94), (249.5, 80), (258, 67)), 0.55),
    (((222.5, 107), (225, 98), (234, 82), (250, 68)), 0.45),
    (((211.5, 116), (213.5, 108), (219, 96), (226, 88)), 0.35),
    (((200, 125), (201, 112), (210, 91), (228, 74)), 0.4),
)
WISPS: tuple[Points, ...] = (
    ((234, 126), (233, 112), (238, 96)),
    ((283, 122), (280, 108), (275, 95)),
    ((254, 132), (251, 118), (251, 104)),
    ((316, 150), (316, 130), (311, 112)),
    ((205, 142), (206, 128), (210, 114)),
)


DOME_SHADE: Points = ((322.5, 106, 1), (328, 150), (312, 172), (314, 150), (317, 130), (319.5, 117))
CROWN: tuple[Points, ...] = (
    ((243, 62), (228, 70), (215, 84)),
    ((272, 61), (288, 69), (301, 84)),
    ((252, 61), (240, 70), (230, 82)),
    ((264, 61), (272, 68), (279, 78)),
)


def lock(points: Points, widths: Points) -> Array:
    """A closed outline about a centre line; `widths` are (place along it 0..1, half width)."""
    centre = smooth(points)
    places = along(centre)
    half = np.interp(places, [w[0] for w in widths], [w[1] for w in widths])
    kernel = np.hanning(15) / np.hanning(15).sum()
    half = np.convolve(np.pad(half, 7, mode="edge"), kernel, mode="valid") * np.clip((1 - places) * 14, 0, 1) ** 0.6
    return np.concatenate([offset(centre, half), offset(centre, -half)[::-1]])


BACK_SHADE: Points = (
    (256, 60), (306, 80), (313, 120), (314, 170), (314, 200), (322, 215), (328, 232), (316, 228), (311, 252),
    (300, 232), (256, 250),
)  # fmt: skip
BACK_DEEP: Points = (
    (256, 60), (300, 90), (303, 170), (300, 200), (303, 224), (296, 220), (290, 240), (280, 226), (256, 232),
)  # fmt: skip
BACK_STRANDS: tuple[Points, ...] = (
    ((335, 219.5), (329, 206), (324, 180)),
    ((320, 234), (315, 214), (312, 190)),
    ((300, 237), (297, 220), (298, 200)),
    ((345, 217), (334, 206), (327, 186)),
)


def back_hair(pen: Pen) -> None:
    """Everything behind the neck: in the second tone, darker towards the neck."""
    outline = smooth(both(BACK_HALF), closed=True)
    pen.fill(outline, c.HAIR)
    with pen.inside(outline):
        pen.fill(smooth(both(BACK_SHADE), closed=True), c.HAIR_SHADE)
        pen.fill(smooth(both(BACK_DEEP), closed=True), c.HAIR_DEEP)
        for strand in BACK_STRANDS:
            for line in (strand, mirrored(strand)[::-1]):
                pen.line(smooth(line), 1.1, c.HAIR_LINE, taper(0, 0.9))
    pen.line(np.concatenate([outline, outline[:8]]), 1.25, c.HAIR_LINE, taper(0, 0))


SIDE: tuple[tuple[Points, Points], ...] = (
    (((311, 122), (316, 150), (317, 178), (313, 202), (315, 222)), ((0, 6), (0.35, 7), (0.7, 5.5), (1, 0))),
    (
        ((304, 112), (308, 140), (307, 172), (302.5, 203), (303.5, 232), (310, 262)),
        ((0, 8), (0.3, 8), (0.5, 8), (0.75, 6.2), (0.9, 3), (1, 0)),
    ),
)


def side_hair(pen: Pen) -> None:
    """The two long locks on either side of the face."""
    for flip in (False, True):
        for points, widths in SIDE:
            course = mirrored(points)[::-1] if flip else points
            _lock(pen, lock(course, widths), course, flip)


def _lock(pen: Pen, shape: Array, points: Points, flip: bool) -> None:
    pen.fill(shape, c.HAIR)
    centre = smooth(points)
    with pen.inside(shape):
        sign = -1 if not flip else 1
        wide = 12.0
        inner = offset(centre, sign * (0.5 + 2.5 * np.cos(along(centre) * 6)))
        pen.fill(np.concatenate([inner, offset(centre, sign * wide)[::-1]]), c.HAIR_SHADE)
        pen.line(offset(centre, -sign * (1.0 + 2.5 * along(centre)))[30:], 1.0, c.HAIR_LINE, taper(0.6, 0.35))
    half = len(shape) // 2
    for edge in (shape[:half], shape[half:][::-1]):
        pen.line(edge, 1.25, c.HAIR_LINE, taper(0.3, 0.05))


def front_hair(pen: Pen) -> None:
    """Dome and bangs, with a band of light across them."""
    top, outline = smooth(DOME_TOP), bangs_outline()
    ahoge(pen)
    pen.fill(outline, c.HAIR)
    with pen.inside(outline):
        _shade_bangs(pen)
        for flip in (False, True):
            pen.fill(smooth(mirrored(DOME_SHADE) if flip else DOME_SHADE, closed=True), c.HAIR_SHADE)
        _light(pen)
        for strand in CROWN:
            pen.line(smooth(strand), 0.9, c.HAIR_LINE, taper(0.5, 0.5), alpha=0.75)
        for strand, _ in STRANDS:
            pen.line(smooth(strand), 1.15, c.HAIR_LINE, taper(0, 0.9))
        for wisp in WISPS:
            pen.line(smooth(wisp), 0.8, c.HAIR_LINE, taper(0.4, 0.6), alpha=0.8)
    pen.line(top, 1.4, c.HAIR_LINE, taper(0.08, 0.08))
    for piece in _edges(BANGS_EDGE):
        pen.line(piece, 1.25, c.HAIR_LINE, taper(0.03, 0.03, 0.5))
    clip(pen)


def bangs_outline() -> Array:
    """Dome and bangs as one closed outline."""
    return np.concatenate([smooth(DOME_TOP), smooth(BANGS_EDGE)])


def _edges(points: Points) -> list[Array]:
    """The edge of the bangs cut at its corners, so that each line tapers at tips and notches."""
    cuts = [0, *(i for i, p in enumerate(points) if len(p) > 2), len(points) - 1]
    return [smooth(points[a : b + 1]) for a, b in pairwise(cuts)]


def _shade_bangs(pen: Pen) -> None:
    """The second tone: in each lock along the strand that parts it from its neighbour, from its tip up."""
    corners = [p for p in BANGS_EDGE if len(p) > 2]
    for strand, reach in STRANDS:
        place = next(i for i, p in enumerate(corners) if p[:2] == strand[0])
        tip = np.array(corners[place + 1 if strand[0][0] > 258 else place - 1][:2])
        across = np.sign(tip[0] - strand[0][0])
        up = smooth(strand)[:48]
        width = reach * (abs(tip[0] - strand[0][0]) + 3)
        inner = up[::-1] + np.stack(
            [across * width * np.sin(np.linspace(0, np.pi / 2, 48)) ** 0.8, np.linspace(0, 4, 48)], axis=1
        )
        pen.fill(np.concatenate([up, inner, _between(inner[-1], tip), up[:1]]), c.HAIR_SHADE)


def _between(start: Array, tip: Array) -> Array:
    t = np.linspace(0, 1, 12)[:, None]
    return np.asarray(start * (1 - t) + tip * t)


RING: Points = ((195, 114), (210, 96), (233, 85), (258, 81.5), (283, 85), (304, 96), (318, 114))
RING_ENDS = (0.1, 0.91)
RING_DEPTH = (3.5, 7.5)


def _light(pen: Pen) -> None:
    """The ring of light: patches that follow the dome from strand to strand, rounded above, in two teeth below."""
    ring = smooth(RING, steps=40)
    gaps = [np.linalg.norm(ring[:, None] - smooth(strand)[None], axis=2).min(axis=1) for strand, _ in STRANDS]
    crossings = [int(gap.argmin()) for gap in gaps if gap.min() < 1.5]
    first, last = (int(end * len(ring)) for end in RING_ENDS)
    cuts = sorted({first, last, *(i for i in crossings if first + 8 < i < last - 8)})
    for start, end in pairwise(cuts):
        if end - start < 12:
            continue
        edge = ring[start + 2 : end - 1]
        t = np.linspace(0, 1, len(edge))
        nearness = 1 - ((start + end) / len(ring) - 1) ** 2
        belly = np.sin(np.pi * t) ** 0.45 * (0.78 + 0.22 * np.cos(4 * np.pi * (t - 0.3)))
        lower = offset(edge, -(RING_DEPTH[0] + RING_DEPTH[1] * nearness) * belly)
        upper = offset(edge, 1.6 * np.sin(np.pi * t) ** 0.6)
        pen.fill(np.concatenate([upper, lower[::-1]]), c.HAIR_LIGHT, alpha=0.72)


def clip(pen: Pen) -> None:
    """Two bars and a star that hold the bangs on the character's left."""
    for shift in (0.0, 6.2):
        bar = smooth(
            ((284 + shift * 0.18, 105 + shift), (295 + shift * 0.18, 104 + shift), (306 + shift * 0.1, 107 + shift))
        )
        pen.line(bar, 4.6, c.ACCENT_LINE, taper(0.06, 0.06, 0.4))
        pen.line(bar, 2.8, c.ACCENT, taper(0.1, 0.1, 0.4))
        pen.line(bar - np.array([0, 0.6]), 0.9, "#ffc38f", taper(0.3, 0.3))
    angles = np.deg2rad(np.arange(10) * 36 - 90 + 12)
    radii = np.where(np.arange(10) % 2 == 0, 8.6, 4.6)
    star = smooth([(304 + r * np.cos(a), 100 + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)], closed=True)
    pen.fill(star, c.GOLD)
    with pen.inside(star):
        pen.fill(star + np.array([2.6, 3.4]), "#f5a73e")
        pen.radial(301.8, 97.2, 2.6, 2.2, ((0, "#ffffff"), (1, "#ffffff")), (0.95, 0.0))
    pen.line(np.concatenate([star, star[:4]]), 1.2, c.ACCENT_LINE, taper(0, 0))


AHOGE: Points = ((255.5, 61, 1), (252.5, 50), (258, 40.5), (271, 36, 1), (263.5, 42.5), (261, 50), (264, 61, 1))


def ahoge(pen: Pen) -> None:
    """The strand that stands up from the crown."""
    outline = smooth(AHOGE, closed=True)
    pen.fill(outline, c.HAIR)
    with pen.inside(outline):
        pen.fill(outline + np.array([3.4, 2.0]), c.HAIR_SHADE)
    for piece in (outline[:60], outline[60:120]):
        pen.line(piece, 1.25, c.HAIR_LINE, taper(0.05, 0.05))
