"""JSON of tools for speech: Rhubarb's mouth cues, VOICEVOX's queries, and the transcripts of Whisper and its kin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import MotionError
from .. import reading
from . import left_out, subtitles
from .phonemes import RHUBARB
from .spans import Span

_UPSPEAK_SECONDS = 0.15
"""VOICEVOX makes the last vowel of a question longer by this."""
_MOST_NAMED = 8

Json = Mapping[str, Any]


def read(text: str, name: str) -> tuple[list[Span], list[str]]:
    """The spans of a JSON text, and notes. Raises MotionError, naming the place, for JSON that is none of these."""
    data = reading.parse_json(text, name)
    if isinstance(data, list):
        data = {"accent_phrases" if all(isinstance(e, dict) and "moras" in e for e in data) else "segments": data}
    if "mouthCues" in data:
        return [_mouth_cue(cue, where) for cue, where in _objects(data, "mouthCues", name)], []
    if "accent_phrases" in data:
        return list(_voicevox(data, name)), []
    if "transcription" in data:
        spans = [span for cue, where in _objects(data, "transcription", name) for span in _whisper_cpp(cue, where)]
        return spans, []
    if "segments" in data or "words" in data:
        return _whisper(data, name)
    raise MotionError(
        f"{name} is JSON, but none of Rhubarb (mouthCues), VOICEVOX (accent_phrases) or Whisper (segments)."
    )


def _objects(data: Json, key: str, name: str) -> Iterator[tuple[Json, str]]:
    """The objects of a list, each with the words for its place."""
    entries = data.get(key)
    if not isinstance(entries, list):
        raise MotionError(f"{name}: {key} must be a list, not {reading.shorten(entries)}.")
    for i, entry in enumerate(entries, start=1):
        where = f"{name}, {key} {i}"
        if not isinstance(entry, dict):
            raise MotionError(f"{where} must be an object, not {reading.shorten(entry)}.")
        yield entry, where


def _text(entry: Json, key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise MotionError(f"{where}: {key} must be a text, not {reading.shorten(value)}.")
    return value


def _times(entry: Json, where: str) -> tuple[float, float]:
    return reading.number(entry.get("start"), f"{where}: start"), reading.number(entry.get("end"), f"{where}: end")


def _mouth_cue(cue: Json, where: str) -> Span:
    shape = _text(cue, "value", where)
    if shape not in RHUBARB:
        raise MotionError(f"{where}: value must be one of {', '.join(RHUBARB)}, not {reading.shorten(shape)}.")
    return Span(*_times(cue, where), shape, mouth=RHUBARB[shape])


# --- VOICEVOX ------------------------------------------------------------------------------------------------------


def _voicevox(query: Json, name: str) -> Iterator[Span]:
    """The sounds of an audio query, as its engine times them: all lengths are divided by speedScale."""
    speed = _scale(query, "speedScale", 1.0, name)
    if speed == 0:
        raise MotionError(f"{name}: speedScale is 0; it must be above 0.")
    time = 0.0
    for text, seconds in _sounds(query, name):
        yield Span(time / speed, (time + seconds) / speed, text, phone=True)
        time += seconds


def _sounds(query: Json, name: str) -> Iterator[tuple[str, float]]:
    yield "pau", _scale(query, "prePhonemeLength", 0.0, name)
    pauses = _scale(query, "pauseLengthScale", 1.0, name)
    for phrase, where in _objects(query, "accent_phrases", name):
        mora: Json = {}
        for mora, place in _objects(phrase, "moras", where):
            if mora.get("consonant") is not None:
                yield _text(mora, "consonant", place), _seconds(mora, "consonant_length", place)
            yield _text(mora, "vowel", place), _seconds(mora, "vowel_length", place)
        if phrase.get("is_interrogative") is True and mora.get("pitch"):
            yield _text(mora, "vowel", where), _UPSPEAK_SECONDS
        pause = phrase.get("pause_mora")
        if isinstance(pause, dict):
            source = query if query.get("pauseLength") is not None else pause
            yield "pau", pauses * _seconds(source, "vowel_length" if source is pause else "pauseLength", where)
    yield "pau", _scale(query, "postPhonemeLength", 0.0, name)


def _seconds(entry: Json, key: str, where: str) -> float:
    value = reading.number(entry.get(key), f"{where}: {key}")
    if value < 0:
        raise MotionError(f"{where}: {key} is {value:g}; it must be 0 or more.")
    return value


def _scale(query: Json, key: str, default: float, name: str) -> float:
    return default if query.get(key) is None else _seconds(query, key, name)


# --- Whisper -------------------------------------------------------------------------------------------------------


def _whisper(data: Json, name: str) -> tuple[list[Span], list[str]]:
    """Words where they have times, else whole segments, shared out evenly among their sounds."""
    spans: list[Span] = []
    untimed: list[str] = []
    segments = data.get("segments")
    in_segments = isinstance(segments, list) and any(isinstance(s, dict) and s.get("words") for s in segments)
    if data.get("words") and not in_segments:  # OpenAI's service lists the words beside the segments
        data = {"segments": [{"words": data["words"]}]}
    for segment, where in _objects(data, "segments", name):
        speaker = segment.get("speaker") if isinstance(segment.get("speaker"), str) else ""
        if not segment.get("words"):
            spans.extend(_segment(segment, where, speaker or ""))
            continue
        for word, place in _objects(segment, "words", where):
            text = _text(word, "word" if "word" in word else "text", place)
            if word.get("start") is None or word.get("end") is None:
                untimed.append(text.strip())
                continue
            spans.append(Span(*_times(word, place), text, speaker or ""))
    more = f" and {len(untimed) - _MOST_NAMED} more" if len(untimed) > _MOST_NAMED else ""
    return spans, [f"Words without a time left out: {', '.join(untimed[:_MOST_NAMED])}{more}."] if untimed else []


def _segment(segment: Json, where: str, speaker: str) -> list[Span]:
    start, end = _times(segment, where)
    parts = left_out.by_speaker(_text(segment, "text", where))
    return subtitles.shared(start, end, [(speaker or named, text) for named, text in parts])


def _whisper_cpp(cue: Json, where: str) -> list[Span]:
    offsets = cue.get("offsets")
    if not isinstance(offsets, dict):
        raise MotionError(f"{where}: offsets must be an object with from and to in milliseconds.")
    start, end = (reading.number(offsets.get(key), f"{where}: {key}") / 1000 for key in ("from", "to"))
    return subtitles.shared(start, end, left_out.by_speaker(_text(cue, "text", where)))
