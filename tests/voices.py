"""Sounds for lip sync whose truth is known, and how well a mouth speaks them.

espeak-ng speaks, and tells when each of its sounds begins; noise and chords are made here; recordings with aligned
phones (TextGrid) can be read.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import re
import unicodedata
import wave
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
Mouth = NDArray[np.float64]

VOWELS = "aiueo"
FPS = 100.0
# The vowels that may be seen for each phone of ARPABET (recordings) and of the IPA (espeak-ng); the first counts.
_ARPABET = {"AA": "a", "AH": "a", "AE": "ae", "AY": "ai", "AW": "aou", "IY": "i", "IH": "ie", "EH": "e", "EY": "ei",
            "AO": "oa", "OW": "ou", "OY": "oi", "UW": "u", "UH": "uo"}  # fmt: skip
_IPA = {"a": "a", "ɑ": "a", "ʌ": "a", "ɐ": "a", "ə": "ae", "ɚ": "ae", "ɜ": "ae", "æ": "ae", "i": "i", "ɪ": "ie",
        "e": "e", "ɛ": "e", "o": "ou", "ɔ": "oa", "ɒ": "oa", "u": "u", "ɯ": "u", "ʊ": "uo"}  # fmt: skip
_SILENCES = {"", "sil", "sp", "spn"}


@dataclass(frozen=True)
class Recording:
    """Mono samples in -1..1, their rate in Hz, and (start, end, symbol) of every phone in seconds."""

    samples: Sound
    rate: int
    phones: tuple[tuple[float, float, str], ...] = ()

    def changed(self, samples: NDArray[Any], rate: int | None = None) -> Recording:
        """The same phones in other samples."""
        return replace(self, samples=samples.astype(np.float32), rate=rate or self.rate)


def say(text: str, voice: str, speed: int = 150) -> Recording:
    """Speech of espeak-ng with its own times. Sounds in [[ ]] are espeak's phonemes."""
    library = espeak()
    if library is None:
        raise RuntimeError("espeak-ng is not installed")
    pieces: list[Sound] = []
    starts: list[tuple[int, str]] = []

    @_CALLBACK
    def take(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)) / np.float32(32768))
        at = 0
        while events[at].type:
            if events[at].type == _PHONEME:
                starts.append((events[at].sample, events[at].symbol.decode()))
            at += 1
        return 0

    library.espeak_SetSynthCallback(take)
    if library.espeak_SetVoiceByName(voice.encode()) or library.espeak_SetParameter(1, speed, 0):
        raise RuntimeError(f"espeak-ng has no voice {voice}")
    content = text.encode()
    library.espeak_Synth(content, len(content) + 1, 0, 0, 0, _UTF8 | _PHONEMES_IN_BRACKETS, None, None)
    samples, rate = np.concatenate(pieces).astype(np.float32), library.rate
    ends = [start for start, _ in starts[1:]] + [len(samples)]
    phones = ((start / rate, end / rate, symbol) for (start, symbol), end in zip(starts, ends, strict=True))
    return Recording(samples, rate, tuple(phones))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("symbol", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_PHONEME, _UTF8, _PHONEMES_IN_BRACKETS = 7, 0x1, 0x100
_SYNCHRONOUS, _PHONEME_EVENTS, _IN_IPA = 2, 0x1, 0x2


@cache
def espeak() -> Any | None:
    """The library of espeak-ng, or None where it is not installed."""
    name = ctypes.util.find_library("espeak-ng")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.rate = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS | _IN_IPA)
    return library if library.rate > 0 else None


def read(sound: Path, textgrid: Path) -> Recording:
    """A WAV file with the tier of phones of a TextGrid."""
    with wave.open(str(sound)) as file:
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        rate = file.getframerate()
    content = textgrid.read_bytes()
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    tier = next(part for part in text.split('"IntervalTier"')[1:] if re.search(r'^[^"]*"[^"]*phon', part, re.I))
    number = r"(-?\d+(?:\.\d+)?)\s+"
    intervals = re.findall(rf'{number}(?:xmax = )?{number}(?:text = )?"([^"]*)"', tier)
    return Recording(
        (values.mean(axis=1) / 32768).astype(np.float32), rate, tuple((float(a), float(b), c) for a, b, c in intervals)
    )


