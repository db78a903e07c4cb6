"""A character of our own and its rig: a teacher that needs no weights."""

from .rig import DemoRig, demo_character

__all__ = ["DemoRig", "demo_character"]
