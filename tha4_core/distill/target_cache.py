"""A cache of a teacher's targets on disk: computed once, used for every step, every preset and every restart.

A set of poses is a folder of chunks. A chunk is a file of float16 numbers with a checksum behind them, so that one that
was cut or zeroed is found and computed anew. A pose is 3.4 MB.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from ..atomic_write import remedy, replace
from ..errors import DistillError
from ..file_lock import try_lock
from ..picture.character import Character
from ..picture.model_space import SIZE
from ..teacher import Targets
from .cache_folders import size_of

CHUNK = 32
_FACE_SIDE = 192
_SHAPES = ((SIZE, SIZE, 4), (SIZE, SIZE, 2), (_FACE_SIDE, _FACE_SIDE, 4))  # frame, grid change, face
_NUMBERS = sum(height * width * channels for height, width, channels in _SHAPES)
BYTES_PER_POSE = 2 * _NUMBERS
MIN_FREE = 2**28
"""Bytes that are left free on the disk."""
_CHECKSUM_BYTES = 4
_BLOCK = 2**20
_POLL_SECONDS = 0.1

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
        self._chunks: list[Half] = [
            np.memmap(_path(folder, start), np.float16, "r", shape=(_count(poses, start), _NUMBERS))
            for start in range(0, len(poses), CHUNK)
        ]

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

    def _row(self, index: int) -> Half:
        """All numbers of a pose."""
        row: Half = self._chunks[index // CHUNK][index % CHUNK]
        return row

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
        first = sum(int(np.prod(shape)) for shape in _SHAPES[:kind])
        whole = self._row(index)[first : first + int(np.prod(_SHAPES[kind]))].reshape(_SHAPES[kind])
        return torch.from_numpy(whole[rows, columns].astype(np.float32))


class TargetsInMemory(TargetCache):
    """The targets of poses `[N, 45]`, each computed when it is asked for; those of the last pose are kept."""

    def __init__(self, character: Character, teacher: TeacherLike, poses: Tensor) -> None:
        self.poses, self._character, self._teacher = poses, character, teacher
        self._chunks, self._computed = [], -1

    def _row(self, index: int) -> Half:
        if index != self._computed:
            targets = self._teacher.targets(self._character, self.poses[index : index + 1])
            self._chunks, self._computed = [_numbers(targets)], index
        row: Half = self._chunks[0][0]
        return row


def compute_targets(
    folder: Path,
    character: Character,
    teacher: TeacherLike,
    poses: Tensor,
    tick: Callable[[int], None],
    *,
    at_once: int = 1,
) -> None:
    """Compute the chunks that a folder lacks; `tick` gets the number of poses that are done, and may raise.

    Several processes may do this in one folder: each chunk is computed by one of them. Raises DistillError where the
    disk is full or the folder cannot be written to.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    missing = deque(start for start in range(0, len(poses), CHUNK) if not _is_whole(folder, start, poses))
    _check_space(folder, sum(_count(poses, start) for start in missing))
    while missing:
        start = missing.popleft()
        with _chunk_lock(folder, start) as is_ours:
            if not is_ours:  # another process computes it, and may be killed while it does
                missing.append(start)
                tick(max(0, len(poses) - CHUNK * len(missing)))
                time.sleep(_POLL_SECONDS)
            elif not _is_whole(folder, start, poses):
                some = poses[start : start + CHUNK]
                chunk = np.empty((len(some), _NUMBERS), np.float16)
                for first in range(0, len(some), at_once):
                    tick(start + first)
                    targets = teacher.targets(character, some[first : first + at_once])
                    chunk[first : first + at_once] = _numbers(targets)
                _write(_path(folder, start), chunk)
    tick(len(poses))


def missing_bytes(folder: Path, poses: Tensor) -> int:
    """The bytes of the chunks that a folder lacks, or has cut off."""
    sizes = {_path(folder, start): _size(poses, start) for start in range(0, len(poses), CHUNK)}
    return sum(size for path, size in sizes.items() if size_of(path) != size)


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


def _numbers(targets: Targets) -> Half:
    """Rows of float16 `[N, _NUMBERS]`, one for each pose, as `_SHAPES` says."""
    images = (targets.frame, targets.grid_change, targets.face)
    flat = [rearrange(image, "n c h w -> n (h w c)").half().cpu() for image in images]
    numbers: Half = torch.cat(flat, dim=1).numpy()
    return numbers


def _path(folder: Path, start: int) -> Path:
    return folder / f"{start:06}.f16"


def _count(poses: Tensor, start: int) -> int:
    """The poses in a chunk."""
    return min(CHUNK, len(poses) - start)


def _size(poses: Tensor, start: int) -> int:
    """The bytes of a chunk's file."""
    return _count(poses, start) * BYTES_PER_POSE + _CHECKSUM_BYTES


def _is_whole(folder: Path, start: int, poses: Tensor) -> bool:
    """Whether a chunk is there as it was written: a crash of the system can leave files that are cut or zeroed."""
    path, left, checksum = _path(folder, start), _count(poses, start) * BYTES_PER_POSE, 0
    if size_of(path) != _size(poses, start):
        return False
    with path.open("rb") as file:
        while block := file.read(min(left, _BLOCK)):
            left, checksum = left - len(block), zlib.crc32(block, checksum)
        return file.read() == _to_bytes(checksum)


def _write(path: Path, chunk: Half) -> None:
    """Write a chunk whole or not at all. Its lock must be held: its temporary file is always named the same."""
    temporary = path.with_suffix(".part")
    with _writing(path.parent):
        try:
            with temporary.open("wb") as file:
                file.write(chunk.data)
                file.write(_to_bytes(zlib.crc32(chunk.data)))
                file.flush()
                os.fsync(file.fileno())
            replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _to_bytes(checksum: int) -> bytes:
    return checksum.to_bytes(_CHECKSUM_BYTES, "little")


@contextmanager
def _chunk_lock(folder: Path, start: int) -> Iterator[bool]:
    """Whether a chunk is this process's to compute, until the end."""
    with ExitStack() as stack:
        with _writing(folder):
            is_ours = stack.enter_context(try_lock(_path(folder, start).with_suffix(".lock")))
        yield is_ours


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Within it, an error of the file system becomes a DistillError that names the folder."""
    try:
        yield
    except OSError as error:
        raise DistillError(
            f"{folder}: the teacher's frames could not be written ({error.strerror or error}). {remedy(error)} and "
            "start again: what is there already is kept."
        ) from error


def _check_space(folder: Path, poses: int) -> None:
    needed, free = poses * BYTES_PER_POSE, shutil.disk_usage(folder).free
    if poses and needed + MIN_FREE > free:
        raise DistillError(
            f"{folder}: the teacher's frames for {poses} pose{'s' * (poses > 1)} need {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free. Free some disk space, or choose a preset with fewer poses."
        )
