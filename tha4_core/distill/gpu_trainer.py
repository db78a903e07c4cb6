"""Training on one GPU: a step is one CUDA graph, and nothing waits for the GPU but about once a second.

The same draws, losses and updates as `Trainer`, in another form. What differs from step to step, its random numbers and
rates, is sent ahead into memory that stays in place; all else is computed on the GPU in fixed shapes. Losses are read
at the end of a block of steps, and only then does a training that has diverged go back, to where it would have gone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch
from torch import Tensor

from .. import cuda_graph
from ..picture.model_space import SIZE
from ..student import Student
from ..weights import StateDict
from .batches import FaceSampler, crop_origins, draw, generator, pick
from .forward import face_pixels
from .gpu_targets import GPUBodySampler
from .recipe import BodyPlan, Preset, body_plan, body_terms, face_rate, weighted
from .trainer import BODY, FACE, Progress, Trainer, body_images

_BLOCK_SECONDS = 1.0
_FIRST_BLOCK, _LARGEST_BLOCK = 8, 1000
_EAGER = 2  # steps before a graph is captured: they set up what may not be part of one
_log = logging.getLogger("tha4")


class GPUTrainer(Trainer):
    """As Trainer, but for what the head of this file says; `step` is a block of steps. Not for published presets."""

    def __init__(
        self,
        student: Student,
        faces: FaceSampler,
        bodies: GPUBodySampler,
        preset: Preset,
        seed: int,
        tick: Callable[[], None],
    ) -> None:
        """`tick` is called once before every step; what it raises ends the block after the steps before."""
        super().__init__(student, faces, bodies, preset, seed, tick)
        self._resident = bodies
        device = student.image.device
        counts = preset.face_pixels + preset.crops
        self._floats = torch.empty(counts + 2, device=device)  # chances of pixels, of crops; the two rates
        self._which = torch.empty(counts, dtype=torch.long, device=device)
        self._crops = torch.empty(0, dtype=torch.float16, device=device)  # of targets that are not resident
        self._face_density, self._body_density = faces.cumulative.to(device), torch.empty(0, device=device)
        self._plan: BodyPlan | None = None
        self._work: Callable[[], Tensor] | None = None
        self._eager = _EAGER
        self._block = _FIRST_BLOCK

    def step(self) -> None:
        """About a second of steps, after which it waits for the GPU."""
        start, first = time.monotonic(), self.progress.step
        last = min(first + self._block, self.preset.steps)
        losses: list[Tensor] = []
        try:
            for step in range(first, last):
                self._tick()
                losses.append(self._launch(step))
        finally:
            self._take(losses)
        wanted = round(len(losses) * _BLOCK_SECONDS / max(1e-3, time.monotonic() - start))
        self._block = max(1, min(wanted, 2 * self._block, _LARGEST_BLOCK))

    def resume(self, tensors: StateDict, progress: Progress) -> None:
        """Go on from a checkpoint."""
        super().resume(tensors, progress)
        self._plan = None  # a graph has the optimizers' old states in it

    def _roll_back(self) -> None:
        super()._roll_back()
        self._plan = None

    def _take(self, losses: list[Tensor]) -> None:
        """Wait for these steps, and count them until one has diverged."""
        if losses:
            for face, body in torch.stack(losses).cpu().tolist():
                if self._count(face, body):
                    break

    def _launch(self, step: int) -> Tensor:
        """Start a step. Its losses `[2]`, which the GPU has yet to compute."""
        plan = body_plan(self.preset, step)
        if self._plan is None or (self._plan.weights, self._plan.size) != (plan.weights, plan.size):
            self._begin(plan)
        elif self._plan.shares != plan.shares:  # in place: a graph reads it there
            _upload(self._resident.cumulative(plan.size, plan.shares), self._body_density)
            self._plan = plan
        self._send(step, plan)
        if self._work is None and self._eager == 0:
            self._work = self._captured(plan)
        if self._work is not None:
            return self._work()
        self._eager -= 1
        return self._aside(plan)

    def _begin(self, plan: BodyPlan) -> None:
        """Get ready for another part of the schedule, which has other shapes or weights."""
        self._plan, self._work, self._eager = plan, None, _EAGER
        density = self._resident.cumulative(plan.size, plan.shares)
        self._body_density = density.to(self._floats.device, copy=True)
        if not self._resident.resident:
            side = self.preset.side * SIZE // plan.size
            self._crops = torch.empty(self.preset.crops, side, side, 6, dtype=torch.float16, device=self._floats.device)

    def _aside(self, plan: BodyPlan) -> Tensor:
        device = self._floats.device
        return (
            cuda_graph.run_aside(lambda: self._compute(plan), device)
            if cuda_graph.is_available(device)
            else self._compute(plan)
        )

    def _captured(self, plan: BodyPlan) -> Callable[[], Tensor]:
        """A step as a CUDA graph, or as it is where that cannot be."""
        device = self._floats.device
        if cuda_graph.is_available(device):
            try:
                repeat, losses = cuda_graph.capture(lambda: self._compute(plan), device)
            except RuntimeError as error:
                _log.warning("Training: a CUDA graph cannot be captured here, which costs time (%s).", error)
            else:

                def step() -> Tensor:
                    repeat()
                    return losses.clone()  # the next step overwrites them

                return step
        return lambda: self._compute(plan)

    def _send(self, step: int, plan: BodyPlan) -> None:
        """What is this step's own: random numbers, rates, and the targets' crops where they are not resident."""
        seed = self._seed + self.progress.setbacks
        face = draw(self.preset.face_pixels, self._resident.poses, generator(seed, step, FACE))
        body = draw(self.preset.crops, self._resident.poses, generator(seed, step, BODY))
        rates = torch.tensor([face_rate(self.preset, step), plan.rate]) * self.progress.rate_scale
        _upload(torch.cat([face.chance, body.chance, rates]), self._floats)
        _upload(torch.cat([face.which, body.which]), self._which)
        if not self._resident.resident:
            side, scale = self.preset.side, SIZE // plan.size
            centre = pick(self._resident.cumulative(plan.size, plan.shares), body.chance)
            rows, columns = crop_origins(centre, side, plan.size)
            _upload(self._resident.read(body.which, rows * scale, columns * scale, side * scale), self._crops)

    def _compute(self, plan: BodyPlan) -> Tensor:
        """One step of both networks, on the GPU alone. Losses `[2]` of face and body."""
        faces = self.preset.face_pixels
        chance, rates = self._floats[:-2], self._floats[-2:]
        face = self._face_loss(self._which[:faces], chance[:faces])
        body = self._body_loss(self._which[faces:], chance[faces:], plan)
        for (name, network), loss, rate in zip(self.networks.items(), (face, body), rates, strict=True):
            optimizer, parameters = self.optimizers[name], list(network.parameters())
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.grad = gradient
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
        return torch.stack([face.detach(), body.detach()])

    def _face_loss(self, which: Tensor, chance: Tensor) -> Tensor:
        poses, xy, target, _ = self._faces.batch(which, pick(self._face_density, chance))
        return (face_pixels(self.student.face_morpher, poses, xy) - target).abs().mean()

    def _body_loss(self, which: Tensor, chance: Tensor, plan: BodyPlan) -> Tensor:
        side, scale = self.preset.side, SIZE // plan.size
        rows, columns = crop_origins(pick(self._body_density, chance), side, plan.size)
        numbers = self._crops
        if self._resident.resident:
            numbers = self._resident.gather(which, rows * scale, columns * scale, side * scale)
        frame, grid_change = self._resident.targets(numbers, plan.size)
        batch = self._resident.batch(which, rows, columns, frame, grid_change, plan.size)
        output = body_images(self.student, batch, side, plan.size)
        return weighted(body_terms(output, batch.target), plan.weights)


def _upload(numbers: Tensor, memory: Tensor) -> None:
    """Copy numbers to the GPU without waiting for it: PyTorch keeps pinned memory until what reads it has run."""
    memory.copy_(numbers.pin_memory() if memory.device.type == "cuda" else numbers, non_blocking=True)
