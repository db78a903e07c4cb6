"""A training as a file: whatever moment it is stopped at, this is where it goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DistillError, WeightsError
from ..weights import StateDict, read_safetensors, write_safetensors

FORMAT = "tha4-distillation"
FORMAT_VERSION = "1"


@dataclass
class Progress:
    """How far a training is, and what it has seen.

    `rate_scale` is what rates are multiplied with, halved each time that training went astray (`setbacks`). `losses`
    has rows [step, face, body], means since the row before; `pending` is what the next row has so far (face, body,
    count). `scores` has rows [step, face PSNR, figure PSNR].
    """

    step: int = 0
    rate_scale: float = 1.0
    setbacks: int = 0
    losses: list[list[float]] = field(default_factory=list)
    pending: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    scores: list[list[float]] = field(default_factory=list)


def snapshot(networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]) -> StateDict:
    """Copies, on the CPU, of all weights and of all that the optimizers remember."""
    tensors = {f"{name}/{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}/optimizer/{index}/{key}": value for key, value in state.items()}
    return {key: value.detach().clone().cpu() for key, value in tensors.items()}


def restore(
    tensors: StateDict, networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> None:
    """Put a snapshot back."""
    for name, network in networks.items():
        network.load_state_dict({key: tensors[f"{name}/{key}"] for key in network.state_dict()})
    for name, optimizer in optimizers.items():
        prefix = f"{name}/optimizer/"
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith(prefix):
                index, _, entry = key.removeprefix(prefix).partition("/")
                state.setdefault(int(index), {})[entry] = tensor.clone()
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def save(path: Path, tensors: StateDict, progress: Progress, identity: Mapping[str, str]) -> None:
    """Write a checkpoint whole or not at all. Raises DistillError where it cannot be written; the old one stays."""
    about = {"format": FORMAT, "format_version": FORMAT_VERSION, "identity": json.dumps(dict(identity))}
    try:
        write_safetensors(path, tensors, about | {"progress": json.dumps(asdict(progress))})
    except OSError as error:
        raise DistillError(
            f"{path}: the training could not be saved ({error.strerror or error}). Free some disk space and start "
            "again: it goes on from the last time that it could."
        ) from error


def load(path: Path) -> tuple[StateDict, Progress, dict[str, str]]:
    """Weights and memories, progress, and the identity of the run. Raises DistillError for a damaged file."""
    try:
        tensors, about = read_safetensors(path)
        if (about["format"], about["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise DistillError(f"{path}: made by another version of this pack. Start again with restart.")
        progress: dict[str, Any] = json.loads(about["progress"])
        return tensors, Progress(**progress), json.loads(about["identity"])
    except (WeightsError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, DistillError):
            raise
        raise DistillError(f"{path}: not a whole checkpoint ({error}). Start again with restart.") from error
