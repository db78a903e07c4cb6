"""Evaluation of a student: its frames against the teacher's, on poses that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..networks.siren import FACE_SIZE
from ..picture import model_space as images
from ..picture.warping import positions
from ..pose import HEAD_FREE
from ..student import FACE_COLUMNS, FACE_ROWS, Student
from .forward import face_pixels
from .target_cache import TargetCache

_VISIBLE = 0.02
"""Alpha of the teacher above which a pixel is the figure's."""
_BESIDE = 12
"""Pixels from the teacher's figure, beyond which a student should show nothing."""
_STUDENT_IN_FACE = (slice(48, 176), slice(32, 160))
_WINDOW, _SIGMA = 11, 1.5  # of SSIM (Wang et al. 2004), as its constants
_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True)
class Scores:
    """Means over poses and pixels, in model space mapped to 0..1: linear light, colour multiplied by alpha, 4 channels.

    PSNR is in dB and SSIM 0..1. `figure`: pixels of the frame where the teacher's alpha is above 0.02; `head`: those in
    the face's rectangle; `face`: the face network's patch against the teacher's face at rest.

    What a student shows beside the figure, further than 12 pixels from it, makes no PSNR low, but is seen:
    `stray_pixels` have an alpha above 0.02 there, a frame; `stray_alpha` is the highest of all frames.
    """

    figure_psnr: float
    head_psnr: float
    face_psnr: float
    figure_ssim: float
    stray_pixels: float
    stray_alpha: float

    def __str__(self) -> str:
        return "\n".join(f"{field.name.replace('_', ' ')}: {getattr(self, field.name):.3f}" for field in fields(self))


@torch.no_grad()
def evaluate(
    student: Student, targets: TargetCache, indices: list[int] | None = None, tick: Callable[[], None] | None = None
) -> Scores:
    """Scores over the poses of the targets (or some of them), one after another on the student's device."""

    def frame(pose: Tensor) -> Tensor:
        # Exact, and nothing kept ready for weights that are trained on.
        return student.render(pose, tick=tick, precision="float32", keep_memory=False)[0].movedim(0, -1)

    return compare(lambda pose: (_face(student, pose), frame(pose)), targets, indices)


@torch.no_grad()
def compare(
    render: Callable[[Tensor], tuple[Tensor, Tensor]], targets: TargetCache, indices: list[int] | None = None
) -> Scores:
    """As `evaluate`, of whatever `render` makes of a pose `[1, 45]`: the face `[128, 128, 4]`, the frame
    `[512, 512, 4]`, in model space."""
    figure, head, face, ssim = _Mean(), _Mean(), _Mean(), _Mean()
    stray_pixels, stray_alpha = 0, 0.0
    chosen = indices if indices is not None else list(range(len(targets.poses)))
    for index in chosen:
        patch, frame = (_unit(image) for image in render(targets.poses[index : index + 1]))
        wanted = _unit(targets.frame(index).to(frame.device))
        visible = wanted[..., 3] > _VISIBLE
        error = (frame - wanted).square().mean(-1)
        figure.add(error[visible])
        head.add(error[FACE_ROWS, FACE_COLUMNS][visible[FACE_ROWS, FACE_COLUMNS]])
        face.add((patch - _unit(targets.face(index, *_STUDENT_IN_FACE).to(patch.device))).square())
        ssim.add(_ssim(frame, wanted)[visible])
        alpha = frame[..., 3].masked_fill(_near(visible), 0)
        stray_pixels += int((alpha > _VISIBLE).sum())
        stray_alpha = max(stray_alpha, float(alpha.max()))
    return Scores(
        figure_psnr=_psnr(figure.value),
        head_psnr=_psnr(head.value),
        face_psnr=_psnr(face.value),
        figure_ssim=ssim.value,
        stray_pixels=stray_pixels / max(1, len(chosen)),
        stray_alpha=stray_alpha,
    )


def unmoved(character_image: Tensor, targets: TargetCache) -> Scores:
    """The scores of the picture `[1, 4, 512, 512]` at rest in every pose: the baseline for every student."""
    frame = character_image[0].movedim(0, -1)
    return compare(lambda pose: (frame[FACE_ROWS, FACE_COLUMNS], frame), targets)


def side_by_side(student: Student, targets: TargetCache, indices: list[int], size: int = 256) -> Image.Image:
    """A sheet with a row for each pose: the teacher's frame, the student's, and their difference four times over."""
    rows = []
    for index in indices:
        frame = student.render(targets.poses[index : index + 1])[0].cpu()
        teacher = targets.frame(index).movedim(-1, 0)
        background = torch.full((1, 1, 1, 3), 0.6)
        pictures = images.over_background(torch.stack([teacher, frame]), background)
        difference = ((pictures[0] - pictures[1]).abs() * 4).clamp(0, 1)
        rows.append(torch.cat([*pictures, difference], dim=1))
    sheet = (torch.cat(rows) * 255).round().to(torch.uint8).numpy()
    picture = Image.fromarray(np.ascontiguousarray(sheet))
    return picture.resize((3 * size, size * len(indices)), Image.Resampling.LANCZOS)


class _Mean:
    """A mean over numbers that come in parts of different sizes."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, values: Tensor) -> None:
        self._sum += float(values.cpu().double().sum())  # some GPUs have no float64
        self._count += values.numel()

    @property
    def value(self) -> float:
        return self._sum / max(1, self._count)


def _face(student: Student, pose: Tensor) -> Tensor:
    device = student.image.device
    xy = rearrange(positions(FACE_SIZE, FACE_SIZE, device=device), "1 xy h w -> (h w) xy")
    pixels = face_pixels(student.face_morpher, pose[:, HEAD_FREE].to(device).expand(len(xy), -1), xy)
    return rearrange(pixels, "(h w) c -> h w c", h=FACE_SIZE)


def _near(visible: Tensor) -> Tensor:
    """Pixels `[H, W]` up to `_BESIDE` from those that are visible, in rows or columns."""
    side = 2 * _BESIDE + 1
    in_rows = functional.max_pool2d(visible[None].float(), (1, side), 1, (0, _BESIDE))
    return functional.max_pool2d(in_rows, (side, 1), 1, (_BESIDE, 0))[0] > 0  # a seventh of a square window's time


def _unit(model: Tensor) -> Tensor:
    return ((model + 1) / 2).clamp(0, 1)


def _psnr(mean_square: float) -> float:
    return -10 * math.log10(max(mean_square, 1e-12))


def _ssim(a: Tensor, b: Tensor) -> Tensor:
    """SSIM at every pixel `[H, W]` of two images `[H, W, C]` in 0..1, the mean over channels."""
    steps = torch.arange(_WINDOW, device=a.device) - _WINDOW // 2
    bell = torch.exp(-(steps**2) / (2 * _SIGMA**2))
    bell = bell / bell.sum()
    a, b = (rearrange(image, "h w c -> c 1 h w") for image in (a, b))  # channels as a batch

    def blur(image: Tensor) -> Tensor:
        rows = functional.conv2d(image, bell[None, None, :, None], padding=(_WINDOW // 2, 0))
        return functional.conv2d(rows, bell[None, None, None, :], padding=(0, _WINDOW // 2))

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, both = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + _C1) * (2 * both + _C2)
    return (likeness / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))).mean(0)[0]
