"""The motions that graphs made lately, for the page to play: it is told their marks, and asks for them by these."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from threading import Lock

from ...tha4_core.pose import Poses

MOST_FRAMES = 10_000
"""The longest motion that the page plays: seven minutes at 24 frames a second."""
_KEPT = 16  # motions, 2 MB each at most

_motions: OrderedDict[str, Poses] = OrderedDict()
_lock = Lock()


def remember(poses: Poses) -> str:
    """The mark of a motion; an empty one for a motion that is too long to play."""
    if len(poses) > MOST_FRAMES:
        return ""
    mark = secrets.token_hex(8)
    with _lock:
        _motions[mark] = Poses(poses.values.cpu(), poses.fps)
        while len(_motions) > _KEPT:
            _motions.popitem(last=False)
    return mark


def recall(mark: str) -> Poses | None:
    """The motion of that mark, where it is not forgotten yet."""
    with _lock:
        return _motions.get(mark)
