"""Recordings of tracked faces in any of the formats that are read: iFacialMocap, Live Link Face, MediaPipe."""

from __future__ import annotations

from pathlib import Path

from ...errors import MotionError
from .. import reading, timeline
from . import ifacialmocap, live_link, mediapipe
from .face import TrackedFace

SUFFIXES = (".json", ".jsonl", ".csv", ".txt", ".log")
"""What names of recordings end in, for lists of files. What a file is, is detected by its content."""


def load(path: Path | str, fps: float | None = None) -> TrackedFace:
    """The tracked face in a file, with notes on what was left out or is missing.

    `fps` is its rate where it has no times (by default what its app sends at). Raises MotionError, naming the file and
    the line or frame, where it cannot be read.
    """
    return parse(reading.read_text(path), Path(path).name, fps)


def parse(text: str, name: str = "The recording", fps: float | None = None) -> TrackedFace:
    """The tracked face in the text of a recording of any of the kinds, detected by how it begins."""
    if fps is not None:
        timeline.check_fps(fps)
    if is_json(text):
        return mediapipe.parse(text, name, fps)
    if is_live_link(text):
        return live_link.parse(text, name, fps)
    if is_ifacialmocap(text):
        return ifacialmocap.parse(text, name, fps or ifacialmocap.ASSUMED_FPS)
    raise MotionError(f"{name} is none of: an iFacialMocap log, a Live Link Face CSV, a MediaPipe JSON.")


def is_json(text: str) -> bool:
    """Whether a text begins as JSON does."""
    return text[:1000].lstrip()[:1] in ("{", "[")


def is_live_link(text: str) -> bool:
    """Whether a text begins as a Live Link Face CSV does."""
    return "timecode" in text[:1000].lstrip()[:200].lower()


def is_ifacialmocap(text: str) -> bool:
    """Whether a text looks like an iFacialMocap log."""
    return "|" in text[:20_000]
