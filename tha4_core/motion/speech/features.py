"""What is heard every 10 ms: the shape of the spectrum, how loud it is, how much of it is hiss, how much is a voice.

The sound is read in blocks, so that only these few numbers for each step stay in memory however long it lasts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...errors import MotionError
from .. import cancellation
from ..timeline import Array, Index

STEP = 0.01
"""Seconds from one step to the next; the nth lies around exactly n · STEP."""
CEPSTRA = 12
BANDS = 30

_WINDOW = 0.04
_LOW, _HIGH = 120.0, 3800.0
# Below a thousandth of a spectrum's peak there is more of the room than of the voice.
_FLOOR = 1e-3
_BLOCK = 2000
_LOUDEST = 1e6
_HISS_FROM = 4500.0
# Lips that are shut let little through above this; a hum below it goes on through the nose.
_UPPER_FROM = 500.0
# Seconds in which voices repeat themselves, and the frequencies in which that is looked for.
_PERIODS = 1 / np.linspace(400, 70, 160)
_PITCH_BAND = (80.0, 1500.0)
# Of a voice at least so much of that is so near to its pitch.
_FUNDAMENTAL, _PITCH_WIDTH = 0.002, 40.0
_NOTHING = 1e-12

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """A sound at J steps, float64.

    `cepstra` `[J, 12]`: the shape of the spectrum as mel cepstra, without loudness and pitch. `level` `[J]` in decibels
    below a full scale of mean square 1, and `upper` `[J]` the same of 500 to 3800 Hz alone. `hiss` `[J]`: the share of
    the power above 4500 Hz, 0..1; 0 for a rate under about 9 kHz. `voicing` `[J]`: how well the sound repeats itself
    at the pitch of a voice, about 0..1.
    """

    cepstra: Array
    level: Array
    upper: Array
    hiss: Array
    voicing: Array

    def __len__(self) -> int:
        return len(self.level)


def listen(waveform: Tensor, rate: float) -> Features:
    """The features of a sound `[channels, samples]` in -1..1 at `rate` Hz; its channels are mixed.

    Raises MotionError for samples that are not finite.
    """
    # The means of every few samples are filter enough for what is compared here.
    thinning = max(1, int(rate // 16000))
    parts = [_measure(windows, rate / thinning) for windows in _windows(waveform, rate, thinning)]
    return Features(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def cepstra_of(bands: Array) -> Array:
    """Mel cepstra `[J, 12]` of the power in mel bands `[J, 30]`: the cosine transform of their logarithms."""
    peak = np.maximum(bands.max(axis=1, keepdims=True), 1e-20)
    result: Array = np.log(bands / peak + _FLOOR) @ _cosines()
    return result


def mel_bands(frequencies: Array) -> Array:
    """Triangular filters, equally wide in mel, as weights `[30, F]` of the given frequencies in Hz `[F]`."""
    edges = _band_edges()
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    result: Array = np.clip(np.minimum(rising, falling), 0, None)
    return result


def _measure(windows: Samples, rate: float) -> tuple[Array, ...]:
    """The columns of Features for windows `[J, W]` of a sound at `rate`."""
    width = windows.shape[1]
    size = 1 << (width - 1).bit_length()
    spectrum = np.fft.rfft(windows * np.hanning(width).astype(np.float32), size)
    power: Samples = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    sums = (power @ _power_weights(width, size, rate)).astype(np.float64)
    bands, hiss = sums[:, :BANDS], sums[:, BANDS]
    total = sums.sum(axis=1) + _NOTHING
    upper = bands[:, _band_edges()[1:-1] >= _UPPER_FROM].sum(axis=1) + _NOTHING
    return cepstra_of(bands), 10 * np.log10(total), 10 * np.log10(upper), hiss / total, _voicing(power, width, rate)


@lru_cache(maxsize=8)
def _power_weights(width: int, size: int, rate: float) -> Samples:
    """What a power spectrum `[F]` is multiplied by to get the power in mel bands and of the hiss, `[F, 30 + 1]`.

    In units of mean square: those of a full-scale sine add up to about a half.
    """
    frequencies = np.linspace(0, rate / 2, size // 2 + 1, dtype=np.float64)
    unit = 2 / (size * float((np.hanning(width) ** 2).sum()))
    result: Samples = (np.vstack([mel_bands(frequencies), frequencies >= _HISS_FROM]).T * unit).astype(np.float32)
    return result


def _voicing(power: Samples, width: int, rate: float) -> Array:
    """How well each sound repeats itself at the pitch of one voice, about 0..1 `[J]`, from its power spectrum `[J, F]`.

    The highest normalized autocorrelation at the periods of voices. A chord repeats itself too, at a pitch far below
    all of its notes; but at that pitch itself there is nothing in it.
    """
    step = rate / (2 * (power.shape[1] - 1))
    low, high = (round(edge / step) for edge in _PITCH_BAND)
    correlations = power[:, low:high] @ _waves(low, high, step, width, rate)
    highest = correlations[:, 1:].max(axis=1)
    pitch = 1 / _PERIODS[(correlations[:, 1:] >= 0.95 * highest[:, None]).argmax(axis=1)]
    sums = np.cumsum(power[:, :high], axis=1)
    around = (np.round((pitch + side) / step).astype(np.int64) for side in (-_PITCH_WIDTH, _PITCH_WIDTH))
    before, through = (sums[np.arange(len(sums)), edge] for edge in around)
    fundamental = (through - before) / (sums[:, -1] + _NOTHING)
    result: Array = highest / (correlations[:, 0] + _NOTHING) * np.clip(fundamental / _FUNDAMENTAL, 0, 1)
    return result


@lru_cache(maxsize=8)
def _waves(low: int, high: int, step: float, width: int, rate: float) -> Samples:
    """What a power spectrum is multiplied by to get the autocorrelation at 0 and at _PERIODS, `[F, 1 + P]`.

    That of the sound itself: what the window does to it is divided out.
    """
    lags = np.concatenate([[0.0], _PERIODS])
    window = np.hanning(width)
    fading = np.interp(lags * rate, np.arange(width), np.correlate(window, window, "full")[width - 1 :])
    frequencies = np.arange(low, high) * step
    result: Samples = (np.cos(2 * np.pi * frequencies[:, None] * lags) * (fading[0] / fading)).astype(np.float32)
    return result


def _windows(waveform: Tensor, rate: float, thinning: int) -> Iterator[Samples]:
    """The windows around every step, a block of them `[J, W]` at a time, at `rate` / `thinning`."""
    count = math.floor(waveform.shape[-1] / rate / STEP) + 1
    width = max(16, round(_WINDOW * rate / thinning))
    # Each window lies around its own time, computed from its number: no error adds up.
    centres: Index = np.round((np.arange(count) * STEP * rate - (thinning - 1) / 2) / thinning).astype(np.int64)
    for first in range(0, count, _BLOCK):
        cancellation.check()
        starts = centres[first : first + _BLOCK] - width // 2
        samples = _mono(waveform, int(starts[0]) * thinning, (int(starts[-1]) + width) * thinning)
        thinned = samples.reshape(-1, thinning).mean(axis=1)
        yield thinned[(starts - starts[0])[:, None] + np.arange(width)]


def _mono(waveform: Tensor, start: int, end: int) -> Samples:
    """Samples `[end - start]` of a sound `[C, T]`, its channels mixed; beyond its ends there is silence."""
    first, last = max(start, 0), min(end, waveform.shape[-1])
    samples: Samples = waveform[:, first:last].detach().float().mean(dim=0).cpu().numpy()
    if not (np.abs(samples) <= _LOUDEST).all():
        raise MotionError("The audio has samples that are not finite or far outside of -1..1.")
    return np.pad(samples, (first - start, end - last))


@cache
def _band_edges() -> Array:
    low, high = (2595 * math.log10(1 + f / 700) for f in (_LOW, _HIGH))
    result: Array = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    return result


def constants() -> dict[str, Any]:
    """The numbers that the page needs to measure the same (web/js/live/speech/features.js)."""
    return {
        "step": STEP,
        "window": _WINDOW,
        "bandEdges": _band_edges().tolist(),
        "cepstra": CEPSTRA,
        "floor": _FLOOR,
        "hissFrom": _HISS_FROM,
        "upperFrom": _UPPER_FROM,
        "periods": _PERIODS.tolist(),
        "pitchBand": _PITCH_BAND,
        "fundamental": _FUNDAMENTAL,
        "pitchWidth": _PITCH_WIDTH,
    }


@cache
def _cosines() -> Array:
    order, band = np.arange(1, CEPSTRA + 1), np.arange(BANDS)
    result: Array = np.cos(np.pi * (band[:, None] + 0.5) * order / BANDS) * math.sqrt(2 / BANDS)
    return result
