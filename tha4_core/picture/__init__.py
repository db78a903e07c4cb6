"""Pictures: model space and colour, warping, characters, fitting into the frame, and what is wrong with a picture."""

from .character import Character

__all__ = ["Character"]