def noise(seconds: float, rate: int, decibels: float, pink: bool = False, seed: int = 0) -> Sound:
    """White or pink noise of so many decibels (root mean square) below full scale."""
    values = np.random.default_rng(seed).normal(size=round(seconds * rate))
    if pink:
        spectrum = np.fft.rfft(values)
        values = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * seconds)), len(values))
    result: Sound = (values / values.std() * 10 ** (decibels / 20)).astype(np.float32)
    return result


def chords(seconds: float, rate: int, overtones: int = 8, beat: float = 1.0, seed: int = 0) -> Sound:
    """Major chords on random roots, one a `beat`, each struck and fading; as many overtones as are asked for."""
    dice = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    since = time % beat
    roots = 130 * 2 ** (dice.integers(0, 12, math.ceil(seconds / beat) + 1) / 12)[(time // beat).astype(int)]
    notes = [roots * step * k for step in (1, 2 ** (4 / 12), 2 ** (7 / 12)) for k in range(1, overtones + 1)]
    tones = sum(np.sin(2 * np.pi * note * time) * roots / note for note in notes)
    fading = np.exp(-1.2 * since) * np.minimum(since / 0.01, 1)
    result: Sound = (0.3 * tones * fading / np.abs(tones).max()).astype(np.float32)
    return result


@dataclass(frozen=True)
class Score:
    """How well mouths speak what was said: shares 0..1, NaN where there is nothing to count.

    `recall` `[5]` of a, i, u, e, o, `macro` over those heard in more than 20 frames, `micro` over all; `said` `[5]`:
    how often each is seen, of how often it should be; `lips`: m, b and p with the lips shut; `pauses`: frames of pauses
    with the mouth shut; `opening`: mean opening in vowels.
    """

    recall: Mouth
    said: Mouth
    macro: float
    micro: float
    lips: float
    pauses: float
    opening: float


def score(spoken: Iterable[tuple[Mouth, Recording]]) -> Score:
    """The score of mouths `[N, 5]` at FPS."""
    hits, counts, said = np.zeros(5), np.zeros(5), np.zeros(5)
    lips: list[bool] = []
    pauses: list[float] = []
    openings: list[float] = []
    for mouth, recording in spoken:
        opening = mouth.sum(axis=1)
        for start, end, symbol in recording.phones:
            if symbol in _SILENCES and end - start > 0.25:
                pauses += list(opening[round((start + 0.12) * FPS) : round((end - 0.08) * FPS)] < 0.1)
            if symbol.upper() in ("M", "B", "P"):
                lips.append(bool(opening[max(int(start * FPS) - 1, 0) : int(end * FPS) + 3].min() < 0.15))
            wanted = vowels_of(symbol)
            for frame in _middle(start, end, len(mouth)) if wanted else ():
                counts[VOWELS.index(wanted[0])] += 1
                openings.append(opening[frame])
                if opening[frame] > 0.05:
                    seen = int(mouth[frame].argmax())
                    said[seen] += 1
                    hits[VOWELS.index(wanted[0])] += VOWELS[seen] in wanted
    recall = hits / np.maximum(counts, 1)
    share = said / max(said.sum(), 1) / np.maximum(counts / max(counts.sum(), 1), 1e-9)
    means = (_mean(values) for values in (recall[counts > 20], lips, pauses, openings))
    macro, shut, silent, opened = means
    return Score(recall, share, macro, float(hits.sum() / max(counts.sum(), 1)), shut, silent, opened)


def vowels_of(symbol: str) -> str:
    """The vowels that may be seen for a phone, the first one the best; "" for a consonant or a long glide."""
    bare = re.sub(r"[0-9ː]", "", symbol)
    if bare.isupper():
        return _ARPABET.get(bare, "")
    letters = [c for c in unicodedata.normalize("NFD", bare) if not unicodedata.combining(c)]
    if not letters or letters[0] not in _IPA:
        return ""
    found = "".join(dict.fromkeys("".join(_IPA.get(c, "") for c in letters)))
    return found if len(found) <= 3 else ""


def _middle(start: float, end: float, count: int) -> range:
    """The frames in the middle three fifths of a phone."""
    return range(int((0.8 * start + 0.2 * end) * FPS), min(int((0.2 * start + 0.8 * end) * FPS) + 1, count))


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else math.nan
