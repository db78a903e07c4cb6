"""What a file of timings says: a text between two times."""

from __future__ import annotations

from typing import NamedTuple

from .phonemes import Mouth


class Span(NamedTuple):
    """A text from `start` to `end` in seconds, and who speaks it.

    `phone` says that the text is the symbol of one sound, `mouth` is its mouth where the file itself gives one.
    """

    start: float
    end: float
    text: str
    speaker: str = ""
    phone: bool = False
    mouth: Mouth | None = None
