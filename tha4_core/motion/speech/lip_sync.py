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
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import pose
from ...errors import MotionError
from ...pose import Poses
from .. import timeline
from ..timeline import Array, Flags
from . import opening, vowels
from .features import STEP, Features, listen
from .phonemes import SHAPES, Phoneme

_SHAPE_SECONDS = 0.06
_ACCENT_SECONDS, _ACCENT_APART = 0.5, 0.8
# What is so many decibels under the usual is no syllable.
_ACCENT_DEPTH = 30.0
# What opens the mouth further than this is a vowel.
_LOUD = 0.5
_MAX_CHANNELS = 256


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
    if not isinstance(audio, Mapping) or "waveform" not in audio or "sample_rate" not in audio:
        raise MotionError("The audio must have a waveform and a sample_rate.")
    waveform = audio["waveform"]
    if not isinstance(waveform, Tensor) or waveform.ndim != 3 or waveform.numel() == 0:
        raise MotionError(
            f"The audio's waveform must have the shape [batch, channels, samples]; it is {_shape(waveform)}."
        )
    return from_waveform(waveform[0], audio["sample_rate"], fps, settings)


def from_waveform(
    waveform: Tensor | NDArray[Any], rate: float, fps: float = 30.0, settings: LipSyncSettings = DEFAULT
) -> Poses:
    """Poses that speak a sound `[channels, samples]` or `[samples]` in -1..1 at `rate` Hz; as long as the sound is.

    Channels are mixed. Raises MotionError for what is no sound.
    """
    waveform, rate = _check_waveform(waveform), _check_rate(rate)
    count = timeline.frame_count(waveform.shape[-1] / rate, fps)
    features = listen(waveform, rate)
    usual = opening.usual_level(features.level, settings.silence)
    opened = opening.opening(features.level, usual, settings.silence)
    opened *= opening.speaking(features, opened)
    mouth = _mouth(features, opened, settings.blend)
    accents = _accents(features.level - usual, opened > _LOUD)
    return _speak(mouth, accents, fps, count, settings, opening.closures(features))


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


def _check_waveform(waveform: Any) -> Tensor:
    """The sound as a tensor `[channels, samples]`."""
    if not isinstance(waveform, Tensor | np.ndarray) or waveform.ndim not in (1, 2) or 0 in waveform.shape:
        raise MotionError(
            f"The waveform must have the shape [channels, samples] or [samples]; it is {_shape(waveform)}."
        )
    if waveform.ndim == 2 and waveform.shape[0] > _MAX_CHANNELS:
        raise MotionError(f"The waveform has {waveform.shape[0]} channels: its shape must be [channels, samples].")
    if not (waveform.is_floating_point() if isinstance(waveform, Tensor) else waveform.dtype.kind == "f"):
        raise MotionError(
            f"The waveform holds {waveform.dtype}; it must hold floats in -1..1: divide 16-bit ones by 32768."
        )
    if isinstance(waveform, np.ndarray):
        waveform = torch.from_numpy(np.require(waveform, np.float32, ["C", "W"]))
    sound: Tensor = waveform if waveform.ndim == 2 else waveform[None]
    return sound


def _check_rate(rate: Any) -> float:
    if (
        isinstance(rate, bool)
        or not isinstance(rate, int | float | np.integer | np.floating)
        or not 4000 <= rate <= 400_000
    ):
        raise MotionError(f"The audio's sample rate is {rate}; it must be from 4000 to 400000 Hz.")
    return float(rate)


def _shape(value: Any) -> str:
    return str(list(value.shape)) if isinstance(value, Tensor | np.ndarray) else type(value).__name__


def _mouth(features: Features, opened: Array, blend: float) -> Array:
    """Mouth shapes `[J, 5]`: the vowels that are heard, as far as the mouth is `opened` `[J]`."""
    loud = opened > _LOUD
    if not loud.any():
        return np.zeros((len(features), len(SHAPES)))
    shapes = _smooth(vowels.likeness(features.cepstra, loud, blend), _SHAPE_SECONDS / 2, _SHAPE_SECONDS / 2)
    hissing = opening.hissing(features)
    # The teeth are close together in a hiss, whatever the vowel beside it.
    mouth: Array = shapes * (opened * (1 - hissing))[:, None]
    mouth[:, 1] += 0.3 * opened * hissing
    return mouth


def _accents(level: Array, loud: Flags) -> Array:
    """Nods on stressed syllables, 0..1 `[J]`: bumps around the loudest moments, well apart.

    `level` `[J]` in decibels over what is usual around each step, so that a quiet part has accents as well.
    """
    result = np.zeros(len(level))
    if not loud.any():
        return result
    strong = _smooth(np.maximum(level, -_ACCENT_DEPTH)[:, None], 0.1, 0.1)[:, 0]
    threshold = float(np.percentile(strong[loud], 60))
    apart, half = round(_ACCENT_APART / STEP), round(_ACCENT_SECONDS / STEP / 2)
    bump = np.hanning(2 * half + 1)
    last = -apart
    for j in np.flatnonzero(_is_peak(strong) & (strong >= threshold) & loud):
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
