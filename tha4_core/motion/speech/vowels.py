"""Which vowel is spoken: short-time spectra compared with those of a source–filter model of the voice.

A vowel is where its formants are (the resonances of the mouth; Fant 1960). For each vowel a few places are tried, since
languages differ, and for each several lengths of the vocal tract, since voices do; the length that fits a recording
best is taken for all of it. Beside these templates a linear discriminant judges, which was trained on random vowels of
the same model (`train`). Spectra are compared as mel cepstra, which leave loudness and pitch aside, after what all of a
recording has in common was taken out of them: its microphone, its room, the timbre of its voice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..timeline import Array, Flags
from .features import CEPSTRA, cepstra_of, mel_bands

VOWELS = ("a", "i", "u", "e", "o")

# Hz: the first four formants of an adult's vowels, fronted and backed, closer and opener. The last "a" is the neutral
# vowel of unstressed syllables, which weak vowels of many languages come close to.
FORMANTS: dict[str, tuple[tuple[float, ...], ...]] = {
    "a": ((760, 1250, 2600, 3500), (680, 1100, 2500, 3400), (720, 1500, 2500, 3500), (500, 1500, 2500, 3500)),
    "i": ((280, 2250, 3000, 3600), (320, 2050, 2700, 3500)),
    "u": ((320, 750, 2300, 3300), (330, 1000, 2300, 3300), (340, 1350, 2300, 3300)),
    "e": ((480, 1950, 2600, 3550), (430, 2050, 2650, 3550), (560, 1800, 2500, 3500)),
    "o": ((450, 800, 2450, 3400), (520, 920, 2450, 3400), (400, 720, 2400, 3300)),
}
BANDWIDTHS = (90.0, 110.0, 170.0, 250.0)
_TRACTS = (0.88, 0.95, 1.02, 1.1, 1.18, 1.27)
# The middle cepstra tell vowels apart best.
LIFTER: Array = 1 + 1.5 * np.sin(np.pi * np.arange(1, CEPSTRA + 1) / CEPSTRA)

# How much of what a recording has in common is taken out, and of how much more or less than usual it varies. Where its
# spectra vary less than those of any speech, as in one vowel held on, the common part is the vowel itself, and stays.
_COMMON, _EVENED, _VARIANCES = 0.45, 0.7, (4.0, 9.0)
# Distances are about such a multiple of a logarithm of a probability.
_SOFTNESS = 1.5
# The discriminant's part in the verdict.
_TRUST = 0.6


@dataclass(frozen=True)
class Discriminant:
    """A softmax regression: `weights` `[5, 12]`, `bias` `[5]`, and the usual `spread` `[12]` of what it judges."""

    weights: Array
    bias: Array
    spread: Array


def likeness(cepstra: Array, voiced: Flags, softness: float = _SOFTNESS) -> Array:
    """How much each spectrum is each of the five vowels, float64 `[J, 5]`, rows adding up to 1.

    `cepstra` `[J, 12]` as in Features. `voiced` `[J]` says which of them are loud enough to tell what the voice and the
    recording are like; at least one is. Larger `softness` blends more.
    """
    mean, spread = cepstra[voiced].mean(axis=0), cepstra[voiced].std(axis=0)
    varying = float(np.clip((((spread * LIFTER) ** 2).mean() - _VARIANCES[0]) / np.ptp(_VARIANCES), 0, 1))
    discriminant = _discriminant()
    centred = (cepstra - mean) * evening(spread, discriminant.spread) ** varying
    trust = _TRUST * varying
    distances = (1 - trust) * _template_distances(centred, mean, voiced, _COMMON * varying)
    distances += trust * _discriminant_distances(centred, discriminant)
    nearness = -distances / softness
    weights = np.exp(nearness - nearness.max(axis=1, keepdims=True))
    result: Array = weights / weights.sum(axis=1, keepdims=True)
    return result


def evening(spread: Array, usual: Array) -> Array:
    """What to multiply each of the cepstra by `[12]`, so that its `spread` comes nearer to what is `usual`."""
    result: Array = (usual / np.maximum(spread, 1e-3)) ** _EVENED
    return result


def _template_distances(centred: Array, mean: Array, voiced: Flags, common: float) -> Array:
    """The distances to the vowels `[J, 5]` for that length of the vocal tract that fits the recording best."""
    results = []
    for tract in _TRACTS:
        templates, _ = _templates(tract)
        middle = (1 - common) * mean * LIFTER + common * templates.mean(axis=0)
        results.append(_distances(centred * LIFTER + middle, tract))
    return min(results, key=lambda distances: float(distances[voiced].min(axis=1).mean()))


def _distances(liftered: Array, tract: float) -> Array:
    """The mean squared distance to each vowel `[J, 5]`: about that to the nearest of its places."""
    templates, sizes = _templates(tract)
    square = (liftered**2).sum(axis=1)[:, None] + (templates**2).sum(axis=1) - 2 * liftered @ templates.T
    nearness = square / (-CEPSTRA * _SOFTNESS)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    result: Array = -_SOFTNESS * np.logaddexp.reduceat(nearness, starts, axis=1)
    return result


def _discriminant_distances(centred: Array, discriminant: Discriminant) -> Array:
    """Minus the scaled logarithm of the probability of each vowel `[J, 5]`, for cepstra minus their mean."""
    scores = centred @ discriminant.weights.T + discriminant.bias
    result: Array = _SOFTNESS * (np.logaddexp.reduce(scores, axis=1, keepdims=True) - scores)
    return result


def constants() -> dict[str, Any]:
    """The numbers that the page needs to judge the same (web/js/live/speech/vowels.js)."""
    discriminant = _discriminant()
    return {
        "lifter": LIFTER.tolist(),
        "tracts": [_templates(tract)[0].round(5).tolist() for tract in _TRACTS],
        "places": _templates(_TRACTS[0])[1],
        "common": _COMMON,
        "evened": _EVENED,
        "variances": _VARIANCES,
        "softness": _SOFTNESS,
        "trust": _TRUST,
        "weights": discriminant.weights.tolist(),
        "bias": discriminant.bias.tolist(),
        "spread": discriminant.spread.tolist(),
    }


@cache
def _discriminant() -> Discriminant:
    table = json.loads(Path(__file__).with_name("discriminant.json").read_text(encoding="utf-8"))
    return Discriminant(**{name: np.array(values) for name, values in table.items()})


@cache
def _templates(tract: float) -> tuple[Array, tuple[int, ...]]:
    """The liftered cepstra of every place of every vowel `[P, 12]`, and how many places each vowel has."""
    frequencies = np.linspace(0, 4000, 801)
    bands = mel_bands(frequencies)
    rows = [bands @ envelope(np.array(places) * tract, frequencies) for v in VOWELS for places in FORMANTS[v]]
    return cepstra_of(np.stack(rows)) * LIFTER, tuple(len(FORMANTS[v]) for v in VOWELS)


def envelope(formants: Array, frequencies: Array, bandwidths: tuple[float, ...] | Array = BANDWIDTHS) -> Array:
    """The power spectrum of a vowel at `frequencies` in Hz `[F]`, from its four formants and their widths in Hz `[4]`.

    A voice falling by 12 dB an octave, four resonances, the lips' rise by 6.
    """
    response = np.ones_like(frequencies, dtype=np.complex128)
    for centre, bandwidth in zip(formants, bandwidths, strict=True):
        response *= centre**2 / (centre**2 - frequencies**2 + 1j * frequencies * bandwidth)
    source = (frequencies / 300) / (1 + (frequencies / 300) ** 2)
    result: Array = (np.abs(response) * source) ** 2
    return result
