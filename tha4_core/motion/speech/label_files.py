"""Lines of labels: HTK's, HTS's full-context ones, Audacity's, `TIME SYMBOL`, and the TSV of Rhubarb and Whisper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ...errors import MotionError
from .. import reading
from . import left_out, subtitles
from .phonemes import RHUBARB
from .spans import Span

_LAST_SECONDS = 0.2
"""How long the last sound lasts where nothing says when it ends."""
_HTK_UNIT = 1e-7
_NUMBER = re.compile(r"[-+]?[0-9]*[.,]?[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
# In a full-context or a triphone label the phone stands between - and +.
_CONTEXT = re.compile(r"-([^-+\s]+)\+")
_WHISPER_HEADER = re.compile(r"start\tend\ttext\s*", re.IGNORECASE)
_RHUBARB_CUE = re.compile(r'<mouthCue\s+start="([^"]{1,20})"\s+end="([^"]{1,20})"\s*>\s*([A-HX])\s*</mouthCue>')


class _Row(NamedTuple):
    times: list[float]
    label: str


def read(text: str, name: str) -> tuple[list[Span], list[str]]:
    """The spans of lines of labels, and notes. Raises MotionError, naming the line, for what is none."""
    lines = text.splitlines()
    if _WHISPER_HEADER.match(text.lstrip()):
        return _whisper(lines, name), []
    rows = _rows(lines, name)
    if any(_CONTEXT.search(row.label) for row in rows):
        phones = [row._replace(label=_phone(row.label)) for row in rows]
        return _spans(phones, _HTK_UNIT, phone=True), []
    symbols = {row.label for row in rows}
    if symbols <= RHUBARB.keys() and symbols & set("BCDFGHX"):
        spans = [span._replace(mouth=RHUBARB[span.text]) for span in _spans(rows, 1.0, phone=True)]
        return spans, ["The letters A to H and X are read as Rhubarb's mouth shapes, not as sounds."]
    spectral = sum(line.startswith("\\") for line in lines)
    notes = [f"{spectral} lines with ranges of frequency left out."] if spectral else []
    return _spans(rows, _HTK_UNIT if _counts_100_ns(rows) else 1.0), notes


def rhubarb_xml(text: str, name: str) -> list[Span]:
    """The spans of Rhubarb's XML. Raises MotionError for other XML, and for cues that cannot be read."""
    cues = _RHUBARB_CUE.findall(text)
    if len(cues) != text.count("<mouthCue ") or "<rhubarbResult" not in text:
        raise MotionError(f'{name}: expected <rhubarbResult> with cues <mouthCue start="0.0" end="0.1">A</mouthCue>.')
    what = f"{name}: the time of a mouthCue"
    return [
        Span(reading.parse_number(start, what), reading.parse_number(end, what), shape, mouth=RHUBARB[shape])
        for start, end, shape in cues
    ]


def _rows(lines: Sequence[str], name: str) -> list[_Row]:
    rows: list[_Row] = []
    for number, line in enumerate(lines, start=1):
        plain = line.strip()
        words = (plain if plain.endswith("#") else re.split(r"(?:^|\s)#", plain)[0]).split()
        if not words or line.startswith("\\"):
            continue
        times = 2 if len(words) > 2 and _NUMBER.fullmatch(words[1]) else 1
        if len(words) < times or not _NUMBER.fullmatch(words[0]):
            raise MotionError(
                f"{name}, line {number}: expected TIME SYMBOL or START END SYMBOL, not {reading.shorten(line)}."
            )
        where = f"{name}, line {number}: the time"
        numbers = [reading.parse_number(word.replace(",", "."), where) for word in words[:times]]
        rows.append(_Row(numbers, " ".join(_without_scores(words[times:]))))
    return rows


def _without_scores(words: list[str]) -> list[str]:
    """A label without the likelihoods that HTK writes after it."""
    return words[:1] if all(re.fullmatch(r"-?\d+\.\d+", word) for word in words[1:]) else words


def _whisper(lines: Sequence[str], name: str) -> list[Span]:
    """Whisper's TSV: after a line of titles, the start and the end in milliseconds and a text."""
    spans: list[Span] = []
    for number, line in enumerate(lines, start=1):
        parts = [part.strip() for part in line.strip().split("\t", 2)]
        if parts == [""] or _WHISPER_HEADER.fullmatch(line.strip()):
            continue
        where = f"{name}, line {number}"
        if len(parts) < 2:
            raise MotionError(f"{where}: expected START, END and TEXT with tabs between, not {reading.shorten(line)}.")
        start, end = (reading.parse_number(part, f"{where}: the time") / 1000 for part in parts[:2])
        spans.extend(subtitles.shared(start, end, left_out.by_speaker("".join(parts[2:]))))
    return spans


def _phone(label: str) -> str:
    found = _CONTEXT.search(label)
    return found[1] if found else label.split(" ")[0]


def _counts_100_ns(rows: Sequence[_Row]) -> bool:
    """HTK counts in units of 100 ns: whole numbers, and a hundredth of a second is 100,000 of them already."""
    times = [time for row in rows for time in row.times]
    return all(time == int(time) for time in times) and any(time >= 100_000 for time in times)


def _spans(rows: Sequence[_Row], unit: float, phone: bool = False) -> list[Span]:
    """Spans of rows; without an end, or with one that is the start (Audacity's points), a sound lasts to the next."""
    spans: list[Span] = []
    points = all(row.times[0] == row.times[-1] for row in rows)
    for i, row in enumerate(rows):
        start = row.times[0] * unit
        end = row.times[-1] * unit
        if points:
            end = rows[i + 1].times[0] * unit if i + 1 < len(rows) else start + _LAST_SECONDS
        spans.append(Span(start, end, row.label, phone=phone))
    return spans
