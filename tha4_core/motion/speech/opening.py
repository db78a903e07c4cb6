"""How far the mouth is open: as far as a voice is loud, and shut for noise and while the lips hold a sound back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..timeline import Array, Index
from .features import STEP, Features
from .vowels import LIFTER

# Speech spans about so many decibels from its loud vowels down to sounds made behind nearly closed lips.
_SPAN = 18.0
# The usual loudness of the voice is measured over so many seconds before a moment and so many after it, so that a
# quieter part opens the mouth as well;
_USUAL_SECONDS, _USUAL_PERCENT = (2.0, 0.5), 90
# but it is not so many decibels below the loudest parts, nor less than so many above the noise.
_USUAL_RANGE, _USUAL_OVER_NOISE = 30.0, 18.0
# The quietest moments of so many seconds are noise.
_NOISE_SECONDS = 0.15

# A dip of so many decibels between two vowels so many seconds away is made by the lips or the tongue: of the level, or,
# as m hums on through the nose, of the upper level.
_DIP, _UPPER_DIP, _DIP_SECONDS = (5.0, 9.0), (7.0, 11.0), 0.12
# A weak i or u between loud vowels is a dip too; it must not shut the mouth wholly.
_SHUT = 0.85

# The spectrum of speech changes within so many steps. Its mean squared change, no more than so much of each, over so
# many seconds is 5 to 20 in speech, under 4.3 in noise and 0 to 5 in music without drums (measured).
_CHANGE_STEPS, _CHANGE_MOST = 8, 20.0
_CHANGE_SECONDS, _SPEECH_CHANGES = 3.0, (4.4, 5.2)
# Less than so many seconds of sound tell nothing.
_CHANGE_LEAST = 0.1
# A vowel that is sung for seconds does not change, but repeats itself better than noise and chords do.
_SUNG, _SUNG_STEPS, _SUNG_HELD = (0.7, 0.85), 9, 15
# The shares of the power in the highest frequencies from which on a sound is a hiss, and is nothing else.
_HISS = (0.15, 0.45)

CONSTANTS: dict[str, Any] = {
    "span": _SPAN, "usualSeconds": _USUAL_SECONDS[0], "usualPercent": _USUAL_PERCENT, "usualRange": _USUAL_RANGE,
    "usualOverNoise": _USUAL_OVER_NOISE, "noiseSeconds": _NOISE_SECONDS, "changeSteps": _CHANGE_STEPS,
    "changeMost": _CHANGE_MOST, "changeSeconds": _CHANGE_SECONDS, "speechChanges": _SPEECH_CHANGES,
    "changeLeast": _CHANGE_LEAST, "sung": _SUNG, "sungSteps": _SUNG_STEPS, "hiss": _HISS,
}  # fmt: skip
"""The numbers above, by the names that the page's gate (web/js/live/speech/gate.js) reads them by."""


def usual_level(level: Array, silence: float) -> Array:
    """How loud the vowels around each step are, in decibels `[J]`; `silence` as in LipSyncSettings."""
    from scipy.ndimage import percentile_filter, uniform_filter1d  # slow to import, and most sessions never listen

    spoken = level[level > silence]
    loudest = float(np.percentile(spoken, _USUAL_PERCENT)) if len(spoken) else silence
    floor = float(np.percentile(uniform_filter1d(level, round(_NOISE_SECONDS / STEP)), 2))
    long, short = (round(seconds / STEP) for seconds in _USUAL_SECONDS)
    nearby = percentile_filter(np.maximum(level, silence), _USUAL_PERCENT, long + short + 1, mode="nearest")
    last = len(level) - 1
    steps: Index = np.arange(len(level))
    # Of what came before and what comes after, the quieter.
    before, after = (nearby[np.clip(steps + shift, 0, last)] for shift in ((short - long) // 2, (long - short) // 2))
    lowest = max(loudest - _USUAL_RANGE, min(floor + _USUAL_OVER_NOISE, loudest))
    result: Array = np.maximum(np.minimum(before, after), lowest)
    return result


def opening(level: Array, usual: Array, silence: float) -> Array:
    """How far loudness opens the mouth, 0..1 `[J]`; no `level` below `silence` does."""
    # Over noise the mouth opens where the voice stands out of it, not where the noise begins.
    noise = np.minimum(np.percentile(level, 10) + 6, usual - 10)
    lowest = np.maximum(np.maximum(usual - _SPAN, noise), silence)
    result: Array = np.clip((level - lowest) / np.maximum(usual - 3 - lowest, 3.0), 0, 1)
    return result


def closures(features: Features) -> Array:
    """How far the lips or the tongue shut the mouth, as in p, b and m, 0..1 `[J]`."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    held = np.maximum(_ramp(_dip(features.level), *_DIP), _ramp(_dip(features.upper), *_UPPER_DIP))
    held *= 1 - hissing(features)
    result: Array = _SHUT * gaussian_filter1d(maximum_filter1d(held, 3), 0.7)
    return result


def hissing(features: Features) -> Array:
    """How much each step is a hiss, as in s, 0..1 `[J]`."""
    return _ramp(features.hiss, *_HISS)


def speaking(features: Features, opened: Array) -> Array:
    """How sure it is that somebody speaks or sings and it is no noise or music, 0..1 `[J]`.

    `opened` `[J]` as `opening` tells it: only what is loud enough to open the mouth is judged.
    """
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    half, seconds = _CHANGE_STEPS // 2, round(_CHANGE_SECONDS / STEP) + 1
    shapes = np.pad(features.cepstra * LIFTER, ((half, half), (0, 0)), mode="reflect")
    change = ((shapes[_CHANGE_STEPS:] - shapes[:-_CHANGE_STEPS]) ** 2).mean(axis=1)
    # Only from one loud moment to another: notes with silence between them change as well.
    loud = np.pad((opened > 0).astype(np.float64), half, mode="reflect")
    heard = loud[_CHANGE_STEPS:] * loud[:-_CHANGE_STEPS]
    share = np.maximum(uniform_filter1d(heard, seconds), _CHANGE_LEAST / _CHANGE_SECONDS)
    changes = uniform_filter1d(np.minimum(change, _CHANGE_MOST) * heard, seconds) / share
    sung = maximum_filter1d(uniform_filter1d(features.voicing, _SUNG_STEPS), _SUNG_HELD)
    result: Array = np.maximum(_ramp(changes, *_SPEECH_CHANGES), _ramp(sung, *_SUNG))
    return result


def _dip(level: Array) -> Array:
    """By how many decibels each step is quieter than the loudest ones near it on both of its sides `[J]`."""
    from scipy.ndimage import maximum_filter1d

    half = round(_DIP_SECONDS / STEP / 2)
    before, after = (maximum_filter1d(level, 2 * half + 1, origin=side, mode="nearest") for side in (half, -half))
    result: Array = np.minimum(before, after) - level
    return result


def _ramp(values: Array, low: float, high: float) -> Array:
    result: Array = np.clip((values - low) / (high - low), 0, 1)
    return result
