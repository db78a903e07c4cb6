"""The loop: both students side by side, step after step, saved now and then, stopped at any moment."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import torch
import torch.distributed
from torch import Tensor

from ..errors import DistillError
from ..picture.warping import blend
from ..student.model import Student
from ..weights import StateDict
from . import checkpoint
from .batches import BodyBatch, BodySampler, FaceBatch, FaceSampler, generator
from .checkpoint import Progress
from .forward import body_crops, face_pixels
from .losses import MASK_WEIGHT, BodyTerms, body_terms, face_terms, weighted
from .optimizers import Muon
from .presets import PUBLISHED_BATCH, BodyPlan, Preset, body_plan, face_rate

SAVE_SECONDS = 60.0
"""What a crash costs at the most."""

_PIXELS_AT_ONCE = 2**18  # one whole frame
_FACE, _BODY = 0, 1  # streams of randomness; 2 is the start's
_LOOK_BACK = 50  # steps whose mean loss says whether training goes astray
_ASTRAY = 4.0
_MOST_SETBACKS = 5


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
        """`tick` is called several times a step, before weights change; what it raises ends the step without trace."""
        self.student, self.preset, self.progress = student, preset, Progress()
        self._faces, self._bodies, self._seed, self._tick = faces, bodies, seed, tick
        self.networks = {"face_morpher": student.face_morpher, "body_morpher": student.body_morpher}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(network.parameters(), betas=(0.9, 0.999))
            if preset.published
            else Muon(network.parameters(), lr=preset.body_rate)
            for name, network in self.networks.items()
        }
        self._last_good = (checkpoint.snapshot(self.networks, self.optimizers), self.progress)
        self._recent: list[float] = []
        self._lowest = (float("inf"), body_plan(preset, 0))

    @property
    def done(self) -> bool:
        """Whether the preset is through."""
        return self.progress.step >= self.preset.steps

    def step(self) -> None:
        """One step of both students. Goes back to the last checkpoint where training went astray."""
        step, rates = self.progress.step, self._rates()
        seed = self._seed + self.progress.setbacks  # the same draws would go astray again
        face, body = 0.0, 0.0
        if rates["face_morpher"] is not None:
            face = self._face_step(generator(seed, step, _FACE))
        if rates["body_morpher"] is not None:
            body = self._body_step(generator(seed, step, _BODY), body_plan(self.preset, step))
        self._tick()
        for name, rate in rates.items():
            if rate is not None:
                self._update(name, rate * self.progress.rate_scale)
        self.progress.step += 1
        pending = self.progress.pending
        self.progress.pending = [pending[0] + face, pending[1] + body, pending[2] + 1]
        if self._is_astray(face + body):
            self._go_back()

    def keep(self) -> StateDict:
        """A snapshot, to be saved, and to come back to where training goes astray."""
        tensors = checkpoint.snapshot(self.networks, self.optimizers)
        self._last_good = tensors, deepcopy(self.progress)
        return tensors

    def resume(self, tensors: StateDict, progress: Progress) -> None:
        """Go on from a checkpoint."""
        checkpoint.restore(tensors, self.networks, self.optimizers)
        self.progress = progress
        self._last_good = tensors, deepcopy(progress)

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
        batch = self._bodies.crops(self.preset.crops, side, plan.size, random)
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

    def _is_astray(self, loss: float) -> bool:
        """Whether a loss is no number, or those of late are far above the lowest of this part of the schedule."""
        plan = body_plan(self.preset, self.progress.step)
        lowest, part = self._lowest
        if part[1:] != plan[1:]:  # other weights or another size: another scale
            self._recent, lowest = [], float("inf")
        self._recent = [*self._recent[1 - _LOOK_BACK :], _mean_loss(loss)]
        mean = statistics.fmean(self._recent)
        if len(self._recent) == _LOOK_BACK:
            lowest = min(lowest, mean)
        self._lowest = lowest, plan
        return not mean <= _ASTRAY * lowest

    def _go_back(self) -> None:
        tensors, progress = self._last_good
        setbacks = self.progress.setbacks + 1
        if setbacks > _MOST_SETBACKS:
            raise DistillError(
                f"The training went astray {setbacks} times, the last time after step {self.progress.step}; nothing "
                "of the last checkpoint is lost. Look at the teacher's frames: are they what they should be?"
            )
        checkpoint.restore(tensors, self.networks, self.optimizers)
        self.progress = deepcopy(progress)
        self.progress.setbacks, self.progress.rate_scale = setbacks, 0.5**setbacks
        self._recent, self._lowest = [], (float("inf"), self._lowest[1])


def body_images(student: Student, batch: BodyBatch, side: int, size: int) -> BodyTerms:
    """The body student's blended, warped, grid change and colour of a batch of crops, `[K, side, side, C]` each."""
    output = body_crops(student.body_morpher, batch.poses, batch.rows, batch.columns, side, size)
    grid_change, alpha, colour = torch.split(output, [2, 1, 4], dim=-1)
    moved = batch.pictures.warped(batch.xy + grid_change)
    return BodyTerms(blend(alpha, colour, moved), moved, grid_change, colour)


def train(trainer: Trainer, path: Path, identity: dict[str, str], look: Callable[[], None]) -> None:
    """Train to the end; save to `path` every `SAVE_SECONDS`, at the end, and whenever something stops it.

    `look` is called after every step and may raise.
    """
    saved = time.monotonic()
    try:
        while not trainer.done:
            trainer.step()
            look()
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
    tensors = trainer.keep()
    if rank() == 0:
        checkpoint.save(path, tensors, trainer.progress, identity)


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


def _mean_loss(loss: float) -> float:
    if not _is_shared():
        return loss
    value = torch.tensor(loss)
    torch.distributed.all_reduce(value)
    return float(value) / processes()


def _backward(loss: Tensor, share: float) -> float:
    """Add the gradients of a part of a batch; its part of the loss."""
    part = loss * share
    part.backward()  # type: ignore[no-untyped-call]
    return float(part.detach())


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
