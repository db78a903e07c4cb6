"""Lip sync: the spoken vowel is the mouth's shape, silence shuts it, and it never drifts from the sound."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tha4_core as tha4
from tests import voices
from tha4_core import pose
from tha4_core.errors import MotionError
from tha4_core.motion.speech import lip_sync
from tha4_core.motion.speech.lip_sync import LipSyncSettings

needs_espeak = pytest.mark.skipif(voices.espeak() is None, reason="ESPEAK-NG IS NOT INSTALLED: nothing is spoken")
MOUTH = slice(26, 31)
QUIET = LipSyncSettings(head=0, brows=0)


def say(text: str, voice: str, speed: int = 130) -> tuple[np.ndarray, int]:
    """Speech in -1..1 and its rate. Sounds in [[ ]] are espeak's phonemes."""
    recording = voices.say(text, voice, speed)
    return recording.samples, recording.rate


def audio(samples: np.ndarray, rate: int, channels: int = 1) -> dict[str, Any]:
    return {"waveform": torch.from_numpy(samples).float().expand(1, channels, -1), "sample_rate": rate}


def resampled(samples: np.ndarray, rate: int, to: int) -> np.ndarray:
    signal = pytest.importorskip("scipy.signal")
    common = math.gcd(rate, to)
    return np.asarray(signal.resample_poly(samples, to // common, rate // common))


def voice(seconds: float, rate: int, pitch: float = 140.0) -> np.ndarray:
    """A plain voiced a: harmonics that fade, without any speech engine."""
    t = np.arange(round(seconds * rate)) / rate
    return 0.2 * sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 8))


