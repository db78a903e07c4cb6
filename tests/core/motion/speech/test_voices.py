"""Lip sync on voices: made-up ones with known phones, quiet and noisy ones, what is no voice, and real recordings."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy import signal

import tha4_core as tha4
from tests import voices
from tests.conftest import REFERENCE
from tests.voices import Mouth, Recording, Score
from tha4_core.motion.speech.lip_sync import LipSyncSettings

needs_espeak = pytest.mark.skipif(voices.espeak() is None, reason="ESPEAK-NG IS NOT INSTALLED: nothing is spoken")
QUIET = LipSyncSettings(head=0, brows=0)
RATE = 16000
JAPANESE = (
    "わたしの、なまえは、みくです。",
    "たまごとパンを、ぼくにも、ください。",
    "うみべの、みなとまちに、すんでいます。",
)
ENGLISH = ("My mother bought a big red apple and five more papers.", "The moon rose over the open sea.")


def mouth(samples: np.ndarray, rate: int = RATE) -> Mouth:
    return tha4.motion.lip_sync(samples, rate, voices.FPS, QUIET).values[:, 26:31].numpy().astype(np.float64)


def shut(samples: np.ndarray, rate: int = RATE) -> float:
    """The share of the time that the mouth is shut."""
    return float((mouth(samples, rate).sum(axis=1) < 0.1).mean())


@cache
def japanese() -> tuple[Recording, ...]:
    return tuple(voices.say(text, voice) for voice in ("ja", "ja+f3", "ja+m7") for text in JAPANESE)


@cache
def english() -> tuple[Recording, ...]:
    return tuple(voices.say(text, voice) for voice in ("en", "en-us+f3") for text in ENGLISH)


def scored(recordings: tuple[Recording, ...], change: Callable[[Recording], Recording] = lambda r: r) -> Score:
    changed = map(change, recordings)
    return voices.score((mouth(r.samples, r.rate), r) for r in changed)


@needs_espeak
def test_vowels_and_lips_of_made_up_voices() -> None:
    ja, en = scored(japanese()), scored(english())
    assert ja.micro > 0.94
    assert ja.lips > 0.7
    assert ja.opening > 0.7
    assert en.micro > 0.85
    assert en.lips > 0.9


@needs_espeak
def test_over_a_telephone_and_over_noise() -> None:
    band = signal.butter(4, [300, 3400], "bandpass", fs=8000, output="sos")

    def telephone(recording: Recording) -> Recording:
        down = signal.resample_poly(recording.samples, 8000, recording.rate)
        return recording.changed(signal.sosfilt(band, down), 8000)

    def noisy(recording: Recording) -> Recording:
        level = 10 * np.log10(np.mean(recording.samples**2))
        seconds = len(recording.samples) / recording.rate + 1
        added = voices.noise(seconds, recording.rate, level - 20, pink=True)[: len(recording.samples)]
        return recording.changed(recording.samples + added)

    assert scored(english(), telephone).micro > 0.8
    assert scored(english(), noisy).micro > 0.8


@needs_espeak
@pytest.mark.parametrize("tilt", [([1, -0.9], 1), (1, [1, -0.9])], ids=["bright", "dull"])
def test_a_bright_or_dull_microphone_is_left_aside(tilt: tuple[object, object]) -> None:
    assert scored(japanese(), lambda r: r.changed(signal.lfilter(*tilt, r.samples))).micro > 0.87
    assert scored(english(), lambda r: r.changed(signal.lfilter(*tilt, r.samples))).micro > 0.87


@needs_espeak
@pytest.mark.parametrize("vowel", voices.VOWELS)
def test_a_recording_of_one_vowel_is_that_vowel(vowel: str) -> None:
    for speaker in ("ja", "ja+f3", "es"):
        recording = voices.say(f"[[{vowel}:{vowel}:{vowel}:]]", speaker)
        shapes = mouth(np.trim_zeros(recording.samples), recording.rate)[8:-8]
        assert (shapes.argmax(axis=1) == voices.VOWELS.index(vowel)).mean() > 0.9


@needs_espeak
@pytest.mark.parametrize("decibels", [12, 20])
def test_a_quieter_part_opens_the_mouth_as_well(decibels: float) -> None:
    for recording in (japanese()[0], japanese()[4], english()[0]):
        loud = recording.samples / np.abs(recording.samples).max() * 0.7
        opening = mouth(np.concatenate([loud, loud * 10 ** (-decibels / 20)]), recording.rate).sum(axis=1)
        first, second = (np.percentile(part, 80) for part in np.array_split(opening, 2))
        assert second > 0.7 * first


@needs_espeak
@pytest.mark.parametrize("text", ["はい。", "え。", "ねえ。"])
def test_one_word_in_silence_is_heard_and_starts_in_time(text: str) -> None:
    recording = voices.say(text, "ja")
    silence = np.zeros(2 * recording.rate, np.float32)
    samples = np.concatenate([silence, np.trim_zeros(recording.samples), silence])
    opening = mouth(samples, recording.rate).sum(axis=1)
    assert opening.max() > 0.8
    starts = [np.argmax(values > limit) / rate for values, limit, rate in (
        (np.abs(samples), 0.02, recording.rate), (opening, 0.1, voices.FPS))]  # fmt: skip
    assert abs(starts[1] - starts[0]) < 0.035


@pytest.mark.parametrize("rate", [8000, RATE, 44100])
@pytest.mark.parametrize("pink", [False, True])
def test_noise_keeps_the_mouth_shut(pink: bool, rate: int) -> None:
    for decibels in (-45, -20):
        assert shut(voices.noise(6, rate, decibels, pink), rate) > 0.95


@pytest.mark.parametrize("overtones", [1, 4, 8])
@pytest.mark.parametrize("beat", [0.5, 2.0])
def test_chords_keep_the_mouth_shut(overtones: int, beat: float) -> None:
    sound = voices.chords(8, RATE, overtones, beat)
    assert shut(sound) > 0.9
    # Played staccato, too.
    since = np.arange(len(sound)) / RATE % 0.5
    assert shut(sound * np.clip(np.minimum(since, 0.3 - since) / 0.01, 0, 1)) > 0.9


def test_nobody_nods_to_noise() -> None:
    assert not tha4.motion.lip_sync(voices.noise(6, RATE, -20, pink=True), RATE).values.any()


@pytest.mark.parametrize("pitch", [110.0, 220.0])
def test_a_vowel_that_is_sung_for_long_stays_open(pitch: float) -> None:
    """Harmonics of a slightly trembling pitch through two resonances at 800 and 1200 Hz."""
    time = np.arange(5 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.01 * np.sin(2 * np.pi * 5 * time))) / RATE
    gains = {
        k: abs(np.prod([c**2 / (c**2 - (k * pitch) ** 2 + 100j * k * pitch) for c in (800, 1200, 2600)])) / k
        for k in range(1, int(4000 / pitch))
    }
    sung = sum(gain * np.sin(k * phase) for k, gain in gains.items())
    shapes = mouth(0.3 * sung / np.abs(sung).max())[20:-20]
    assert (shapes.sum(axis=1) > 0.3).mean() > 0.95
    assert (shapes.argmax(axis=1) == 0).mean() > 0.9


def test_real_voices() -> None:
    folder = REFERENCE / "cases" / "speech"
    if not folder.is_dir():
        pytest.skip(f"REFERENCE DATA IS MISSING: {folder} (set THA4_REFERENCE)")
    recordings = [voices.read(path, path.with_suffix(".TextGrid")) for path in sorted(folder.glob("*.wav"))]
    real = scored(tuple(recordings))
    assert real.macro > 0.70
    assert real.micro > 0.76
    assert real.said[4] > 0.5
    assert real.lips > 0.78
    assert real.pauses > 0.94
