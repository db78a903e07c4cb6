"""The training loop of both networks, and its checkpoints: a run may be stopped at any moment and resumed."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from ..atomic_write import remedy
from ..errors import DistillError, WeightsError
from ..picture.warping import blend
from ..student import Student
from ..weights import StateDict, read_safetensors, write_safetensors
from .batches import BodyBatch, BodySampler, FaceBatch, FaceSampler, generator
from .forward import body_crops, face_pixels
from .optimizer import Muon
from .recipe import (
    MASK_WEIGHT,
    PUBLISHED_BATCH,
    BodyPlan,
    BodyTerms,
    Preset,
    body_plan,
    body_terms,
    face_rate,
    face_terms,
    weighted,
)

SAVE_SECONDS = 60.0
"""What a crash costs at the most."""

_PIXELS_AT_ONCE = 2**18  # one whole frame
FACE, BODY = 0, 1
"""Streams of random numbers; 2 is the initialisation's."""
_ROWS = 200  # of a run's history of losses, at most
_LOSS_WINDOW = 50  # steps whose mean loss shows whether training has diverged
_DIVERGED = 4.0  # times the lowest such mean
_MAX_SETBACKS = 5

FORMAT = "tha4-distillation"
FORMAT_VERSION = "1"


@dataclass
class Progress:
    """How far a training is, and its history. Students and checkpoints hold these fields, so their names stay.

    `rate_scale` is what rates are multiplied with, halved each time that training diverged (`setbacks`). `losses`
    has rows [step, face, body], means since the row before; `pending` is what the next row has so far (face, body,
    count). `scores` has rows [step, face PSNR, figure PSNR].
    """

    step: int = 0
    rate_scale: float = 1.0
    setbacks: int = 0
    losses: list[list[float]] = field(default_factory=list)
    pending: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    scores: list[list[float]] = field(default_factory=list)


