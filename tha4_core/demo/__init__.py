"""A character of our own: her rig (a teacher that needs no weights), her student, a motion and a recording to try.

rig         the teacher: everything that `Teacher` offers for one character
expression  the face: brows, eyes, mouth (shapes: their curves)
motion      how the layers move
layers      the layers as textures, and their files
art         the drawing itself: what the layers were made with
head_training  made-up characters of every look, and the training of `picture.head_finder` on them
"""

from pathlib import Path

from .rig import DemoRig, demo_character

DEMO_STUDENT = Path(__file__).with_name("student.safetensors")
"""The character's student, distilled from the rig; what it was made from and its scores are in its metadata."""
MOTION = Path(__file__).with_name("motion.json")
"""Two seconds of poses."""
RECORDING = Path(__file__).with_name("recording.txt")
"""Six seconds of a face as iFacialMocap would log them; made up, no real person's."""

__all__ = ["DEMO_STUDENT", "MOTION", "RECORDING", "DemoRig", "demo_character"]
