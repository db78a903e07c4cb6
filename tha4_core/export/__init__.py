"""A student as one HTML file that moves by itself: in any browser with WebGPU, without a server.

modules    ES modules of web/js as one script
mediapipe  the user's files of MediaPipe, for a page with a webcam
page       the file: script, student, still, credits
"""

from .mediapipe import read_mediapipe
from .page import PageOptions, to_html

__all__ = ["PageOptions", "read_mediapipe", "to_html"]