class Trainer:
    """A student in training. `step` is one step; `progress` says how far it is."""

    def __init__(
        self,
        student: Student,
        faces: FaceSampler,
        bodies: BodySampler,
        preset: Preset,
        seed: int,
        tick: Callable[[], None],
    ) -> None:
        """`tick` is called several times a step, before weights change; what it raises ends the step without effect."""
        self.student, self.preset, self.progress = student, preset, Progress()
        self._faces, self._bodies, self._seed, self._tick = faces, bodies, seed, tick
        self.networks = {"face_morpher": student.face_morpher, "body_morpher": student.body_morpher}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(network.parameters(), betas=(0.9, 0.999))
            if preset.published
            else Muon(network.parameters(), lr=preset.body_rate)
            for name, network in self.networks.items()
        }
        self._last_snapshot = (_snapshot(self.networks, self.optimizers), deepcopy(self.progress))
        self._losses: list[float] = []
        self._lowest_mean = (float("inf"), body_plan(preset, 0))

    @property
    def done(self) -> bool:
        """Whether all steps of the preset are done."""
        return self.progress.step >= self.preset.steps

    def step(self) -> None:
        """One step of both networks. Goes back to the last snapshot where training has diverged."""
        step, rates = self.progress.step, self._rates()
        seed = self._seed + self.progress.setbacks  # the same draws would diverge again
        face, body = 0.0, 0.0
        if rates["face_morpher"] is not None:
            face = self._face_step(generator(seed, step, FACE))
        if rates["body_morpher"] is not None:
            body = self._body_step(generator(seed, step, BODY), body_plan(self.preset, step))
        self._tick()
        for name, rate in rates.items():
            if rate is not None:
                self._update(name, rate * self.progress.rate_scale)
        self._count(face, body)

    def snapshot(self) -> StateDict:
        """Weights and optimizer states, to be saved, and to go back to where training diverges."""
        tensors = _snapshot(self.networks, self.optimizers)
        self._last_snapshot = tensors, deepcopy(self.progress)
        return tensors

    def resume(self, tensors: StateDict, progress: Progress) -> None:
        """Go on from a checkpoint."""
        _restore(tensors, self.networks, self.optimizers)
        self.progress = progress
        self._last_snapshot = tensors, deepcopy(progress)

    def _rates(self) -> dict[str, float | None]:
        step = self.progress.step
        return {"face_morpher": face_rate(self.preset, step), "body_morpher": body_plan(self.preset, step).rate}

    def _face_step(self, random: torch.Generator) -> float:
        if self.preset.published:
            batch = self._faces.patches(PUBLISHED_BATCH, random)
        else:
            batch = self._faces.pixels(self.preset.face_pixels, random)
        own = FaceBatch(*(tensor[_share(len(tensor))] for tensor in batch))
        total = 0.0
        for part in _parts(len(own.target), _PIXELS_AT_ONCE):
            poses, xy, target, mask = (tensor[part] for tensor in own)
            pixels = face_pixels(self.student.face_morpher, poses, xy)
            plain, masked = face_terms(pixels, target, mask)
            # Ours draws pixels where the published loss would weigh them.
            loss = plain + MASK_WEIGHT * masked if self.preset.published else plain
            total += _backward(loss, len(target) / len(own.target))
            self._tick()
        return total

    def _body_step(self, random: torch.Generator, plan: BodyPlan) -> float:
        side = self.preset.side
        batch = self._bodies.crops(self.preset.crops, side, plan.size, plan.shares, random)
        own = self._bodies.part(batch, _share(len(batch.poses)))
        count, total = len(own.poses), 0.0
        for part in _parts(count, max(1, _PIXELS_AT_ONCE // side**2)):
            some = self._bodies.part(own, part)
            output = body_images(self.student, some, side, plan.size)
            loss = weighted(body_terms(output, some.target), plan.weights)
            total += _backward(loss, len(some.poses) / count)
            self._tick()
        return total

    def _update(self, name: str, rate: float) -> None:
        optimizer = self.optimizers[name]
        _mean_over_processes([p.grad for p in self.networks[name].parameters() if p.grad is not None])
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()

    def _count(self, face: float, body: float) -> bool:
        """Count a step that had these losses. Whether the training had diverged, and has gone back."""
        progress = self.progress
        progress.step += 1
        before = progress.pending
        progress.pending = [before[0] + face, before[1] + body, before[2] + 1]
        if progress.step % max(1, self.preset.steps // _ROWS) == 0:
            faces, bodies, count = progress.pending
            progress.losses.append([progress.step, faces / count, bodies / count])
            progress.pending = [0.0, 0.0, 0.0]
        diverged = self._has_diverged(face + body)
        if diverged:
            self._roll_back()
        return diverged

    def _has_diverged(self, loss: float) -> bool:
        """Whether a loss is not finite, or the last ones far above the lowest of this part of the schedule."""
        plan = body_plan(self.preset, self.progress.step)
        lowest, part = self._lowest_mean
        if part[1:] != plan[1:]:  # other weights, sizes or places: another scale
            self._losses, lowest = [], float("inf")
        self._losses = [*self._losses[1 - _LOSS_WINDOW :], _mean_loss(loss, self.student.image.device)]
        mean = statistics.fmean(self._losses)
        if len(self._losses) == _LOSS_WINDOW:
            lowest = min(lowest, mean)
        self._lowest_mean = lowest, plan
        return not mean <= _DIVERGED * lowest

    def _roll_back(self) -> None:
        tensors, progress = self._last_snapshot
        setbacks = self.progress.setbacks + 1
        if setbacks > _MAX_SETBACKS:
            raise DistillError(
                f"The training diverged {setbacks} times, the last time after step {self.progress.step}; nothing "
                "of the last checkpoint is lost. Look at the teacher's frames: are they what they should be?"
            )
        _restore(tensors, self.networks, self.optimizers)
        self.progress = deepcopy(progress)
        self.progress.setbacks, self.progress.rate_scale = setbacks, 0.5**setbacks
        self._losses, self._lowest_mean = [], (float("inf"), self._lowest_mean[1])


def body_images(student: Student, batch: BodyBatch, side: int, size: int) -> BodyTerms:
    """The body student's blended, warped, grid change and colour of a batch of crops, `[K, side, side, C]` each."""
    output = body_crops(student.body_morpher, batch.poses, batch.rows, batch.columns, side, size)
    grid_change, alpha, colour = torch.split(output, [2, 1, 4], dim=-1)
    moved = batch.pictures.warped(batch.xy + grid_change)
    return BodyTerms(blend(alpha, colour, moved), moved, grid_change, colour)


def train(trainer: Trainer, path: Path, identity: dict[str, str], after_step: Callable[[], None]) -> None:
    """Train to the end; save to `path` every `SAVE_SECONDS`, at the end, and whenever something stops it.

    `after_step` is called after every step and may raise. Called for the same step again, it does what it left undone.
    """
    saved = time.monotonic()
    try:
        if trainer.progress.step:
            after_step()
        while not trainer.done:
            trainer.step()
            after_step()
            if time.monotonic() - saved > SAVE_SECONDS:
                _save(trainer, path, identity)
                saved = time.monotonic()
    finally:
        for optimizer in trainer.optimizers.values():
            optimizer.zero_grad()
        _save(trainer, path, identity)


@contextmanager
def matrix_precision(name: str) -> Iterator[None]:
    """Within it, matrix products of float32 run as `name` says: "float32", or "tf32" where a GPU has it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _save(trainer: Trainer, path: Path, identity: dict[str, str]) -> None:
    tensors = trainer.snapshot()
    if rank() == 0:
        save_checkpoint(path, tensors, trainer.progress, identity)


def _snapshot(networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]) -> StateDict:
    """Copies, on the CPU, of all weights and optimizer states."""
    tensors = {f"{name}/{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}/optimizer/{index}/{key}": value for key, value in state.items()}
    return {key: value.detach().clone().cpu() for key, value in tensors.items()}


def _restore(
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


def save_checkpoint(path: Path, tensors: StateDict, progress: Progress, identity: Mapping[str, str]) -> None:
    """Write a checkpoint whole or not at all. Raises DistillError where it cannot be written; the old one stays."""
    about = {"format": FORMAT, "format_version": FORMAT_VERSION, "identity": json.dumps(dict(identity))}
    try:
        write_safetensors(path, tensors, about | {"progress": json.dumps(asdict(progress))})
    except OSError as error:
        raise DistillError(
            f"{path}: the training could not be saved ({error.strerror or error}). {remedy(error)} and start again: it "
            "goes on from the last time that it could."
        ) from error


def load_checkpoint(path: Path) -> tuple[StateDict, Progress, dict[str, str]]:
    """Weights and optimizer states, progress, and the identity of the run. Raises DistillError for a damaged file."""
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


def rank() -> int:
    """This process among those of a run; 0 where it is alone."""
    return torch.distributed.get_rank() if _is_shared() else 0


def processes() -> int:
    """How many processes a run has."""
    return torch.distributed.get_world_size() if _is_shared() else 1


def _is_shared() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _share(count: int) -> slice:
    """The part of a batch of `count` that is this process's: equal parts, so that means of means are means."""
    if count % processes():
        raise DistillError(f"{processes()} processes cannot share a batch of {count} equally. Take 2, 4 or 8.")
    return slice(rank() * count // processes(), (rank() + 1) * count // processes())


def _mean_over_processes(tensors: list[Tensor]) -> None:
    if not _is_shared():
        return
    together = torch.cat([tensor.flatten() for tensor in tensors])
    torch.distributed.all_reduce(together)
    together /= processes()
    for tensor, mean in zip(tensors, torch.split(together, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def _mean_loss(loss: float, device: torch.device) -> float:
    if not _is_shared():
        return loss
    value = torch.tensor(loss, device=device)  # where the weights are: NCCL takes nothing on a CPU
    torch.distributed.all_reduce(value)
    return float(value) / processes()


def _backward(loss: Tensor, share: float) -> float:
    """Add the gradients of a part of a batch; its part of the loss."""
    part = loss * share
    part.backward()  # type: ignore[no-untyped-call]
    return float(part.detach())


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
