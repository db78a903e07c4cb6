"""The motions that nodes made in the last runs, for the page to play. A node sends the page a key to each."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from threading import Lock

from ...tha4_core.pose import Poses

MOST_FRAMES = 10_000
"""The longest motion that the page plays: seven minutes at 24 frames a second."""
_CACHED = 16  # motions, 2 MB each at most

_motions: OrderedDict[str, Poses] = OrderedDict()
_lock = Lock()


def remember(poses: Poses) -> str:
    """The key to a motion; an empty text for a motion that is too long to play."""
    if len(poses) > MOST_FRAMES:
        return ""
    key = secrets.token_hex(8)
    with _lock:
        _motions[key] = Poses(poses.values.cpu(), poses.fps)
        while len(_motions) > _CACHED:
            _motions.popitem(last=False)
    return key


def recall(key: str) -> Poses | None:
    """The motion of that key; None where newer ones have replaced it."""
    with _lock:
        return _motions.get(key)
