"""What distillation learns from: the same five images, whichever the teacher (spec sections 6 and 8)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Targets:
    """A teacher's images of N poses, float32, in model space where they are pictures.

    `frame` `[N, 4, 512, 512]`; `warped` `[N, 4, 512, 512]`, the face-morphed picture moved by `grid_change`
    `[N, 2, 512, 512]` (x, y, -1..1 units); `face_morphed_full` `[N, 4, 512, 512]`, the picture with the posed face and
    everything else at rest; `face` `[N, 4, 192, 192]`, that face alone, rows 32..223 and columns 160..351.
    """

    frame: Tensor
    warped: Tensor
    grid_change: Tensor
    face_morphed_full: Tensor
    face: Tensor
