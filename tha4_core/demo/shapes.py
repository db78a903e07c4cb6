"""The curves of the demo's face: lids, lashes, brows and mouth at rest and in every shape that a parameter asks for.

Pixels of the character image. An eye's and a brow's curves are written for the character's left (on the viewer's
right): a row, or a thickness, at each of some distances outward from the eye's middle. The other side is their mirror
image. A mouth's curves are rows at places from -1, its corner at the viewer's left, to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Curve = tuple[float, ...]

EYE_MIDDLE = 25.0
"""Distance of an eye's middle from the character's middle."""
IRIS_ROW = 149.5

# The inner corner lies at -13.5, the outer one at 15.5, the end of the lashes at 21.5.
EYE_PLACES: Curve = (-15, -13.5, -11, -7, -1, 5, 10, 13.5, 15.5, 17.5, 21.5)


@dataclass(frozen=True)
class Lids:
    """Rows of the upper lid's edge, thickness of its lashes, rows of the lower lid's edge, at `EYE_PLACES`."""

    upper: Curve
    lash: Curve
    lower: Curve


OPEN = Lids(
    (151.4, 150.9, 145.6, 140.6, 137.6, 137.4, 139.8, 144.6, 149, 147.6, 143.2),
    (0, 0.5, 1.7, 2.7, 3.4, 3.8, 4.4, 5.3, 6.2, 3.4, 0),
    (151.4, 151.2, 155.4, 159.6, 162, 161.8, 158.9, 154, 149, 147.6, 143.2),
)
CLOSED: Curve = (153, 154, 156.6, 159.2, 160.8, 160.2, 158, 155.4, 153.6, 152.2, 149.6)
SMILING: Curve = (158.6, 157, 154, 150.6, 148.4, 148.8, 151.6, 155, 157.2, 159, 161)
LIDS: dict[str, Lids] = {
    "eye_wink": Lids(CLOSED, (0, 0.9, 1.6, 2.3, 2.7, 3.0, 3.2, 3.2, 2.9, 2.1, 0), CLOSED),
    "eye_happy_wink": Lids(SMILING, (0, 1.1, 1.9, 2.6, 2.9, 3.1, 3.0, 2.6, 2.1, 1.3, 0), SMILING),
    "eye_surprised": Lids(
        (150.6, 149.6, 142.4, 136.8, 133.2, 133.2, 136.2, 142, 148.2, 146.4, 141),
        (0, 0.8, 1.5, 2.1, 2.6, 2.9, 3.5, 4.4, 5.4, 3.2, 0),
        (150.6, 150.8, 156.8, 161.8, 164.6, 164.4, 161, 155.2, 148.2, 146.4, 141),
    ),
    "eye_relaxed": Lids(
        (151.8, 151.6, 148.8, 146.6, 145.6, 146.4, 148.8, 151.2, 152.6, 151.6, 148.8),
        (0, 0.9, 1.7, 2.6, 3.1, 3.4, 3.8, 4.2, 4.4, 2.8, 0),
        (151.8, 151.8, 155.4, 159, 161, 160.8, 158.4, 155, 152.6, 151.6, 148.8),
    ),
    "eye_unimpressed": Lids(
        (150.2, 149.8, 148.2, 147.2, 146.8, 146.8, 147.2, 148.2, 149.6, 148.2, 145.6),
        (0, 1.2, 2.2, 2.9, 3.2, 3.4, 3.7, 4.0, 4.0, 2.6, 0),
        (150.2, 150.2, 154.6, 158.6, 161, 160.8, 158, 153.6, 149.6, 148.2, 145.6),
    ),
    "eye_raised_lower_eyelid": Lids(
        OPEN.upper, OPEN.lash, (151, 150.8, 152.8, 154.8, 155.8, 155.6, 154.2, 151.8, 149, 147.6, 143.2)
    ),
}
LOWER_LASH: Curve = (0, 0, 0.5, 0.8, 1.0, 1.3, 1.7, 1.9, 0, 0, 0)

BROW_PLACES: Curve = (-16, -15, -8, 0, 8, 14, 17.5)
BROW: Curve = (125.4, 125.2, 123.8, 122.8, 123.4, 125.6, 127.6)
BROW_WIDTH: Curve = (0, 2.1, 3.2, 3.4, 2.9, 1.6, 0)
BROWS: dict[str, Curve] = {
    # how far down each place of the brow goes
    "eyebrow_troubled": (-6.6, -6.4, -3.8, -0.2, 3.4, 5.4, 6.0),
    "eyebrow_angry": (6.6, 6.4, 3.8, 0.4, -2.2, -3.2, -3.4),
    "eyebrow_lowered": (4.4, 4.4, 4.3, 4.2, 4.0, 3.8, 3.6),
    "eyebrow_raised": (-4.6, -4.8, -5.8, -6.4, -6.2, -5.2, -4.6),
    "eyebrow_happy": (-0.4, -0.6, -3.2, -4.8, -4.2, -1.8, -0.4),
    "eyebrow_serious": (4.6, 4.6, 4.0, 3.0, 1.2, -0.4, -1.2),
}


@dataclass(frozen=True)
class Mouth:
    """Half a mouth's width, rows of its edges at `MOUTH_PLACES` (mirrored for -1..0), rows of teeth and tongue."""

    half_width: float
    top: Curve
    bottom: Curve
    teeth: float
    tongue: float


