"""A student as one HTML file that moves by itself: in any browser with WebGPU, without a server.

modules  ES modules of web/js as one script
page     the file: script, student, still, credits
"""

from .page import PageOptions, to_html

__all__ = ["PageOptions", "to_html"]
