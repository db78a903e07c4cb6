"""Pictures: model space and colour, warping, characters, fitting into the frame, and what is wrong with a picture."""

from PIL import Image

from .character import Character
from .diagnosis import Finding, diagnose
from .fitting import Placement, auto_fit

__all__ = ["Character", "Finding", "Placement", "fit"]


def fit(picture: Image.Image) -> tuple[Placement, list[Finding]]:
    """Where an RGBA picture of any size should lie in the 512 frame, and what is wrong or uncertain when it lies so."""
    placement = auto_fit(picture).placement
    return placement, diagnose(picture, placement)