MOUTH_PLACES: Curve = (0, 0.2, 0.45, 0.7, 0.85, 0.94, 1)
SHUT: Curve = (177.0, 177.2, 177.1, 176.4, 175.9, 175.5, 175.2)
MOUTHS: dict[str, Mouth] = {
    "": Mouth(8.2, SHUT, SHUT, 0.0, 0.0),
    "mouth_aaa": Mouth(
        10.4,
        (173.6, 173.5, 173.2, 173.2, 173.4, 173.7, 174.2),
        (188.0, 187.7, 186.2, 183.0, 180.0, 177.4, 174.2),
        3.0,
        6.4,
    ),
    "mouth_iii": Mouth(
        11.0,
        (175.4, 175.3, 175.0, 174.8, 174.7, 174.7, 174.8),
        (181.6, 181.5, 180.8, 179.4, 177.9, 176.5, 174.8),
        4.6,
        0.0,
    ),
    "mouth_uuu": Mouth(
        4.8,
        (174.6, 174.7, 175.0, 175.6, 176.3, 176.9, 177.7),
        (181.4, 181.3, 181.0, 180.2, 179.4, 178.6, 177.7),
        0.0,
        2.2,
    ),
    "mouth_eee": Mouth(
        9.4,
        (174.5, 174.4, 174.3, 174.4, 174.6, 174.8, 175.2),
        (183.6, 183.5, 183.0, 181.8, 180.2, 178.2, 175.2),
        3.0,
        3.6,
    ),
    "mouth_ooo": Mouth(
        6.2,
        (171.8, 171.9, 172.6, 174.0, 175.4, 176.6, 178.4),
        (186.2, 186.0, 185.1, 183.4, 181.7, 180.3, 178.4),
        0.0,
        4.8,
    ),
    "mouth_delta": Mouth(
        8.4,
        (172.8, 173.5, 175.6, 178.0, 179.6, 180.7, 181.8),
        (184.0, 184.0, 183.9, 183.6, 183.2, 182.7, 181.8),
        0.0,
        4.0,
    ),
}


def sample(places: Curve, values: Curve, at: Tensor) -> Tensor:
    """The smooth curve through the values (monotone cubic of Fritsch and Butland), level beyond its ends."""
    x = torch.tensor(places, dtype=torch.float64)
    y = torch.tensor(values, dtype=torch.float64)
    width, slope = x.diff(), y.diff() / x.diff()
    product, total = slope[:-1] * slope[1:], slope[:-1] + slope[1:]
    harmonic = torch.where(product > 0, 2 * product / torch.where(product > 0, total, 1.0), 0.0)
    tangent = torch.cat([slope[:1], harmonic, slope[-1:]])
    at = at.double().clamp(places[0], places[-1])
    i = torch.searchsorted(x, at, right=True).clamp(1, len(x) - 1) - 1
    t = (at - x[i]) / width[i]
    near = (2 * t**3 - 3 * t**2 + 1) * y[i] + (t**3 - 2 * t**2 + t) * width[i] * tangent[i]
    far = (3 * t**2 - 2 * t**3) * y[i + 1] + (t**3 - t**2) * width[i] * tangent[i + 1]
    return (near + far).float()
