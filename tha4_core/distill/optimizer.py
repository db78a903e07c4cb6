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
        """One step along the gradients of all parameters."""
        for group in self.param_groups:
            for parameter in group["params"]:
                wide = parameter.ndim > 1 and min(parameter.shape[:2]) >= _FEWEST
                step = (self._muon if wide else self._adam)(parameter, parameter.grad)
                parameter.sub_(step, alpha=group["lr"])

    def _muon(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        momentum = self._state_of(parameter, "momentum")
        momentum.lerp_(gradient, 1 - _MOMENTUM)
        ahead = gradient.lerp(momentum, _MOMENTUM).flatten(1)
        return (_orthogonal(ahead) * (_SCALE * math.sqrt(max(ahead.shape)))).view_as(parameter)

    def _adam(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        mean, square, count = (self._state_of(parameter, name) for name in ("mean", "square", "count"))
        count += 1
        mean.lerp_(gradient, 1 - _BETAS[0])
        square.lerp_(gradient.square(), 1 - _BETAS[1])
        unbiased = mean / (1 - _BETAS[0] ** count)
        return unbiased / ((square / (1 - _BETAS[1] ** count)).sqrt() + _EPSILON)

    def _state_of(self, parameter: Tensor, name: str) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros((), device=parameter.device) if name == "count" else torch.zeros_like(parameter)
        tensor: Tensor = state[name]
        return tensor


def _orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the singular vectors of the given one, and singular values of about 1."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + _EPSILON)
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    orthogonal: Tensor = x.T if tall else x
    return orthogonal
