"""Trains the discriminant of vowels on random vowels of the source–filter model; nobody's recordings are in it.

    python -m tha4_core.motion.speech.train

writes discriminant.json beside this file, the same one every time, in a few seconds.

Every random recording has one voice (pitch, length of the vocal tract, how steeply its overtones fall) and one channel
(microphone, room, noise). Its vowels are random places around the formants that the templates have too. As in use, the
mean of each recording is taken out of its cepstra. The discriminant is a softmax regression (Bishop 2006, 4.3.4).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from ..timeline import Array, Index
from .features import BANDS, CEPSTRA, cepstra_of, mel_bands
from .vowels import BANDWIDTHS, FORMANTS, VOWELS, Discriminant, envelope, evening

_RECORDINGS, _VOWELS_EACH = 400, 40
_DECAY = 1e-3
_GRID = 5.0


def train(seed: int = 0) -> Discriminant:
    """The discriminant; the same seed gives the same one."""
    dice = np.random.default_rng(seed)
    recordings = [_recording(dice) for _ in range(_RECORDINGS)]
    usual = np.concatenate([cepstra for cepstra, _ in recordings]).std(axis=0)
    cepstra = np.concatenate([cepstra * evening(cepstra.std(axis=0), usual) for cepstra, _ in recordings])
    weights, bias = _fit(cepstra, np.concatenate([labels for _, labels in recordings]))
    return Discriminant(weights, bias, usual)


def _fit(cepstra: Array, labels: Index) -> tuple[Array, Array]:
    def loss(parameters: Array) -> tuple[float, Array]:
        weights, bias = np.split(parameters, [5 * CEPSTRA])
        scores = cepstra @ weights.reshape(5, CEPSTRA).T + bias
        logs = scores - logsumexp(scores, axis=1, keepdims=True)
        error = (np.exp(logs) - wanted) / len(labels)
        slope = np.concatenate([(error.T @ cepstra).ravel() + 2 * _DECAY * weights, error.sum(axis=0)])
        return -float(logs[wanted > 0].mean()) + _DECAY * float((weights**2).sum()), slope

    wanted = np.eye(5)[labels]
    best = minimize(loss, np.zeros(5 * CEPSTRA + 5), jac=True, method="L-BFGS-B").x
    return best[: 5 * CEPSTRA].reshape(5, CEPSTRA), best[5 * CEPSTRA :]


def _recording(dice: np.random.Generator) -> tuple[Array, Index]:
    """Cepstra minus their mean `[V, 12]` and which vowels they are `[V]`."""
    pitch, tract = np.exp(dice.uniform(np.log(85), np.log(260))), dice.uniform(0.85, 1.25)
    tilt, noise = dice.uniform(-6, 6), 10 ** dice.uniform(-5, -2.5)
    labels = dice.choice(5, _VOWELS_EACH, p=dice.dirichlet(np.full(5, 3.0)))
    cepstra = cepstra_of(np.stack([_vowel(dice, int(k), pitch, tract, tilt, noise) for k in labels]))
    return cepstra - cepstra.mean(axis=0), labels


def _vowel(dice: np.random.Generator, label: int, pitch: float, tract: float, tilt: float, noise: float) -> Array:
    """The power of one random vowel in mel bands `[30]`."""
    places = FORMANTS[VOWELS[label]]
    formants = np.array(places[dice.integers(len(places))]) * tract * np.exp(dice.normal(0, 0.05, 4))
    widths = np.array(BANDWIDTHS) * np.exp(dice.normal(0, 0.3, 4))
    harmonics = pitch * np.exp(dice.normal(0, 0.1)) * np.arange(1, 60)
    harmonics = harmonics[harmonics < 4000]
    power = envelope(formants, harmonics, widths) * (harmonics / 1000) ** (tilt / 3)
    bands = _smeared_bands()[:, np.round(harmonics / _GRID).astype(int)] @ power
    result: Array = bands + noise * bands.max() * dice.uniform(0.5, 1.5, BANDS)
    return result


@cache
def _smeared_bands() -> Array:
    """The mel bands `[30, F]` of lines at every _GRID Hz up to 4000, as wide as a window of 40 ms makes them."""
    offsets = np.linspace(-40, 40, 9)
    lobe = np.cos(np.pi * offsets / 100) ** 4
    lines = np.arange(0, 4000 + _GRID, _GRID)
    parts = [weight * mel_bands(lines + offset) for weight, offset in zip(lobe, offsets, strict=True)]
    result: Array = sum(parts) / lobe.sum()
    return result


if __name__ == "__main__":
    table = {name: np.round(values, 2).tolist() for name, values in asdict(train()).items()}
    Path(__file__).with_name("discriminant.json").write_text(json.dumps(table) + "\n", encoding="utf-8")
