"""SRT and WebVTT subtitles."""

from __future__ import annotations

import re

from ...errors import MotionError
from .. import reading
from . import left_out
from .spans import Span

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_CUE = re.compile(rf"{_TIME}\s*-->\s*{_TIME}[^\n]*")


def read(text: str, name: str) -> list[Span]:
    """The spans of the cues; a cue of several speakers is shared out by the lengths of their texts."""
    spans: list[Span] = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        if "-->" not in block:
            continue
        cue = _CUE.search(block)
        if cue is None:
            example = "00:00:01,000 --> 00:00:02,500"
            raise MotionError(f"{name}: {reading.shorten(block.strip())} has no times such as {example}.")
        start, end = _seconds(cue.groups()[:4]), _seconds(cue.groups()[4:])
        spans.extend(shared(start, end, left_out.by_speaker(block[cue.end() :])))
    return spans


def shared(start: float, end: float, parts: list[tuple[str, str]]) -> list[Span]:
    """One span for each run of lines of one speaker, as long as its text is; a silent span where there are no lines."""
    runs: list[list[str]] = []
    for speaker, text in parts:
        if runs and runs[-1][0] == speaker:
            runs[-1][1] += " " + text
        else:
            runs.append([speaker, text])
    whole = sum(len(text) for _, text in runs)
    spans: list[Span] = []
    for speaker, text in runs:
        until = start + (end - start) * len(text) / whole
        spans.append(Span(start, until, text, speaker))
        whole, start = whole - len(text), until
    return spans or [Span(start, end, "")]


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    return float(hours or 0) * 3600 + float(minutes or 0) * 60 + float(seconds or 0) + float("0." + (fraction or "0"))
