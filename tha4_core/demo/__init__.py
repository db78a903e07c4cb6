"""A character of our own and its rig, a teacher that needs no weights; a motion and a recording to try things with."""

from pathlib import Path

from .rig import DemoRig, demo_character

MOTION = Path(__file__).with_name("motion.json")
"""Two seconds of poses."""
RECORDING = Path(__file__).with_name("recording.txt")
"""Six seconds of a face as iFacialMocap would log them; made up, nobody's."""

__all__ = ["MOTION", "RECORDING", "DemoRig", "demo_character"]
