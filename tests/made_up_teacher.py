"""A made-up teacher of a few hundred kB: five networks by the published names, filled from a seed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from tha4_core.weights import THA4_TEACHER, find_teacher_files, read_state_dict

ROOT = Path(__file__).parents[1]
NETWORKS = THA4_TEACHER.networks
SHAPES = {name: {f"{name}.weight": (96 + 8 * i, 256), f"{name}.bias": (96 + 8 * i,)} for i, name in enumerate(NETWORKS)}
OLD, NEW = 1, 2


class InterruptedByUserError(Exception):
    """What ComfyUI raises from a progress call."""


class Recorder:
    """A progress function that keeps what it was told, and interrupts when told to."""

    def __init__(self, stop: Callable[[int], bool] = lambda done: False) -> None:
        self.calls: list[tuple[int, int | None, float, str]] = []
        self.stop = stop

    def __call__(self, done: int, total: int | None, rate: float, text: str) -> None:
        self.calls.append((done, total, rate, text))
        if self.stop(done):
            raise InterruptedByUserError


def tensors(seed: int, network: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed * 100 + NETWORKS.index(network))
    return {key: torch.randn(shape, generator=generator) for key, shape in SHAPES[network].items()}


def pt(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def members(seed: int = NEW) -> dict[str, bytes]:
    files = {f"tha4/{network}.pt": pt(tensors(seed, network)) for network in NETWORKS}
    return {"tha4/readme.txt": b"hello", **files, "tha4/pose_dataset.pt": b"not wanted"}


def holds(files: dict[str, Path], seed: int) -> bool:
    """Whether these are the five networks of a seed, to the last number."""
    for network, path in files.items():
        found, right = read_state_dict(path), tensors(seed, network)
        if found.keys() != right.keys() or any(not torch.equal(found[key], right[key]) for key in right):
            return False
    return set(files) == set(NETWORKS)


def whole_set(folder: Path) -> int:
    """OLD or NEW: of which seed all five files are that a reader of the folder gets."""
    files = find_teacher_files([folder])
    seeds = [seed for seed in (OLD, NEW) if holds(files, seed)]
    assert len(seeds) == 1, f"a mixture in {sorted(folder.rglob('*'))}"
    return seeds[0]
