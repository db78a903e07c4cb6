"""Live lip sync: what the page hears is what the library hears, and the mouth answers at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Page

from tests import voices
from tha4_core.motion.speech import features, lip_sync, vowels
from tha4_core.motion.speech.vowels import FORMANTS, VOWELS

RATE = 32000
SPOKEN = "aiueo" * 2
HELD, PAUSE, LEAD = 0.4, 0.12, 1.0  # seconds
STEPS = round(1 / features.STEP)


def vowel(letter: str, seconds: float, pitch: float = 140.0, rate: int = RATE) -> NDArray[np.float64]:
    """A vowel of a source and a filter, at about -20 dB."""
    time = np.arange(round(seconds * rate)) / rate
    harmonics = pitch * np.arange(1, int(4000 / pitch))
    heights = np.sqrt(vowels.envelope(np.array(FORMANTS[letter][0]), harmonics))
    sound = heights @ np.sin(2 * np.pi * harmonics[:, None] * time)
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    return 0.14 * fade * sound / np.sqrt((sound**2).mean())


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    """A second of faint noise, then vowels with pauses between them."""
    gap = np.zeros(round(PAUSE * RATE))
    spoken = np.concatenate([part for letter in SPOKEN for part in (vowel(letter, HELD), gap)])
    sound = np.concatenate([np.zeros(round(LEAD * RATE)), spoken, np.zeros(RATE)])
    return (sound + voices.noise(len(sound) / RATE, RATE, -70)[: len(sound)]).astype(np.float32)


def measured(page: Page, samples: NDArray[np.float32], rate: int) -> dict[str, NDArray[np.float64]]:
    """The page's features of a sound, at the library's steps."""
    result = page.evaluate(
        """async ([samples, rate]) => {
            const { featureMeter, thinningOf } = await import("/live/speech/features.js");
            const thinning = thinningOf(rate);
            const measure = featureMeter(library.live.speech, rate / thinning);
            const thinned = (i) => {
                let sum = 0;
                for (let k = 0; k < thinning; k += 1) sum += samples[i * thinning + k] ?? 0;
                return sum / thinning;
            };
            const steps = Math.floor(samples.length / rate / library.live.speech.step) + 1;
            return Array.from({ length: steps }, (_, step) => {
                const centre = Math.round((step * library.live.speech.step * rate - (thinning - 1) / 2) / thinning);
                const start = centre - Math.floor(measure.size / 2);
                return measure(Float32Array.from({ length: measure.size }, (_, i) => thinned(start + i)));
            });
        }""",
        [samples.astype(float).tolist(), rate],
    )
    return {name: np.array([step[name] for step in result]) for name in result[0]}


@pytest.mark.parametrize("rate", [16000, 32000])
def test_the_page_hears_what_the_library_hears(modules: Page, speech: NDArray[np.float32], rate: int) -> None:
    sound = speech[:: RATE // rate][: rate * 3].copy()
    sound[-rate // 2 :] += voices.noise(0.5, rate, -25)[: rate // 2]
    heard, expected = measured(modules, sound, rate), features.listen(torch.from_numpy(sound)[None], rate)
    tolerances = {"cepstra": 0.01, "level": 0.01, "upper": 0.01, "hiss": 0.001, "voicing": 0.005}
    for name, tolerance in tolerances.items():
        np.testing.assert_allclose(heard[name], getattr(expected, name), atol=tolerance, err_msg=name)
    assert (heard["level"].max(), heard["hiss"].max()) > (-20, 0.2)


def test_the_page_judges_as_the_library_does(modules: Page, speech: NDArray[np.float32]) -> None:
    heard = features.listen(torch.from_numpy(speech)[None], RATE)
    voiced = heard.level > -40
    expected = vowels.likeness(heard.cepstra, voiced)
    mean, spread = heard.cepstra[voiced].mean(axis=0), heard.cepstra[voiced].std(axis=0)
    judged = modules.evaluate(
        """async ([cepstra, mean, spread]) => {
            const { likeness } = await import("/live/speech/vowels.js");
            const speech = library.live.speech;
            return speech.tracts.map((_, tract) => cepstra.map((one) => likeness(speech, one, mean, spread, tract)));
        }""",
        [heard.cepstra.tolist(), mean.tolist(), spread.tolist()],
    )
    # The library has taken one length of the vocal tract for all of the recording.
    assert min(np.abs(np.array(one) - expected).max() for one in judged) < 1e-4


def live_mouth(page: Page, samples: NDArray[Any], rate: int = RATE, silence: float = -60) -> NDArray[np.float64]:
    """The mouth at every step of 10 ms, `[J, 5]`, by what was heard until then."""
    mouths = page.evaluate(
        """async ([samples, rate, silence]) => {
            const { Listener } = await import("/live/speech/listener.js");
            const listener = new Listener(library.live.speech, rate);
            const mouths = [];
            for (let i = 0; i < samples.length; i += 512) {
                mouths.push(...listener.hear(samples.slice(i, i + 512), silence));
            }
            return mouths.map((mouth) => library.live.speech.mouth.map((name) => mouth[name]));
        }""",
        [samples.astype(float).tolist(), rate, silence],
    )
    return np.array(mouths)


def test_the_mouth_answers_at_once_with_the_vowel_that_is_spoken(modules: Page, speech: NDArray[np.float32]) -> None:
    mouth = live_mouth(modules, speech)
    opened = mouth.sum(axis=1)
    assert ((mouth >= 0) & (mouth <= 1)).all()
    assert opened[: round(LEAD * STEPS)].max() < 0.05
    right = 0
    for number, letter in enumerate(SPOKEN):
        start = round((LEAD + number * (HELD + PAUSE)) * STEPS)
        assert opened[start : start + 12].max() > 0.3, letter  # within 120 ms
        held = mouth[start + 15 : start + round(HELD * STEPS)].mean(axis=0)
        right += VOWELS[held.argmax()] == letter
        assert opened[start + round((HELD + PAUSE) * STEPS) - 1] < 0.25, letter
    assert right >= len(SPOKEN) - 1
    assert opened[-50:].max() < 0.01


def test_live_speech_is_like_the_librarys_lip_sync(modules: Page, speech: NDArray[np.float32]) -> None:
    later = lip_sync.from_waveform(speech, RATE, STEPS).values[:, 26:31].numpy().astype(np.float64)
    now = live_mouth(modules, speech)
    lag = 5  # steps: half a window, and the way that the mouth has to go
    count = min(len(later), len(now) - lag)
    now, later = now[lag : lag + count], later[:count]
    assert np.corrcoef(now.sum(axis=1), later.sum(axis=1))[0, 1] > 0.75
    both = (now.sum(axis=1) > 0.4) & (later.sum(axis=1) > 0.4)
    assert (now[both].argmax(axis=1) == later[both].argmax(axis=1)).mean() > 0.8


@pytest.mark.parametrize("kind", ["noise", "pink", "chords", "silence", "broken"])
def test_the_mouth_stays_shut_for_what_is_no_speech(modules: Page, kind: str) -> None:
    sounds = {
        "noise": lambda: voices.noise(3, RATE, -30),
        "pink": lambda: voices.noise(3, RATE, -30, pink=True),
        "chords": lambda: voices.chords(3, RATE) * 0.3,
        "silence": lambda: np.zeros(RATE),
        "broken": lambda: np.full(RATE, np.inf),
    }
    opened = live_mouth(modules, np.nan_to_num(sounds[kind](), posinf=1e9)).sum(axis=1)
    assert np.isfinite(opened).all()
    assert opened.mean() < 0.1


def test_a_voice_over_noise_opens_the_mouth_and_the_silence_setting_shuts_it(modules: Page) -> None:
    sound = voices.noise(4, RATE, -45)
    sound[RATE * 2 : RATE * 3] += vowel("a", 1)
    opened = live_mouth(modules, sound).sum(axis=1)
    assert opened[: 2 * STEPS].mean() < 0.1
    assert opened[2 * STEPS + 20 : 3 * STEPS].mean() > 0.6
    assert live_mouth(modules, sound, silence=-10).max() == 0