@needs_espeak
@pytest.mark.parametrize("rate", [8000, 22050, 48000])
@pytest.mark.parametrize("speaker", ["ja", "ja+f2", "es+f5", "it+m3"])
@pytest.mark.parametrize("fps", [24.0, 30.0])
def test_the_spoken_vowel_is_the_mouths_shape(speaker: str, rate: int, fps: float) -> None:
    pieces, spans, at = [], [], 0.0
    for vowel in "aiueo":
        sound, own = say(f"[[{vowel}:]]", speaker)
        sound = resampled(np.trim_zeros(sound), own, rate)
        pieces += [sound, np.zeros(rate // 4)]
        spans.append((at, at + len(sound) / rate))
        at += len(sound) / rate + 0.25
    mouth = lip_sync.from_audio(audio(np.concatenate(pieces), rate, 2), fps, QUIET).values[:, MOUTH]
    heard = [
        int(mouth[math.ceil((start + 0.08) * fps) : int((end - 0.08) * fps)].mean(dim=0).argmax())
        for start, end in spans
    ]
    assert sum(h == k for k, h in enumerate(heard)) >= 4, heard


@needs_espeak
@pytest.mark.parametrize(("speaker", "sound"), [("en", "p"), ("en", "b"), ("ja+f2", "m")])
def test_lips_close_for_the_sounds_they_make(speaker: str, sound: str) -> None:
    spoken, rate = say(f"[[a:{sound}a:{sound}a:]]", speaker, 140)
    spoken = np.trim_zeros(spoken)
    opened = lip_sync.from_audio(audio(spoken, rate), 60, QUIET).values[:, MOUTH].sum(dim=1).numpy()
    middle = opened[int(0.1 * len(opened)) : int(0.6 * len(opened))]
    assert middle.min() < 0.25 < 0.85 < middle.max()


@needs_espeak
def test_a_sentence_moves_the_mouth_and_nods() -> None:
    spoken, rate = say("Hello there. My mother bought a big red apple, and five more papers.", "en")
    poses = lip_sync.from_audio(audio(spoken, rate), 30)
    assert len(poses) == round(len(spoken) / rate * 30)
    opened = poses.values[:, MOUTH].sum(dim=1)
    assert int(((opened[1:] > 0.5) & (opened[:-1] <= 0.5)).sum()) >= 8
    assert (poses.values[:, MOUTH].amax(dim=0) > 0.15).all()
    nods = poses.values[:, 39] < -0.1
    assert 2 <= int((nods[1:] & ~nods[:-1]).sum()) <= 7
    assert torch.equal(lip_sync.from_audio(audio(spoken, rate), 30).values, poses.values)
    stereo = audio(spoken, rate, 2)
    torch.testing.assert_close(lip_sync.from_audio(stereo, 30).values, poses.values)


@needs_espeak
@pytest.mark.parametrize("gain", [0.05, 0.3])
def test_loudness_of_the_recording_does_not_matter(gain: float) -> None:
    spoken, rate = say("Five more papers for my mother.", "en")
    loud, soft = (lip_sync.from_audio(audio(spoken * g, rate), 30, QUIET).values[:, MOUTH] for g in (1.0, gain))
    assert float((loud - soft).abs().mean()) < 0.02


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_silence_and_faint_noise_keep_the_lips_closed(rate: int) -> None:
    noise = np.random.default_rng(0).normal(0, 10 ** (-70 / 20), rate)
    for samples in (np.zeros(rate), noise, np.zeros(1)):
        assert not lip_sync.from_audio(audio(samples, rate), 30).values.any()
    spoken = np.concatenate([np.zeros(rate // 2), voice(0.5, rate), np.zeros(rate // 2)])
    spoken += np.random.default_rng(0).normal(0, 0.001, len(spoken))
    mouth = lip_sync.from_audio(audio(spoken, rate), 100, QUIET).values[:, MOUTH].sum(dim=1)
    assert float(mouth[:35].max()) == 0.0
    assert float(mouth[65:90].min()) > 0.9
    assert float(mouth[120:].max()) == 0.0


@pytest.mark.parametrize(("rate", "fps"), [(8000, 30.0), (11025, 30000 / 1001)])
def test_ten_minutes_do_not_drift(rate: int, fps: float) -> None:
    samples, starts = np.zeros(600 * rate), [0.5 + 59.9 * k for k in range(11)]
    burst = voice(0.3, rate)
    for start in starts:
        samples[round(start * rate) : round(start * rate) + len(burst)] = burst
    opened = lip_sync.from_audio(audio(samples, rate), fps, QUIET).values[:, MOUTH].sum(dim=1).double().numpy()
    assert len(opened) == round(600 * fps)
    times = np.arange(len(opened)) / fps
    offsets = []
    for start in starts:
        near = np.abs(times - start - 0.15) < 0.5
        offsets.append((times * opened)[near].sum() / opened[near].sum() - start - 0.15)
    assert np.abs(offsets).max() < 1 / fps
    assert max(offsets) - min(offsets) < 0.25 / fps


def hum(seed: int, seconds: float, rate: int, gain: float) -> dict[str, Any]:
    noise = np.random.default_rng(seed).normal(0, gain, round(seconds * rate))
    return audio(np.convolve(noise, np.ones(8) / 8, "same"), rate)


rates, gains = st.sampled_from([4000, 8000, 16000, 44100]), st.sampled_from([0, 0.01, 1])
sounds = st.builds(hum, st.integers(0, 99), st.floats(0.01, 1.5), rates, gains)
some_settings = st.builds(
    LipSyncSettings, strength=st.floats(0, 2), attack=st.floats(0, 0.3), release=st.floats(0, 0.3), head=st.floats(0, 1)
)


@settings(max_examples=40)
@given(sounds, some_settings, st.sampled_from([12.0, 25.0, 30.0]), st.integers(2, 4))
def test_in_range_bounded_and_the_same_at_any_rate(
    sound: dict[str, Any], setting: LipSyncSettings, fps: float, times: int
) -> None:
    slow, fast = (lip_sync.from_audio(sound, rate, setting).values for rate in (fps, fps * times))
    assert torch.equal(pose.limit(slow), slow)
    count = min(len(slow), len(fast[::times]))
    torch.testing.assert_close(slow[:count], fast[::times][:count], atol=1e-5, rtol=0)
    # Nothing opens or shuts faster than the triangle of attack and release lets it, nor than the lips do for a p.
    fastest = 2 * (2 * setting.strength + 1) / max(setting.attack + setting.release - 0.01, 0.02) + 50
    assert len(fast) < 2 or float(fast.diff(dim=0).abs().max()) <= fastest / (fps * times) + 0.01


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (None, "waveform"),
        ({"waveform": torch.zeros(1, 1, 9)}, "sample_rate"),
        ({"waveform": torch.zeros(9), "sample_rate": 8000}, r"\[9\]"),
        ({"waveform": torch.zeros(1, 1, 0), "sample_rate": 8000}, r"\[1, 1, 0\]"),
        ({"waveform": [0.0], "sample_rate": 8000}, "list"),
        ({"waveform": torch.zeros(1, 1, 9), "sample_rate": 0}, "sample rate is 0"),
        ({"waveform": torch.zeros(1, 1, 9), "sample_rate": "8000"}, "sample rate"),
        ({"waveform": torch.full((1, 1, 9), math.nan), "sample_rate": 8000}, "finite"),
    ],
)
def test_what_is_no_audio_is_refused(wrong: Any, says: str) -> None:
    with pytest.raises(MotionError, match=says):
        lip_sync.from_audio(wrong)


def test_the_library_takes_arrays_and_tensors_of_one_or_more_channels() -> None:
    sound = voice(0.5, 16000).astype(np.float32)
    expected = lip_sync.from_audio(audio(sound, 16000), 24).values
    read_only = sound.copy()
    read_only.flags.writeable = False
    doubled = np.stack([sound, sound])
    for waveform in (sound, read_only, sound.astype(">f8"), doubled, np.asfortranarray(doubled), torch.tensor(sound)):
        assert torch.equal(tha4.motion.lip_sync(waveform, 16000, 24).values, expected)
    assert torch.equal(tha4.motion.lip_sync(sound, np.int64(16000), 24).values, expected)
    shut = tha4.motion.lip_sync(sound, 16000, 24, LipSyncSettings(strength=0))
    assert not shut.values[:, MOUTH].any()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros(0, np.float32), r"\[0\]"),
        (np.zeros((1, 1, 9), np.float32), r"\[1, 1, 9\]"),
        ([0.0, 0.1], "list"),
        (np.zeros(900, np.int16), "int16.*32768"),
        (np.zeros((900, 2), np.float32), "900 channels"),
        (np.full(9, np.inf, np.float32), "finite"),
        (np.full(9, 1e30), "outside"),
    ],
)
def test_what_is_no_waveform_is_refused(wrong: Any, says: str) -> None:
    with pytest.raises(MotionError, match=says):
        tha4.motion.lip_sync(wrong, 8000)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(MotionError, match="attack is -1"):
        LipSyncSettings(attack=-1)
