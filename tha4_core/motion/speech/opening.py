"""How far the mouth is open: with the loudness of a voice, shut while the lips hold a sound back, and for no noise."""

from __future__ import annotations

import numpy as np

from ..timeline import Array
from .features import STEP, Features
from .vowels import LIFTER

# Speech spans about so many decibels from its loud vowels down to sounds made behind nearly closed lips.
SPAN = 18.0
# How loud the voice usually is, is told from so many seconds around, so that a quieter part opens the mouth as well;
_USUAL_SECONDS, _USUAL_PERCENT = 3.0, 90
# but not from what is so many decibels below the loudest parts, or no more than so many above the noise.
_USUAL_RANGE, _USUAL_OVER_NOISE = 30.0, 16.0
# A dip of so many decibels between two vowels so many seconds away is made by the lips or the tongue,
_DIP, _UPPER_DIP, _DIP_SECONDS = (5.0, 9.0), (8.0, 13.0), 0.12
# and a weak i or u is a dip too: it must not shut the mouth wholly.
_SHUT = 0.85


def opening(features: Features, silence: float) -> Array:
    """How far loudness opens the mouth, 0..1 `[J]`; nothing below `silence` in decibels does."""
    level = features.level
    spoken = level[level > silence]
    if not len(spoken):
        return np.zeros(len(level))
    usual = _usual_level(level, silence, float(np.percentile(spoken, 90)))
    # Over noise the mouth opens where the voice stands out of it, not where the noise begins.
    noise = np.minimum(np.percentile(level, 10) + 6, usual - 10)
    lowest = np.maximum(np.maximum(usual - SPAN, noise), silence)
    result: Array = np.clip((level - lowest) / np.maximum(usual - 3 - lowest, 3.0), 0, 1)
    return result


def _usual_level(level: Array, silence: float, loudest: float) -> Array:
    """How loud the vowels around each step are, in decibels `[J]`."""
    from scipy.ndimage import percentile_filter, uniform_filter1d  # it is slow to import, and most sessions never listen

    floor = float(np.percentile(uniform_filter1d(level, round(0.15 / STEP)), 2))
    nearby = percentile_filter(np.maximum(level, silence), _USUAL_PERCENT, round(_USUAL_SECONDS / STEP) + 1)
    result: Array = np.maximum(nearby, max(loudest - _USUAL_RANGE, min(floor + _USUAL_OVER_NOISE, loudest)))
    return result


def closures(features: Features) -> Array:
    """How much the lips or the tongue shut the mouth, as in p, b and m, 0..1 `[J]`."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    held = np.maximum(_ramp(_dip(features.level), *_DIP), _ramp(_dip(features.upper), *_UPPER_DIP))
    held *= 1 - hissing(features)
    result: Array = _SHUT * gaussian_filter1d(maximum_filter1d(held, 3), 1)
    return result


def _dip(level: Array) -> Array:
    """By how many decibels each step is quieter than the loudest ones on both sides of it `[J]`."""
    from scipy.ndimage import maximum_filter1d

    reach = round(_DIP_SECONDS / STEP)
    before, after = (maximum_filter1d(level, reach + 1, origin=o, mode="nearest") for o in (reach // 2, -(reach // 2)))
    result: Array = np.minimum(before, after) - level
    return result


def hissing(features: Features) -> Array:
    """How much each step is a hiss, as in s, 0..1 `[J]`."""
    return _ramp(features.hiss, 0.15, 0.45)


_TURN_STEPS = 4
_FLUX, _FLUX_SECONDS = (4.2, 5.7), 2.0
_VOICED = (0.65, 0.8)


def speechlike(features: Features, opened: Array) -> Array:
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    padded = np.pad(features.cepstra * LIFTER, ((_TURN_STEPS, _TURN_STEPS), (0, 0)), mode="reflect" if len(opened) > 2*_TURN_STEPS else "edge")
    change = np.minimum(((padded[2 * _TURN_STEPS :] - padded[: -2 * _TURN_STEPS]) ** 2).mean(axis=1), 20)
    flux = uniform_filter1d(change, round(_FLUX_SECONDS / STEP) + 1)
    steady = maximum_filter1d(uniform_filter1d(features.voicing, 9), 15)
    return np.maximum(_ramp(flux, *_FLUX), _ramp(steady, *_VOICED))


def _ramp(values: Array, low: float, high: float) -> Array:
    result: Array = np.clip((values - low) / (high - low), 0, 1)
    return result
