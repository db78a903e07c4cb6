"""A teacher's targets where a GPU's training step finds them: in its own memory, gathered by index operations."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor

from ..picture.model_space import SIZE
from .batches import BodySampler, smaller
from .target_cache import TargetCache

_CHANNELS = [4, 2]  # of a frame, of its grid change
BYTES_PER_POSE = 2 * SIZE * SIZE * sum(_CHANNELS)
STEP_MEMORY = 3 * 2**30
"""Bytes that are left free for a step of training."""

_log = logging.getLogger("tha4")


class GPUBodySampler(BodySampler):
    """As BodySampler, for a trainer that sends random numbers to a GPU and makes the crops of them there.

    The frames and grid changes of all poses, 3.1 MB each, are in the GPU's memory as float16. Where they do not fit,
    the crops of each step are gathered from the mapped files and sent (`read`).
    """

    def __init__(self, targets: TargetCache, faces: Tensor, image: Tensor, *, resident: bool | None = None) -> None:
        """As BodySampler. `resident` says whether targets are in the GPU's memory; None: where they fit."""
        super().__init__(targets, faces, image)
        self.poses = len(targets.poses)
        self.resident = _fits(self.poses * BYTES_PER_POSE, faces.device) if resident is None else resident
        self._numbers = torch.empty(0)
        if self.resident:
            try:
                self._numbers = _load(targets, faces.device)
            except torch.cuda.OutOfMemoryError as error:  # what is free is not always free for one tensor
                self.resident = False
                _log.info("The teacher's frames stay on the disk, and each step's crops are sent (%s).", error)

    def gather(self, which: Tensor, rows: Tensor, columns: Tensor, side: int) -> Tensor:
        """Frame and grid change of crops of resident targets, float16 `[K, side, side, 6]`, by `[K]` on the GPU.

        Rows, columns and side are pixels of 512 x 512.
        """
        return self._numbers[_index(which, rows, columns, side)]

    def read(self, which: Tensor, rows: Tensor, columns: Tensor, side: int) -> Tensor:
        """The same from the mapped files, by `[K]` on the CPU and in its memory."""
        crops = np.empty((len(which), side, side, sum(_CHANNELS)), np.float16)
        start = 0
        for frames, grid_changes, _ in self._targets.chunks():
            here = ((which >= start) & (which < start + len(frames))).nonzero()[:, 0]
            index = tuple(part.numpy() for part in _index(which[here] - start, rows[here], columns[here], side))
            crops[here.numpy()] = np.concatenate([frames[index], grid_changes[index]], axis=-1)
            start += len(frames)
        return torch.from_numpy(crops)

    @staticmethod
    def targets(numbers: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Frame and grid change of crops at `size` x `size`, float32, of what `gather` or `read` gave."""
        frame, grid_change = torch.split(smaller(numbers.float(), SIZE // size), _CHANNELS, dim=-1)
        return frame, grid_change


def _index(which: Tensor, rows: Tensor, columns: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    steps = torch.arange(side, device=rows.device)
    return which[:, None, None], (rows[:, None] + steps)[:, :, None], (columns[:, None] + steps)[:, None, :]


def _load(targets: TargetCache, device: torch.device) -> Tensor:
    """Frames and grid changes, float16 `[N, 512, 512, 6]`."""
    numbers = torch.empty(len(targets.poses), SIZE, SIZE, sum(_CHANNELS), dtype=torch.float16, device=device)
    start = 0
    for frames, grid_changes, _ in targets.chunks():
        end = start + len(frames)
        numbers[start:end, :, :, : _CHANNELS[0]] = torch.from_numpy(frames.copy()).to(device)
        numbers[start:end, :, :, _CHANNELS[0] :] = torch.from_numpy(grid_changes.copy()).to(device)
        start = end
    return numbers


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a CUDA device, with those that PyTorch keeps and does not use."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def _fits(needed: int, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free = free_memory(device) - STEP_MEMORY
    if needed > free:
        _log.info(
            "The teacher's frames take %.1f GB, and %s has %.1f GB beside training: they stay on the disk, and each "
            "step's crops are sent.", needed / 1e9, device, free / 1e9,
        )  # fmt: skip
    return needed <= free
