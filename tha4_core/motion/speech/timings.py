"""The times of spoken sounds, from the files that tools write, detected by how they look.

Lines of `TIME SYMBOL` or `START END SYMBOL` (HTK, HTS full-context and Audacity labels, Rhubarb's and Whisper's TSV),
SRT and WebVTT subtitles, Praat TextGrids, Rhubarb's XML, and JSON of Rhubarb, VOICEVOX and Whisper.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import MotionError
from .. import reading, timeline
from . import label_files, left_out, phonemes, speech_json, subtitles, text_grid
from .phonemes import Phoneme
from .spans import Span

SUFFIXES = (".txt", ".lab", ".tsv", ".json", ".xml", ".srt", ".vtt", ".TextGrid")

_MAX_CHARACTERS = 20_000_000
_MOST_NAMED = 8  # of what was left out
_LONGEST_NAMED = 40


class Timings(NamedTuple):
    """The sounds of a file in its order, and in sentences what was left out of it."""

    phonemes: list[Phoneme]
    notes: tuple[str, ...]


def load(path: Path | str, speaker: str = "") -> Timings:
    """The sounds in a file; see `parse`. Raises MotionError, naming the file and the place, where it cannot be read."""
    return parse(reading.read_text(path), Path(path).name, speaker)


def parse(text: str, name: str = "The text", speaker: str = "") -> Timings:
    """The sounds in a text of any of the formats, all of them or those of one speaker.

    `speaker` is the name, or a part of it, of a speaker or of a TextGrid's tier. Without it a TextGrid's first tier of
    sounds is read, and all speakers of other formats. Raises MotionError where the text cannot be read, has no sounds,
    or has no such speaker.
    """
    if len(text) > _MAX_CHARACTERS:
        raise MotionError(f"{name} has {len(text):,} characters; at most {_MAX_CHARACTERS:,} are read.")
    text = text.removeprefix("\ufeff")
    start = text[:2000].lstrip()
    if "ooTextFile" in start[:200] or "TextGrid" in start[:200]:
        spans, notes = text_grid.read(text, name, speaker.strip())
    else:
        spans, notes = _read(text, start, name)
        spans, more = _choose(spans, name, speaker.strip())
        notes = [*notes, *more]
    if not spans:
        raise MotionError(f"{name} has no sounds in it.")
    found, more = _speak(spans, name)
    return Timings(found, (*notes, *more))


def _read(text: str, start: str, name: str) -> tuple[list[Span], list[str]]:
    if start.startswith("{") or re.match(r"\[\s*[{\]]", start):
        return speech_json.read(text, name)
    if "<mouthCue" in text or start.startswith("<?xml"):
        return label_files.rhubarb_xml(text, name), []
    if "-->" in text:
        return subtitles.read(text, name), []
    return label_files.read(text, name)


def _choose(spans: list[Span], name: str, speaker: str) -> tuple[list[Span], list[str]]:
    """The spans of a speaker; all of them where none is asked for, and a note where there are several."""
    speakers = list(dict.fromkeys(span.speaker for span in spans if span.speaker))
    if speaker:
        chosen = [each for each in speakers if speaker.lower() in each.lower()]
        if not chosen:
            there = f"The speakers are: {', '.join(speakers[:20])}" if speakers else "It names no speakers"
            raise MotionError(f"{name} has no speaker {reading.shorten(speaker)}. {there}.")
        others = [each for each in speakers if each not in chosen]
        notes = [f"Spoken: {', '.join(chosen)}. Left out: {', '.join(others[:20])}."] if others else []
        return [span for span in spans if span.speaker in chosen], notes
    if not speakers:
        return spans, []
    some = f"all of them are spoken; choose one by speaker: {', '.join(speakers[:20])}"
    return spans, [
        f"{len(speakers)} speakers, {some}." if len(speakers) > 1 else f"The name {speakers[0]} is not spoken."
    ]


def _speak(spans: Sequence[Span], name: str) -> tuple[list[Phoneme], list[str]]:
    """The sounds that spans spell, each of a span as long as the others, and notes on what is not spoken."""
    found: list[Phoneme] = []
    asides: dict[str, None] = {}
    unspoken: dict[str, None] = {}
    for span in spans:
        text, left = left_out.spoken(span.text)
        asides.update(dict.fromkeys(" ".join(each.split())[:_LONGEST_NAMED] for each in left))
        mouths, strange = ([span.mouth], "") if span.mouth else phonemes.spell(text, span.phone)
        unspoken.update(dict.fromkeys(strange))
        found.extend(_spread(span, mouths, name))
    notes = [f"Not spoken: {_listed(list(asides))}."] if asides else []
    return found, notes + ([f"{phonemes.complaint(''.join(unspoken))}"] if unspoken else [])


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return ", ".join(texts[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _spread(span: Span, mouths: Sequence[phonemes.Mouth], name: str) -> Iterator[Phoneme]:
    start, end = span.start, span.end
    if not 0 <= start <= end <= timeline.MAX_FRAMES:
        raise MotionError(
            f"{name}: {reading.shorten(span.text)} lasts from {start:g} to {end:g} s; it must end after it starts."
        )
    part = (end - start) / len(mouths)
    for i, mouth in enumerate(mouths):
        yield Phoneme(start + i * part, start + (i + 1) * part, mouth)
