"""The optimizer: Muon for the matrices of sine layers, Adam for everything else."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

# A matrix is orthogonalised only where it has many rows and columns; few inputs (x, y, pose) or outputs are Adam's.
_FEWEST = 64
_MOMENTUM = 0.95
_BETAS = (0.9, 0.99)
_EPSILON = 1e-8
# Newton-Schulz iteration of degree five whose slope at 0 brings small singular values up fast (Jordan et al. 2024).
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
# Steps of the size that Adam's have: an orthogonal matrix of n columns has entries of about 1 / sqrt(n).
_SCALE = 0.2


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024): every step of a wide matrix has all its singular values near 1; Adam for the rest.

    Of Adam, SOAP and Muon, it was best on students at every length of training. PyTorch has one of its
    own since 2.9, which takes nothing but matrices; ours also runs where ComfyUI has an older PyTorch.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along the gradients of all parameters.

        The rate may be a tensor, as a CUDA graph wants it. Nothing waits for a GPU, and as few kernels as can be are
        started: all parameters pass each operation together.
        """
        for group in self.param_groups:
            wide = [parameter for parameter in group["params"] if _is_wide(parameter)]
            others = [parameter for parameter in group["params"] if not _is_wide(parameter)]
            self._muon(wide, group["lr"])
            self._adam(others, group["lr"])

    def _muon(self, parameters: list[Tensor], rate: float | Tensor) -> None:
        gradients, momenta = _gradients(parameters), self._states_of(parameters, "momentum")
        torch._foreach_lerp_(momenta, gradients, 1 - _MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, _MOMENTUM)
        for indices in _by_shape(parameters):
            matrices = torch.stack([ahead[index].flatten(1) for index in indices])
            steps = _orthogonal(matrices) * (_SCALE * math.sqrt(max(matrices.shape[1:])) * rate)
            some = [parameters[index] for index in indices]
            torch._foreach_sub_(some, [step.view_as(some[0]) for step in steps.unbind()])

    def _adam(self, parameters: list[Tensor], rate: float | Tensor) -> None:
        gradients = _gradients(parameters)
        means, squares, counts = (self._states_of(parameters, name) for name in ("mean", "square", "count"))
        torch._foreach_add_(counts, 1)
        torch._foreach_lerp_(means, gradients, 1 - _BETAS[0])
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - _BETAS[1])
        count = counts[0]  # all parameters have taken part in all steps
        roots = torch._foreach_sqrt(torch._foreach_div(squares, 1 - _BETAS[1] ** count))
        torch._foreach_add_(roots, _EPSILON)
        steps = torch._foreach_div(torch._foreach_div(means, 1 - _BETAS[0] ** count), roots)
        torch._foreach_mul_(steps, rate)
        torch._foreach_sub_(parameters, steps)

    def _states_of(self, parameters: list[Tensor], name: str) -> list[Tensor]:
        return [self._state_of(parameter, name) for parameter in parameters]

    def _state_of(self, parameter: Tensor, name: str) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros((), device=parameter.device) if name == "count" else torch.zeros_like(parameter)
        tensor: Tensor = state[name]
        return tensor


def _is_wide(parameter: Tensor) -> bool:
    return parameter.ndim > 1 and min(parameter.shape[:2]) >= _FEWEST


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _by_shape(tensors: list[Tensor]) -> list[list[int]]:
    """The indices of the tensors of each shape."""
    indices: dict[torch.Size, list[int]] = {}
    for index, tensor in enumerate(tensors):
        indices.setdefault(tensor.shape, []).append(index)
    return list(indices.values())


def _orthogonal(matrices: Tensor) -> Tensor:
    """Matrices `[n, rows, columns]` with the singular vectors of the given ones, and singular values of about 1."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + _EPSILON)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
