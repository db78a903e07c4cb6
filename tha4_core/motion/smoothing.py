"""Taking the jitter out of tracked motion."""

from __future__ import annotations

import math

import numpy as np

from ..errors import MotionError
from ..pose import Poses
from . import timeline
from .timeline import Array


def one_euro(poses: Poses, min_cutoff: float = 1.0, beta: float = 0.5, derivative_cutoff: float = 1.0) -> Poses:
    """The One-Euro filter (Casiez, Roussel, Vogel 2012): steady when still, quick when moving.

    `min_cutoff` in Hz: lower is steadier. `beta`: higher follows fast motion with less lag. It looks only back, and so
    lags a little; `savitzky_golay` does not. Raises MotionError for settings that are not above 0 (beta: below 0).
    """
    if not (0 < min_cutoff < math.inf and 0 < derivative_cutoff < math.inf and 0 <= beta < math.inf):
        raise MotionError("One-Euro needs cutoffs above 0 Hz and a beta of 0 or more.")
    return timeline.to_poses(
        one_euro_array(timeline.to_array(poses), poses.fps, min_cutoff, beta, derivative_cutoff), poses.fps
    )


def one_euro_array(values: Array, rate: float, min_cutoff: float, beta: float, derivative_cutoff: float) -> Array:
    """The One-Euro filter along the first axis of `[N, C]`, `rate` samples a second."""
    result = np.empty_like(values)
    result[0], slope = values[0], np.zeros(values.shape[1])
    slope_weight = _weight(np.float64(derivative_cutoff), rate)
    for k in range(1, len(values)):
        slope = slope + slope_weight * ((values[k] - values[k - 1]) * rate - slope)
        weight = _weight(min_cutoff + beta * np.abs(slope), rate)
        result[k] = result[k - 1] + weight * (values[k] - result[k - 1])
    return result


def _weight(cutoff: Array | np.float64, rate: float) -> Array | np.float64:
    step = 2 * np.pi * cutoff / rate
    result: Array | np.float64 = step / (step + 1)
    return result


def savitzky_golay(poses: Poses, seconds: float = 0.25, order: int = 3) -> Poses:
    """Savitzky–Golay smoothing: a polynomial of `order` fitted in a window of `seconds` around each frame; no lag.

    A motion shorter than the window gets the longest window that fits. Raises MotionError for a window that is not
    above 0 and at most 60 s, or an order outside 1..5, or where SciPy, which ComfyUI brings along, is missing.
    """
    if not (0 < seconds <= 60 and 1 <= order <= 5):
        raise MotionError("Savitzky–Golay needs a window above 0 and at most 60 seconds, and an order from 1 to 5.")
    window = min(2 * round(seconds * poses.fps / 2) + 1, len(poses) - (len(poses) + 1) % 2)
    if window <= order:
        return poses
    try:
        from scipy.signal import savgol_filter
    except ImportError as error:
        raise MotionError("Savitzky–Golay smoothing needs SciPy, which ComfyUI's requirements install.") from error
    return timeline.to_poses(savgol_filter(timeline.to_array(poses), window, order, axis=0), poses.fps)
