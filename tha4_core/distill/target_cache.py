"""A cache of a teacher's targets on disk: computed once, used for every step, every preset and every restart.

A set of poses is a folder of chunks, each a `.npy` of float16 that is written whole or not at all; whatever stops the
computation costs one chunk. A pose is 3.4 MB.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from ..atomic_write import replace
from ..errors import DistillError
from ..picture.character import Character
from ..picture.model_space import SIZE
from ..teacher import Targets

_log = logging.getLogger("tha4")

CHUNK = 32
_FACE_SIDE = 192
_SHAPES = ((SIZE, SIZE, 4), (SIZE, SIZE, 2), (_FACE_SIDE, _FACE_SIDE, 4))  # frame, grid change, face
_NUMBERS = sum(height * width * channels for height, width, channels in _SHAPES)
BYTES_PER_POSE = 2 * _NUMBERS
_MIN_FREE = 2**28  # bytes that are left free on the disk

Half = np.ndarray[tuple[int, ...], np.dtype[np.float16]]


class TeacherLike(Protocol):
    """What distillation needs of a teacher: `Teacher` and `DemoRig` have it."""

    def targets(self, character: Character, poses: Tensor) -> Targets:
        """What to learn, for poses `[N, 45]`."""

    def face_mask(self, character: Character) -> Tensor:
        """Where brows, eyes and mouth move: `[1, 128, 128]`, 0..1."""


class TargetCache:
    """The targets of poses `[N, 45]`, read from a folder of chunks that `compute_targets` has completed.

    Its files are mapped into memory, and so can not be deleted on Windows, until `close` or the end of a `with`.
    """

    def __init__(self, folder: Path, poses: Tensor) -> None:
        self.poses = poses
        starts = range(0, len(poses), CHUNK)
        self._chunks: list[Half] = [np.load(_chunk(folder, start), mmap_mode="r") for start in starts]

    def close(self) -> None:
        """Free the files."""
        self._chunks.clear()

    def __enter__(self) -> TargetCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def frame(self, index: int, rows: slice = slice(None), columns: slice = slice(None)) -> Tensor:
        """A part of a pose's frame, float32 `[h, w, 4]` in model space."""
        return self._part(index, 0, rows, columns)

    def grid_change(self, index: int, rows: slice = slice(None), columns: slice = slice(None)) -> Tensor:
        """A part of a pose's grid change, float32 `[h, w, 2]`."""
        return self._part(index, 1, rows, columns)

    def face(self, index: int, rows: slice = slice(None), columns: slice = slice(None)) -> Tensor:
        """A part of the face of the face-morphed picture, float32 `[h, w, 4]`; all of it is `[192, 192, 4]`."""
        return self._part(index, 2, rows, columns)

    def chunks(self) -> Iterator[tuple[Half, Half, Half]]:
        """Frames, grid changes and faces `[n, H, W, C]` of some poses after others, float16 as they are stored.

        They are views of the mapped files, not to be kept beyond `close`.
        """
        for chunk in self._chunks:
            ends = np.cumsum([math.prod(shape) for shape in _SHAPES])[:-1]
            frames, grid_changes, faces = (
                part.reshape(len(chunk), *shape)
                for part, shape in zip(np.split(chunk, ends, axis=1), _SHAPES, strict=True)
            )
            yield frames, grid_changes, faces

    def _part(self, index: int, kind: int, rows: slice, columns: slice) -> Tensor:
        numbers = self._chunks[index // CHUNK][index % CHUNK]
        first = sum(int(np.prod(shape)) for shape in _SHAPES[:kind])
        whole = numbers[first : first + int(np.prod(_SHAPES[kind]))].reshape(_SHAPES[kind])
        return torch.from_numpy(whole[rows, columns].astype(np.float32))


def compute_targets(
    folder: Path,
    character: Character,
    teacher: TeacherLike,
    poses: Tensor,
    tick: Callable[[int], None],
    *,
    at_once: int = 1,
    share: tuple[int, int] = (0, 1),
) -> None:
    """Compute the chunks that a folder lacks; `tick` gets the number of poses that are done, and may raise.

    `share` (i, n): do every n-th chunk from the i-th on, for n processes with one folder. Raises DistillError where
    the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [start for start in range(0, len(poses), CHUNK) if not _chunk(folder, start).is_file()][
        share[0] :: share[1]
    ]
    _check_space(folder, sum(len(poses[start : start + CHUNK]) for start in missing))
    for start in missing:
        some = poses[start : start + CHUNK]
        chunk = np.empty((len(some), _NUMBERS), np.float16)
        for first in range(0, len(some), at_once):
            tick(min(start + first, len(poses)))
            targets = teacher.targets(character, some[first : first + at_once])
            for row, numbers in enumerate(_numbers(targets)):
                chunk[first + row] = numbers
        _write(_chunk(folder, start), chunk)
    tick(len(poses))


def evict(root: Path, keep: set[Path], limit: int) -> None:
    """Delete the least recently used folders in `root` until the others, `keep` included, are within `limit` bytes.

    `touch` marks a folder as used. A folder that cannot be deleted is left: on Windows, one that another run reads.
    """
    folders = sorted((f for f in root.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime, reverse=True)
    total = sum(_size(folder) for folder in folders if folder in keep)
    for folder in folders:
        if folder not in keep:
            total += _size(folder)
            if total > limit:
                try:
                    shutil.rmtree(folder)
                except OSError as error:
                    _log.warning("%s: these teacher's frames cannot be deleted now (%s).", folder, error.strerror)


def touch(folder: Path) -> None:
    """Mark a folder as used now."""
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)


def fingerprint(*parts: Tensor | nn.Module | str) -> str:
    """A hash of what is given: equal for equal numbers and texts.

    Of a module, its weights and its integer buffers count. Floating-point buffers that no file holds are computed, and
    their last bits change with the number of threads.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, nn.Module):
            whole = [buffer for buffer in part.buffers() if not buffer.is_floating_point()]
            tensors = [*part.state_dict().values(), *whole]
        else:
            tensors = [part]
        digest.update(type(part).__qualname__.encode())
        for tensor in tensors:
            if isinstance(tensor, str):
                digest.update(tensor.encode())
            else:
                digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _numbers(targets: Targets) -> list[Half]:
    """One row of float16 for each pose, as `_SHAPES` says."""
    images = (targets.frame, targets.grid_change, targets.face)
    flat = [rearrange(image, "n c h w -> n (h w c)").half().cpu() for image in images]
    return list(torch.cat(flat, dim=1).numpy())


def _chunk(folder: Path, start: int) -> Path:
    return folder / f"{start:06}.npy"


def _write(path: Path, chunk: Half) -> None:
    temporary = path.with_suffix(".part")
    try:
        with temporary.open("wb") as file:
            np.save(file, chunk)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    except OSError as error:
        raise DistillError(
            f"{path.parent}: the teacher's frames could not be written ({error.strerror or error}). Free some disk "
            "space and start again: what is there already is kept."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _check_space(folder: Path, poses: int) -> None:
    needed, free = poses * BYTES_PER_POSE, shutil.disk_usage(folder).free
    if needed + _MIN_FREE > free:
        raise DistillError(
            f"{folder}: the teacher's frames for {poses} poses need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
            "free. Free some disk space, or choose a preset with fewer poses."
        )


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
