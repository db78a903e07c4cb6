"""An open mouth as a mix of four vowels (spec section 7)."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from ..timeline import Array

# Columns: what a, i, u and o look like as (open, lip lowered, funnel, pucker).
VOWELS = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0.5, 0.3, 0.25, 0.75], [1, 0.5, 0.5, 0.4]]).T
SPARSITY = 0.01
_FREE, _NONE, _ALL = 0, 1, 2


def mix(points: Array) -> Array:
    """The weights of a, i, u, o, float64 `[N, 4]` in 0..1, that mix best to the points `[N, 4]`.

    They minimise ‖mix - point‖₂ + 0.01 · ‖weights‖₁ (spec section 7). The problem is convex, and once it is known
    which weights are 0, which 1 and which between, it has a closed form: all 81 cases are tried, and the best one that
    keeps its weights between 0 and 1 is the answer.
    """
    best, lowest = np.zeros((len(points), 4)), np.full(len(points), np.inf)
    for case in product((_FREE, _NONE, _ALL), repeat=4):
        weights = _solve_case(points, np.array(case))
        if weights is None:
            continue
        inside = ((weights >= -1e-12) & (weights <= 1 + 1e-12)).all(axis=1)
        cost = np.linalg.norm(weights @ VOWELS.T - points, axis=1) + SPARSITY * np.abs(weights).sum(axis=1)
        better = inside & (cost < lowest)
        best[better], lowest[better] = weights[better], cost[better]
    return np.clip(best, 0.0, 1.0)


def _solve_case(points: Array, case: Array) -> Array | None:
    """The best weights where some are fixed at 0 or 1; the free ones may come out anywhere. None: they run away.

    With B the free columns and q what they are to mix to: the minimum of ‖Bu - q‖ + c·Σu has Bᵀ(Bu - q) = -c‖Bu - q‖,
    so u lies off the least-squares solution by c·‖Bu - q‖·(BᵀB)⁻¹1, and Pythagoras gives ‖Bu - q‖.
    """
    weights = np.zeros((len(points), 4))
    weights[:, case == _ALL] = 1.0
    free = case == _FREE
    if free.any():
        columns = VOWELS[:, free]
        wanted = points - weights @ VOWELS.T
        nearest = wanted @ np.linalg.pinv(columns).T
        left = np.linalg.norm(nearest @ columns.T - wanted, axis=1)
        direction = np.linalg.inv(columns.T @ columns).sum(axis=1)
        bend = 1 - SPARSITY**2 * direction.sum()
        if bend <= 0:
            return None
        residual = left / math.sqrt(bend)
        weights[:, free] = nearest - SPARSITY * residual[:, None] * direction
    return weights
