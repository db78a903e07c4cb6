"""Lip sync: from speech, or from the times of its sounds, to a mouth that speaks.

The mouth is worked out at STEPs of 10 ms counted from the start of the sound, and read at exactly k / fps for frame k,
so that it cannot drift. It opens with the loudness of the voice, in the shape of the vowel (see vowels), and is shut in
silence and while the lips hold a sound back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from torch import Tensor

from ... import pose
from ...errors import MotionError
from ...pose import Poses
from .. import timeline
from ..timeline import Array, Flags
from . import opening, vowels
from .features import STEP, listen
from .phonemes import SHAPES, Phoneme

_SHAPE_SECONDS = 0.06
_ACCENT_SECONDS, _ACCENT_APART = 0.5, 0.8


@dataclass(frozen=True)
class LipSyncSettings:
    """`strength` of the mouth 0..2; `attack` and `release` in seconds 0..1: how soon it opens before a sound and shuts
    after it; `silence` in decibels below full scale, -90..0: nothing quieter is speech; `blend` 0.1..10: how much
    vowels blend; `head` and `brows` 0..1: nods and raised brows on stressed syllables.
    """

    strength: float = 1.0
    attack: float = 0.04
    release: float = 0.08
    silence: float = -60.0
    blend: float = 1.5
    head: float = 0.3
    brows: float = 0.3

    def __post_init__(self) -> None:
        for field in fields(self):
            low, high = _BOUNDS[field.name]
            value = getattr(self, field.name)
            if not low <= value <= high:
                raise MotionError(f"Lip sync: {field.name} is {value:g}; it must be from {low:g} to {high:g}.")


_BOUNDS = {"strength": (0.0, 2.0), "attack": (0.0, 1.0), "release": (0.0, 1.0), "silence": (-90.0, 0.0),
           "blend": (0.1, 10.0), "head": (0.0, 1.0), "brows": (0.0, 1.0)}  # fmt: skip
DEFAULT = LipSyncSettings()


def from_audio(audio: Mapping[str, Any], fps: float = 30.0, settings: LipSyncSettings = DEFAULT) -> Poses:
    """Poses that speak an AUDIO: `waveform` `[B, C, T]` in -1..1 and `sample_rate` in Hz; as long as the sound is.

    Channels are mixed, and of a batch the first is spoken. Raises MotionError for what is no such audio.
    """
    waveform, rate = check_audio(audio)
    count = timeline.frame_count(waveform.shape[-1] / rate, fps)
    features = listen(waveform, rate)
    opened = opening.opening(features, settings.silence)
    loud = opened > 0.5
    opened = opened * opening.speechlike(features, opened)
    shapes = vowels.likeness(features.cepstra, loud, settings.blend) if loud.any() else np.zeros((len(loud), len(SHAPES)))
    hissing = opening.hissing(features)
    # The teeth are close together in a hiss, whatever the vowel beside it.
    mouth = _smooth(shapes, _SHAPE_SECONDS / 2, _SHAPE_SECONDS / 2) * (opened * (1 - hissing))[:, None]
    mouth[:, 1] += 0.3 * opened * hissing
    return _speak(mouth, _accents(features.level, loud), fps, count, settings, opening.closures(features))


def from_phonemes(
    phonemes: Sequence[Phoneme], fps: float = 30.0, settings: LipSyncSettings = DEFAULT, seconds: float | None = None
) -> Poses:
    """Poses that speak sounds at their times; until the last one is over, or for `seconds`."""
    end = max((p.end for p in phonemes), default=0.0) + settings.release if seconds is None else seconds
    count = timeline.frame_count(end, fps)
    mouth = np.zeros((math.ceil(count / fps / STEP) + 2, len(SHAPES)))
    for phoneme in phonemes:
        first, last = (min(round(t / STEP), len(mouth)) for t in (phoneme.start, phoneme.end))
        mouth[first : max(last, first + 1)] = phoneme.mouth
    return _speak(mouth, np.zeros(len(mouth)), fps, count, settings)


def check_audio(audio: Mapping[str, Any]) -> tuple[Tensor, float]:
    """The sound `[C, T]` and the rate in Hz of an AUDIO. Raises MotionError for what is none."""
    if not isinstance(audio, Mapping) or "waveform" not in audio or "sample_rate" not in audio:
        raise MotionError("The audio must have a waveform and a sample_rate.")
    waveform, rate = audio["waveform"], audio["sample_rate"]
    if not isinstance(waveform, Tensor) or waveform.ndim != 3 or waveform.numel() == 0:
        shape = list(waveform.shape) if isinstance(waveform, Tensor) else type(waveform).__name__
        raise MotionError(f"The audio's waveform must have the shape [batch, channels, samples]; it is {shape}.")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 4000 <= rate <= 400_000:
        raise MotionError(f"The audio's sample rate is {rate}; it must be from 4000 to 400000 Hz.")
    return waveform[0], float(rate)


def _accents(level: Array, loud: Flags) -> Array:
    """Nods on stressed syllables, 0..1 `[J]`: bumps around the loudest moments, well apart."""
    result = np.zeros(len(level))
    if not loud.any():
        return result
    strong = _smooth(np.maximum(level, level[loud].min() - opening.SPAN)[:, None], 0.1, 0.1)[:, 0]
    threshold = float(np.percentile(strong[loud], 60))
    apart, half = round(_ACCENT_APART / STEP), round(_ACCENT_SECONDS / STEP / 2)
    bump = np.hanning(2 * half + 1)
    last = -apart
    for j in np.flatnonzero(_is_peak(strong) & (strong >= threshold)):
        if j - last >= apart:
            first, end = max(j - half, 0), min(j + half + 1, len(result))
            result[first:end] = np.maximum(result[first:end], bump[first - j + half : end - j + half])
            last = int(j)
    return result


def _is_peak(values: Array) -> Flags:
    before, after = np.concatenate([[-np.inf], values[:-1]]), np.concatenate([values[1:], [-np.inf]])
    result: Flags = (values > before) & (values >= after)
    return result


def _smooth(values: Array, attack: float, release: float) -> Array:
    """Each column averaged with weights that rise over `attack` seconds to come and fall over `release` past."""
    ahead, behind = max(1, round(attack / STEP)), max(1, round(release / STEP))
    kernel = np.concatenate([np.arange(1, ahead + 1) / ahead, 1 - np.arange(1, behind) / behind])
    kernel /= kernel.sum()
    padded = np.concatenate([np.repeat(values[:1], behind - 1, 0), values, np.repeat(values[-1:], ahead - 1, 0)])
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)


def _speak(
    mouth: Array, accents: Array, fps: float, count: int, settings: LipSyncSettings, shut: Array | float = 0.0
) -> Poses:
    """Poses from mouth shapes `[J, 5]`, accents `[J]` and closures `[J]` at every STEP."""
    smooth = np.clip(settings.strength * _smooth(mouth, settings.attack, settings.release), 0, 1)
    # After the smoothing, which would fill them: lips shut for a p in less time than they open for a vowel.
    smooth *= (1 - np.asarray(shut))[..., None]
    steps, frames = np.arange(len(mouth)) * STEP, timeline.frame_times(count, fps)
    values = np.zeros((count, pose.COUNT))
    for column, index in enumerate(SHAPES):
        values[:, index] = np.interp(frames, steps, smooth[:, column])
    accent = np.interp(frames, steps, accents)
    values[:, pose.indices("head_x")[0]] = -0.5 * settings.head * accent
    values[:, list(pose.indices("eyebrow_raised"))] = settings.brows * accent[:, None]
    return timeline.to_poses(values, fps)
