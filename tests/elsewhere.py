"""A device that is not the CPU, where no GPU is: PyTorch's meta device has shapes and no numbers.

Whatever runs there takes the way of a GPU, and raises where it mixes devices or wants a number back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ELSEWHERE = torch.device("meta")


class NothingOnTheCPU(TorchDispatchMode):
    """Within it, every tensor of every operation is elsewhere."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, kwargs, result)):
            assert not isinstance(tensor, Tensor) or tensor.device == ELSEWHERE, operation
        return result
