"""A pool of buffers for features: memory that is new to a process costs as much time as the work done in it."""

from __future__ import annotations

import math
import weakref
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class BufferPool:
    """Gives tensors on the CPU. A buffer is used again as soon as no tensor on it, and no view of one, is left.

    A pool lives as long as the networks that use it. A copy of a pool starts empty.
    """

    def __init__(self) -> None:
        self._free: defaultdict[int, list[np.ndarray]] = defaultdict(list)

    def __reduce__(self) -> tuple[type[BufferPool], tuple[()]]:
        return BufferPool, ()

    def empty(self, *shape: int) -> Tensor:
        """A tensor of this shape, float32, with anything in it."""
        count = math.prod(shape)
        free = self._free[count]
        try:
            buffer = free.pop()
        except IndexError:
            buffer = _aligned(count)
        view = buffer.view()  # is deleted with the last tensor on it
        weakref.finalize(view, free.append, buffer).atexit = False
        return torch.from_numpy(view).view(shape)

    def clear(self) -> None:
        """Free the buffers that are not in use, and those in use as soon as they no longer are."""
        for free in self._free.values():
            free.clear()
        self._free.clear()  # buffers still in use return to lists that nothing holds any more


def _aligned(count: int) -> np.ndarray:
    padding = _ALIGNMENT // 4
    numbers = np.empty(count + padding, np.float32)
    first = -(numbers.ctypes.data // 4) % padding
    return numbers[first : first + count]
