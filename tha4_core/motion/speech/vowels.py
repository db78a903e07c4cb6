"""Which vowel is spoken: short-time spectra compared with those of a source–filter model of the voice.

A vowel is where its formants are (the resonances of the mouth; Fant 1960). For each vowel a few places are tried, since
languages differ, and for each several lengths of the vocal tract, since voices do; the length that fits a recording
best is taken for all of it. Spectra are compared as mel cepstra, which leave loudness and pitch aside.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..timeline import Array, Flags

VOWELS = ("a", "i", "u", "e", "o")
STEP = 0.01
"""Seconds from one spectrum to the next; the nth lies around exactly n · STEP."""

_WINDOW = 0.04
_LOW, _HIGH = 120.0, 3800.0
_BANDS, _CEPSTRA = 30, 12
# Below a thousandth of a spectrum's peak there is more of the room than of the voice.
_FLOOR = 1e-3
_CHUNK = 2000
_HISS_FROM = 4500.0

# Hz: the first four formants of an adult's vowels, fronted and backed, closer and opener.
_FORMANTS: dict[str, tuple[tuple[float, ...], ...]] = {
    "a": ((760, 1250, 2600, 3500), (680, 1100, 2500, 3400), (720, 1500, 2500, 3500)),
    "i": ((280, 2250, 3000, 3600), (320, 2050, 2700, 3500)),
    "u": ((320, 750, 2300, 3300), (330, 1000, 2300, 3300), (340, 1350, 2300, 3300)),
    "e": ((480, 1950, 2600, 3550), (430, 2050, 2650, 3550), (560, 1800, 2500, 3500)),
    "o": ((450, 800, 2450, 3400), (520, 920, 2450, 3400), (400, 720, 2400, 3300)),
}
_BANDWIDTHS = (90.0, 110.0, 170.0, 250.0)
_TRACTS = (0.88, 0.95, 1.02, 1.1, 1.18, 1.27)


def spectra(samples: Array, rate: float) -> tuple[Array, Array]:
    """For every STEP of a recording `[T]`: the power in mel bands `[J, 30]`, and in the band of hisses `[J]`.

    In units of mean square, so that all bands of a full-scale sine add up to about a half. The band of hisses is 0 for
    recordings that do not reach up there (under about 9 kHz).
    """
    thinning = max(1, int(rate // 16000))
    count = math.floor(len(samples) / rate / STEP) + 1
    width = max(16, round(_WINDOW * rate / thinning))
    size = 1 << (width - 1).bit_length()
    frequencies = np.arange(size // 2 + 1, dtype=np.float64) * (rate / thinning / size)
    window = np.hanning(width)
    # Mean square, and the hisses as one more band.
    unit = 2 / (size * float((window**2).sum()))
    bands = np.vstack([mel_bands(frequencies), frequencies >= _HISS_FROM]).T.astype(np.float32) * np.float32(unit)
    # Each window lies around its own time, computed from its number: no error adds up.
    starts = np.round((np.arange(count) * STEP * rate - (thinning - 1) / 2) / thinning).astype(np.int64)
    padded = np.concatenate([np.zeros(width // 2), _thin(samples, thinning), np.zeros(2 * width)]).astype(np.float32)
    result = np.empty((count, _BANDS + 1))
    for first in range(0, count, _CHUNK):
        part = slice(first, min(first + _CHUNK, count))
        pieces = padded[starts[part, None] + np.arange(width)] * window.astype(np.float32)
        spectrum = np.fft.rfft(pieces, size)
        result[part] = (spectrum.real**2 + spectrum.imag**2) @ bands
    return result[:, :-1], result[:, -1]


def _thin(samples: Array, thinning: int) -> Array:
    """The means of every `thinning` samples, which is filter enough for what is compared here."""
    whole = samples[: len(samples) // thinning * thinning]
    total = whole[::thinning].copy()
    for start in range(1, thinning):
        total += whole[start::thinning]
    result: Array = total / thinning
    return result


def mel_bands(frequencies: Array) -> Array:
    """Triangular filters, equally wide in mel, as weights `[30, F]` of the given frequencies in Hz `[F]`."""
    low, high = (2595 * math.log10(1 + f / 700) for f in (_LOW, _HIGH))
    edges = 700 * (10 ** (np.linspace(low, high, _BANDS + 2) / 2595) - 1)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    result: Array = np.clip(np.minimum(rising, falling), 0, None)
    return result


def likeness(bands: Array, voiced: Flags, softness: float = 1.0) -> Array:
    """How much each spectrum `[J, 30]` is each of the five vowels, float64 `[J, 5]`, rows adding up to 1.

    `voiced` `[J]` says which spectra choose the length of the vocal tract. Larger `softness` blends more.
    """
    cepstra = _cepstra(bands)
    distances = {tract: _distances(cepstra, tract) for tract in _TRACTS}
    chosen = voiced if voiced.any() else np.ones(len(bands), dtype=bool)
    best = min(_TRACTS, key=lambda tract: float(distances[tract][chosen].min(axis=1).mean()))
    nearness = -distances[best] / softness
    weights = np.exp(nearness - nearness.max(axis=1, keepdims=True))
    result: Array = weights / weights.sum(axis=1, keepdims=True)
    return result


def _distances(cepstra: Array, tract: float) -> Array:
    """The mean squared distance to the nearest place of each vowel, `[J, 5]`."""
    templates, sizes = _templates(tract)
    square = (cepstra**2).sum(axis=1)[:, None] + (templates**2).sum(axis=1) - 2 * cepstra @ templates.T
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    result: Array = np.minimum.reduceat(square, starts, axis=1) / _CEPSTRA
    return result


@cache
def _templates(tract: float) -> tuple[Array, tuple[int, ...]]:
    frequencies = np.linspace(0, 4000, 801)
    bands = mel_bands(frequencies)
    rows = [bands @ _envelope(formants, frequencies, tract) for v in VOWELS for formants in _FORMANTS[v]]
    return _cepstra(np.stack(rows)), tuple(len(_FORMANTS[v]) for v in VOWELS)


def _envelope(formants: tuple[float, ...], frequencies: Array, tract: float) -> Array:
    """The power spectrum of a vowel: a voice falling by 12 dB an octave, four resonances, the lips' rise by 6."""
    response = np.ones_like(frequencies, dtype=np.complex128)
    for formant, bandwidth in zip(formants, _BANDWIDTHS, strict=True):
        centre = formant * tract
        response *= centre**2 / (centre**2 - frequencies**2 + 1j * frequencies * bandwidth)
    source = (frequencies / 300) / (1 + (frequencies / 300) ** 2)
    result: Array = (np.abs(response) * source) ** 2
    return result


def _cepstra(bands: Array) -> Array:
    peak = np.maximum(bands.max(axis=1, keepdims=True), 1e-20)
    result: Array = np.log(bands / peak + _FLOOR) @ _cosines()
    return result


@cache
def _cosines() -> Array:
    """The cosine transform from bands to cepstra `[30, 12]`, liftered: the middle ones tell vowels apart best."""
    order, band = np.arange(1, _CEPSTRA + 1), np.arange(_BANDS)
    cosines = np.cos(np.pi * (band[:, None] + 0.5) * order / _BANDS) * math.sqrt(2 / _BANDS)
    result: Array = cosines * (1 + 1.5 * np.sin(np.pi * order / _CEPSTRA))
    return result
