"""Poses over time: key poses, expressions, idle motion, lip sync, tracked faces, recorded motions.

Every generator is a pure function of time: any frame can be computed alone, and another frame rate gives the same
motion. All of them end in `Poses` (float32 `[N, 45]` and frames per second).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from torch import Tensor

from ..pose import Poses
from .formats import load

if TYPE_CHECKING:
    from .speech.lip_sync import LipSyncSettings

__all__ = ["lip_sync", "load"]


def lip_sync(
    waveform: Tensor | NDArray[Any], rate: float, fps: float = 30.0, settings: LipSyncSettings | None = None
) -> Poses:
    """Poses that speak a sound `[channels, samples]` or `[samples]` in -1..1 at `rate` Hz; as long as the sound is.

    Channels are mixed. Raises MotionError for what is no sound.
    """
    from .speech import lip_sync

    return lip_sync.from_waveform(waveform, rate, fps, settings or lip_sync.DEFAULT)
