"""Poses to train on: plausible ones sampled from a seed, or those of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import PoseError
from ..motion import files
from ..pose import COUNT, NAMES, check_poses, limit
from ..weights import read_safetensors, read_torch

SUFFIXES = (".pt", ".safetensors", *files.SUFFIXES)
"""What `read_poses` reads: a file with one tensor `[N, 45]`, or this pack's poses."""

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

# How often each kind of moment is drawn: at rest but for small movements, speaking, expressive, wild.
_MOMENTS = {"rest": 0.2, "speech": 0.4, "expression": 0.35, "wild": 0.05}
_BROWS = ("troubled", "angry", "lowered", "raised", "happy", "serious")
_LIDS = ("eye_wink", "eye_happy_wink", "eye_surprised", "eye_relaxed", "eye_unimpressed", "eye_raised_lower_eyelid")
_VOWELS = ("mouth_aaa", "mouth_iii", "mouth_uuu", "mouth_eee", "mouth_ooo", "mouth_delta")
_TURNS = ("head_x", "head_y", "neck_z", "body_y", "body_z")


def sample_poses(count: int, seed: int) -> Tensor:
    """Plausible poses `[count, 45]`: the same seed gives the same poses, and more of them begin with the fewer.

    Parameters that go together are drawn together: one or two kinds of brow, one kind of lid, a vowel or two, a mouth
    corner up or down, mostly alike on both sides; the body follows the head. Rest, blinks and speech are drawn more
    often than extremes, because they are most of what a character does.
    """
    poses = np.zeros((count, COUNT))
    for index, row in enumerate(poses):
        _Moment(row, np.random.default_rng((seed, index))).draw()
    return limit(torch.from_numpy(poses).float())


class _Moment:
    """One random pose: named numbers written into a row of 45."""

    def __init__(self, row: Numbers, random: np.random.Generator) -> None:
        self._row, self._random = row, random

    def draw(self) -> None:
        kind = self._random.choice(list(_MOMENTS), p=list(_MOMENTS.values()))
        if kind == "wild":
            self._row[:] = self._random.random(COUNT) * (self._random.random(COUNT) < 0.5)
            self._set(_TURNS, self._random.uniform(-1, 1, len(_TURNS)))
            self._set(("iris_rotation_x", "iris_rotation_y"), self._random.uniform(-1, 1, 2))
        else:
            reach = {"rest": 0.1, "speech": 0.35, "expression": 1.0}[kind]
            self._brows(reach)
            self._lids(reach)
            self._mouth(speaking=kind == "speech", reach=reach)
            self._gaze_and_turn(reach)
        self._set(("breathing",), self._random.random(1))

    def _brows(self, reach: float) -> None:
        for kind in self._random.choice(_BROWS, self._random.integers(0, 3), replace=False):
            self._both(f"eyebrow_{kind}", reach)

    def _lids(self, reach: float) -> None:
        if self._chance(0.25):  # a blink: anywhere between open and shut, in every kind of moment
            self._both("eye_wink", 1.0)
        elif self._chance(0.6):
            self._both(str(self._random.choice(_LIDS)), reach)
        if self._chance(0.15 * reach):
            self._both("iris_small", reach)

    def _mouth(self, *, speaking: bool, reach: float) -> None:
        if speaking or self._chance(0.6 * reach):
            first, second = self._random.choice(_VOWELS, 2, replace=False)
            opening, share = self._random.random(), self._random.random() ** 2
            self._set((first, second), np.array([1 - share, share]) * opening)
        if self._chance(0.6):
            self._both("mouth_raised_corner" if self._chance(0.6) else "mouth_lowered_corner", reach)
        if self._chance(0.1):
            self._set(("mouth_smirk",), self._random.random(1) * reach)

    def _gaze_and_turn(self, reach: float) -> None:
        gaze = self._random.normal(0, 0.15 + 0.35 * reach, 2)
        head = self._random.normal(0, 0.1 + 0.45 * reach, 3)
        follow = self._random.random(2)
        own = self._random.normal(0, 0.05 + 0.3 * reach, 2)
        self._set(("iris_rotation_x", "iris_rotation_y"), gaze)
        self._set(_TURNS, [*head, follow[0] * head[1] + own[0], follow[1] * head[2] + own[1]])

    def _both(self, name: str, reach: float) -> None:
        """A two-sided parameter: alike on both sides three times out of four, else each side its own."""
        left, right = self._random.random(2) * reach
        if self._chance(0.2 * reach):
            left = 1.0  # users ask for extremes by name
        self._set((f"{name}_left", f"{name}_right"), [left, left if self._chance(0.75) else right])

    def _set(self, names: tuple[str, ...], values: Numbers | list[float]) -> None:
        self._row[[NAMES.index(name) for name in names]] = values

    def _chance(self, probability: float) -> bool:
        return bool(self._random.random() < probability)


def read_poses(path: Path) -> Tensor:
    """The poses `[N, 45]` of a file: a `.pt` or `.safetensors` with one tensor, or whatever `motion.files` reads.

    The published pose set is a `.pt` with a bare tensor. Raises PoseError, MotionError or WeightsError, naming the
    file.
    """
    if path.suffix.lower() not in (".pt", ".safetensors"):
        return files.load(path).values
    if not path.is_file():
        raise PoseError(f"{path}: there is no such file.")
    held = read_safetensors(path)[0] if path.suffix.lower() == ".safetensors" else read_torch(path)
    tensors = list(held.values()) if isinstance(held, dict) else [held]
    if len(tensors) != 1 or not isinstance(tensors[0], Tensor):
        raise PoseError(f"{path}: a file of poses holds one tensor of the shape [N, {COUNT}], and this does not.")
    try:
        return check_poses(tensors[0])
    except PoseError as error:
        raise PoseError(f"{path}: {error}") from error
