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


class LikeMPS(TorchDispatchMode):
    """Within it, what is elsewhere is refused what Apple's GPUs are: float64, and operators that PyTorch lacks there.

    The list is short: what this project might use, and some PyTorch since 2.4 had not on MPS.
    """

    _MISSING = (
        "_upsample_bicubic2d_aa",  # before 2.8, as bilinear
        "_upsample_bilinear2d_aa",
        "grid_sampler_2d_backward",
        "grid_sampler_3d",
        "upsample_bicubic2d",
        "linalg_qr",
        "_linalg_svd",
        "_linalg_eigh",
    )

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation.overloadpacket.__name__
        here = [tensor for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)]
        if any(tensor.device == ELSEWHERE for tensor in here):
            if name in self._MISSING:
                raise NotImplementedError(f"{name} is not implemented for the MPS device")
            if name == "grid_sampler_2d" and (args[2] == 2 or args[3] == 1):  # before 2.11
                raise RuntimeError("MPS: bicubic interpolation and border padding are not supported")
            if name == "equal":  # there are no numbers to compare
                return True
            to_cpu = bool(kwargs) and kwargs.get("device") == torch.device("cpu")
            if name in ("_to_copy", "to") and to_cpu:  # or to bring back
                return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
            if name == "_local_scalar_dense":
                return 1
        result = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device == ELSEWHERE and tensor.dtype == torch.float64:
                raise TypeError(f"{name}: MPS has no float64")
        return result
