"""Measures of a silhouette: which pixels are the figure, what lies off it, its rim, its lean, how many heads it has.

Limits of size are pixels of the 512 frame. They were tried on the published characters, whole, damaged and turned.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from .fitting import Placement, place

Mask = NDArray[np.bool_]
Grey = NDArray[np.uint8]

FIGURE_SHARE = 0.15
"""A part apart from the largest is a figure of its own from this share of the largest one's area."""

_ALL_SIDES = np.ones((3, 3), bool)
_SMALLEST = 0.005  # of the frame: less is no figure
_OPAQUE = 128  # alpha from which a pixel belongs to an opaque figure
_FAINTEST = 16  # alpha of the faintest figure
_STRAND = 24  # soft ends of hair reach that far
_STRAND_EDGE = 3  # and fade out over that much
_NEAR = 8  # what is nearer to the figure is its edge
_WHITE, _BLACK = 225, 45  # of 255
_SHAPE_SIZE = 256  # pixels that a shape as such is looked at with


def visible_from(alpha: Grey) -> int | None:
    """The alpha from which a pixel of the frame belongs to the figure; None where nothing is visible.

    128, and half of what its pixels have for a figure that is translucent all over.
    """
    count = max(1, round(alpha.size * _SMALLEST))
    brightest = int(np.partition(alpha, alpha.size - count, axis=None)[alpha.size - count])
    return None if brightest < _FAINTEST else min(_OPAQUE, (brightest + 1) // 2)


def parts(visible: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The connected parts of a mask: a label for each pixel (0: none), and the area of each label (that of 0 is 0)."""
    labels, _ = ndimage.label(visible, _ALL_SIDES)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    return labels, areas


def figure_of(visible: Mask) -> Mask:
    """The figure: the largest part of what is visible, those nearly as large, and what enters from below."""
    labels, areas = parts(visible)
    kept = areas > FIGURE_SHARE * areas.max()
    kept[labels[-1]] = True
    kept[0] = False
    figure: Mask = kept[labels]
    return figure


def off_figure(picture: Image.Image, placement: Placement, alpha: Grey, figure: Mask) -> Mask:
    """The pixels of the frame off the figure where the picture's alpha is not 0, however little it is.

    `alpha` is the placed picture's. Soft strands that hang together with the figure belong to it.
    """
    # Resized as it is, alpha of 1 would vanish.
    mask = picture.getchannel("A").point(lambda value: 255 * (value > 0))
    anything = place(Image.merge("RGBA", [mask] * 4), placement).getchannel("A")
    unit = max(1.0, placement.scale)
    strands = ndimage.binary_dilation(
        figure, _ALL_SIDES, iterations=round(_STRAND * unit), mask=figure | (alpha >= _FAINTEST)
    )
    far = ndimage.distance_transform_edt(~figure) > _NEAR * unit
    edge = ndimage.binary_dilation(strands, _ALL_SIDES, iterations=round(_STRAND_EDGE * unit))
    found: Mask = (np.asarray(anything) > 0) & far & ~edge
    return found


def rim(pixels: Grey, figure: Mask, scale: float) -> str | None:
    """What kind of rim runs around the figure in RGBA `[512, 512, 4]`: "faint", "white", "black", or None.

    `scale` is that of the picture's placement: edges of enlarged pictures are softer.
    """
    unit = max(1.0, scale)
    outside, inside = (ndimage.distance_transform_edt(mask) / unit for mask in (~figure, figure))
    if _share(pixels[..., 3] > 0, (outside > 1.2) & (outside <= 2.2)) > 0.5:
        return "faint"
    darkest, brightest = pixels[..., :3].min(axis=-1), pixels[..., :3].max(axis=-1)
    depths = (inside > 1) & (inside <= 2), (inside > 2) & (inside <= 3), (inside > 9) & (inside <= 14)
    white, black = ([_share(colour, depth) for depth in depths] for colour in (darkest >= _WHITE, brightest <= _BLACK))
    if (white[0] > 0.7 and white[2] < white[0] - 0.4) or _is_fringe_white(pixels, darkest, outside, inside):
        return "white"
    # The first two pixels are the dark outline that most characters are drawn with.
    return "black" if black[1] > 0.7 and black[2] < 0.3 else None


def _is_fringe_white(pixels: Grey, darkest: Grey, outside: NDArray[np.float64], inside: NDArray[np.float64]) -> bool:
    """Whether the soft edge has the colour of a white background, on a figure that is not white beside it."""
    core = inside > 3
    if not core.any():
        return False
    rows, columns = ndimage.distance_transform_edt(~core, return_distances=False, return_indices=True)
    luminance = pixels[..., :3] @ np.array([0.3, 0.59, 0.11])
    edge = (pixels[..., 3] >= 10) & (pixels[..., 3] < 100) & (outside <= 3) & (luminance[rows, columns] < 200)
    return int(edge.sum()) >= 50 and _share(darkest >= 195, edge) > 0.55


def _share(mask: Mask, of: Mask) -> float:
    return float(mask[of].mean()) if of.any() else 0.0


def opacity(alpha: Grey, figure: Mask) -> float:
    """The alpha that most of the figure has, away from its edge, 0..1."""
    core = ndimage.distance_transform_edt(figure) > 4
    return float(np.median(alpha[core if core.any() else figure])) / 255


def lean(figure: Mask) -> float:
    """Degrees by which the figure's middle line leans, clockwise positive: the median slope, so one wing is no lean."""
    shape = _largest_bulk(figure)
    rows = np.flatnonzero(shape.any(axis=1))
    rows = rows[:: max(1, len(rows) // 40)]
    if len(rows) < 8:
        return 0.0
    middles = np.array([np.flatnonzero(shape[row]).mean() for row in rows])
    above, below = np.triu_indices(len(rows), len(rows) // 4)
    slopes = (middles[above] - middles[below]) / (rows[below] - rows[above])
    return math.degrees(math.atan(float(np.median(slopes))))


def heads(visible: Mask) -> int:
    """How many heads a picture's silhouette seems to have: two where it has exactly two broad tops, far apart.

    Three broad tops are rather a head between two wings, and count as one.
    """
    from scipy.signal import find_peaks, peak_widths

    shape = _largest_bulk(visible)
    height = np.where(shape.any(axis=0), len(shape) - shape.argmax(axis=0), 0)
    outline = np.pad(height, 1)
    deep = 0.25 * _SHAPE_SIZE
    peaks, _ = find_peaks(outline, prominence=deep)
    widths = peak_widths(outline, peaks, rel_height=0.9)[0]
    tops: list[int] = []
    for peak in peaks[(widths > 0.2 * _SHAPE_SIZE) & (outline[peaks] > 0.7 * height.max())]:
        # Without a valley between them two peaks are the two ends of one top.
        if not tops or outline[tops[-1] : peak].min() < min(outline[tops[-1]], outline[peak]) - deep:
            tops.append(int(peak))
    return 2 if len(tops) == 2 else 1


def _largest_bulk(mask: Mask) -> Mask:
    """The largest part of a shape, 256 pixels high or wide, without what is thin: arms, strands, ears, ribbons."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    cut = Image.fromarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = _SHAPE_SIZE / max(cut.size)
    size = (max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))
    shape = np.asarray(cut.convert("L").resize(size, Image.Resampling.BOX)) >= 128
    thick = 12
    # The body goes on below the picture's edge.
    shape = np.pad(np.pad(shape, ((thick + 1, 0), (thick + 1, thick + 1))), ((0, thick + 1), (0, 0)), mode="edge")
    core = ndimage.distance_transform_edt(shape) > thick
    if not core.any():
        return shape
    labels, areas = parts(ndimage.distance_transform_edt(~core) <= thick)
    largest: Mask = labels == areas.argmax()
    return largest
