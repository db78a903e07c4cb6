"""What is heard: levels in decibels, spectra without loudness, and a voice told from a chord."""

import numpy as np
import pytest
import torch

from tests import voices
from tha4_core.motion.speech.features import Features, listen


def heard(samples: np.ndarray, rate: int) -> Features:
    return listen(torch.from_numpy(np.asarray(samples, np.float32))[None], rate)


def harmonics(pitch: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return 0.2 * sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 11))


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_level_is_mean_square_at_any_rate(rate: int) -> None:
    sine = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    features = heard(sine, rate)
    assert len(features) == 101
    assert features.cepstra.shape == (101, 12)
    assert features.level[50] == pytest.approx(-3, abs=0.3)
    assert heard(sine / 100, rate).level[50] == pytest.approx(-43, abs=0.3)


def test_loudness_does_not_change_the_shape() -> None:
    loud, soft = (heard(gain * harmonics(140, 16000), 16000).cepstra[5:-5] for gain in (1, 0.01))
    np.testing.assert_allclose(loud, soft, atol=1e-3)


def test_a_hum_has_no_upper_level_and_a_hiss_is_one() -> None:
    hum = heard(np.sin(2 * np.pi * 200 * np.arange(16000) / 16000), 16000)
    assert hum.upper[50] < hum.level[50] - 40
    high = voices.noise(1, 44100, -20)
    high = np.diff(high, n=4, prepend=np.zeros(4))
    assert np.median(heard(high, 44100).hiss) > 0.6
    assert hum.hiss.max() < 0.01


@pytest.mark.parametrize("pitch", [85, 140, 220, 330])
def test_a_voice_repeats_itself_and_noise_and_chords_do_not(pitch: float) -> None:
    assert np.median(heard(harmonics(pitch, 16000), 16000).voicing) > 0.9
    assert np.percentile(heard(voices.noise(2, 16000, -20), 16000).voicing, 95) < 0.7
    assert np.median(heard(voices.chords(3, 16000), 16000).voicing) < 0.6
    # The notes of this chord all repeat within 1/110 s, but none of them is at 110 Hz.
    chord = sum(np.sin(2 * np.pi * note * np.arange(16000) / 16000) for note in (440, 550, 660))
    assert np.median(heard(chord / 4, 16000).voicing) < 0.2


def test_blocks_leave_no_seam() -> None:
    sound = voices.noise(25, 8000, -20)
    whole, start = heard(sound, 8000), heard(sound[: 8000 * 22], 8000)
    for name in ("cepstra", "level", "upper", "hiss", "voicing"):
        np.testing.assert_allclose(getattr(whole, name)[:2190], getattr(start, name)[:2190], rtol=1e-5, atol=1e-5)
