"""Poses over time: key poses, expressions, idle motion, lip sync, tracked faces, recorded motions.

Every generator is a pure function of time: any frame can be computed alone, and another frame rate gives the same
motion. All of them end in `Poses` (float32 `[N, 45]` and frames per second).
"""

from .formats import load

__all__ = ["load"]
