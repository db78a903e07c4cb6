"""How well lip sync hears: tables in Markdown over made-up voices, and over real ones where the reference data is.

    python -m tests.benchmarks.lipsync

Needs espeak-ng, which speaks with known phones in several languages and voices. Real voices are the recordings with
TextGrids in cases/speech of the reference data (THA4_REFERENCE).
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import signal

import tha4_core as tha4
from tests import voices
from tests.conftest import REFERENCE
from tests.voices import Mouth, Recording, Sound, chords, noise
from tha4_core.motion.speech.lip_sync import LipSyncSettings

TEXTS = {
    "ja": (
        "こんにちは。きょうは、いい、てんきですね。",
        "わたしの、なまえは、みくです。",
        "たまごとパンを、ぼくにも、ください。",
        "うみべの、みなとまちに、すんでいます。",
        "まいにち、おもしろいゆめを、みます。",
    ),
    "en": (
        "Hello there, how are you today?",
        "My mother bought a big red apple and five more papers.",
        "Put the blue book on the table, please.",
        "The moon rose over the open sea.",
    ),
    "es": ("Buenos días, me llamo María y vivo en una casa muy bonita.",),
    "it": ("Buongiorno, mi piace molto la musica e il buon pane.",),
    "de": ("Guten Morgen, wie geht es Ihnen? Ich komme aus Berlin.",),
}
VOICES = {"Japanese": ("ja", "ja+f3", "ja+m7"), "English": ("en", "en-us+f3", "en-us+m3"), "others": ("es", "it", "de")}
SETTINGS = LipSyncSettings(head=0, brows=0)
RATE = 16000
HOUR = 3600


def main() -> None:
    if voices.espeak() is None:
        sys.exit("espeak-ng is not installed: nothing can be spoken.")
    groups = {name: [voices.say(text, v) for v in names for text in TEXTS[v[:2]]] for name, names in VOICES.items()}
    real = _real_voices()
    if real:
        groups["real voices"] = real
    _print_accuracy(groups)
    _print_changed(groups["real voices"] if real else groups["English"], "real voices" if real else "English")
    _print_quiet(groups)
    _print_shut()
    _print_speed(groups["English"])


def _real_voices() -> list[Recording]:
    grids = sorted((REFERENCE / "cases" / "speech").glob("*.TextGrid"))
    return [voices.read(grid.with_suffix(".wav"), grid) for grid in grids]


def _mouth(samples: Sound, rate: int) -> Mouth:
    poses = tha4.motion.lip_sync(samples, rate, voices.FPS, SETTINGS)
    return poses.values[:, 26:31].numpy().astype(np.float64)


def _print_accuracy(groups: dict[str, list[Recording]]) -> None:
    print("| voices | right: macro | micro | said / true a i u e o | m b p shut | pauses shut | opening in vowels |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: |")
    for name, recordings in groups.items():
        _print_score(name, recordings)


def _print_score(name: str, recordings: Sequence[Recording]) -> None:
    score = voices.score((_mouth(r.samples, r.rate), r) for r in recordings)
    said = " ".join(f"{share:.1f}" for share in score.said)
    numbers = " | ".join(f"{v:.2f}" for v in (score.lips, score.pauses, score.opening))
    print(f"| {name} | {score.macro:.3f} | {score.micro:.3f} | {said} | {numbers} |", flush=True)


def _print_changed(recordings: list[Recording], name: str) -> None:
    for label, change in CHANGES.items():
        _print_score(f"{name}, {label}", [change(recording) for recording in recordings])


def _added(decibels: float, make: Callable[[float, int], Sound]) -> Callable[[Recording], Recording]:
    """Something made up, so many decibels under the voice."""

    def change(recording: Recording) -> Recording:
        samples = recording.samples
        other = make(len(samples) / recording.rate + 1, recording.rate)[: len(samples)]
        gain = 10 ** (-decibels / 20) * np.sqrt(np.mean(samples**2) / np.mean(other**2))
        return recording.changed(samples + gain * other)

    return change


def _telephone(recording: Recording) -> Recording:
    band = signal.butter(4, [300, 3400], "bandpass", fs=8000, output="sos")
    return recording.changed(signal.sosfilt(band, signal.resample_poly(recording.samples, 8000, recording.rate)), 8000)


def _pink(seconds: float, rate: int) -> Sound:
    return noise(seconds, rate, -20, pink=True)


CHANGES: dict[str, Callable[[Recording], Recording]] = {
    "20 dB quieter": lambda recording: recording.changed(recording.samples * 0.1),
    "telephone": _telephone,
    "pink noise 20 dB under": _added(20, _pink),
    "pink noise 10 dB under": _added(10, _pink),
    "chords 10 dB under": _added(10, chords),
}


def _print_quiet(groups: dict[str, list[Recording]]) -> None:
    """Recordings said twice, the second time more quietly: how far that opens the mouth, of the first time."""
    print("\n| said again | 12 dB quieter opens to | 20 dB quieter |\n| --- | ---: | ---: |")
    for name, recordings in groups.items():
        shares = [np.mean([_second_opening(r, decibels) for r in recordings[:4]]) for decibels in (12, 20)]
        print(f"| {name} | {shares[0]:.2f} | {shares[1]:.2f} |")


def _second_opening(recording: Recording, decibels: float) -> float:
    loud = recording.samples / np.abs(recording.samples).max() * 0.7
    opening = _mouth(np.concatenate([loud, loud * np.float32(10 ** (-decibels / 20))]), recording.rate).sum(axis=1)
    first, second = (np.percentile(part, 80) for part in np.array_split(opening, 2))
    return float(second / max(first, 1e-3))


def _print_shut() -> None:
    print("\n| nobody speaks | the mouth is shut |\n| --- | ---: |")
    sounds = {
        "white noise": noise(10, RATE, -20),
        "faint white noise": noise(10, RATE, -45),
        "pink noise": _pink(10, RATE),
        "chords": chords(10, RATE),
        "chords of sines": chords(10, RATE, overtones=1),
        "quick chords": chords(10, RATE, beat=0.25),
        "chords and a drum": chords(10, RATE) + _drum(10, RATE),
    }
    for name, sound in sounds.items():
        print(f"| {name} | {(_mouth(sound, RATE).sum(axis=1) < 0.1).mean():.2f} |")


def _drum(seconds: float, rate: int) -> Sound:
    fading = np.exp(-(np.arange(round(seconds * rate)) / rate % 0.5) / 0.03)
    return (noise(seconds, rate, -12) * fading).astype(np.float32)


def _print_speed(recordings: Sequence[Recording]) -> None:
    rate = recordings[0].rate
    spoken = np.concatenate([recording.samples for recording in recordings])
    hour = torch.from_numpy(np.resize(spoken, HOUR * rate))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    tha4.motion.lip_sync(hour, rate, 30)
    seconds, after = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"\nAn hour at {rate} Hz: {HOUR / seconds:.0f} seconds of sound a processor second, ", end="")
    print(f"{(after - before) / 1024:.0f} MB more than the sound itself ({hour.nbytes / 2**20:.0f} MB).")


if __name__ == "__main__":
    main()
