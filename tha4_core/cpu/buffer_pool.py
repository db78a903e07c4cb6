"""Memory for features that is used again: what is new to a process costs as much time as the work done in it."""

from __future__ import annotations

import math
import weakref
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class Memory:
    """Lends tensors on the CPU. What one lies in is lent again as soon as nothing holds it or a view of it.

    Lives as long as the networks that it serves. A copy of it begins with nothing.
    """

    def __init__(self) -> None:
        self._free: defaultdict[int, list[np.ndarray]] = defaultdict(list)

    def __reduce__(self) -> tuple[type[Memory], tuple[()]]:
        return Memory, ()

    def tensor(self, *shape: int) -> Tensor:
        """A tensor of this shape, float32, with anything in it."""
        count = math.prod(shape)
        free = self._free[count]
        try:
            numbers = free.pop()
        except IndexError:
            numbers = _aligned(count)
        lent = numbers.view()  # dies with the last tensor on it
        weakref.finalize(lent, free.append, numbers).atexit = False
        return torch.from_numpy(lent).view(shape)

    def clear(self) -> None:
        """Give back to the system what is not lent, and what is lent as soon as nothing holds it."""
        for free in self._free.values():
            free.clear()
        self._free.clear()  # what is still lent comes back to a list of nobody's


def _aligned(count: int) -> np.ndarray:
    spare = _ALIGNMENT // 4
    numbers = np.empty(count + spare, np.float32)
    first = -(numbers.ctypes.data // 4) % spare
    return numbers[first : first + count]
