"""Faster ways through a student's sine layers on an NVIDIA GPU, each tried on the spot before it is used.

None of them was timed by those who wrote it, who had no GPU. So `choose` renders a frame by each, and takes the fastest
of those that are faster than float32 and show the same picture; where there is none, nothing changes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from .errors import THA4Error

Layers = Callable[[Sequence[Tensor], Tensor], Tensor]
"""Takes layers `[1 + out, 1 + in]` (as `student_renderer` folds them) and what the first sine is taken of,
`[1 + channels, P]` in float32; gives the last layer's features, `[1 + channels, P]`.

What is made of the coordinates is in there already, in float32 throughout.
"""

PRECISIONS = ("auto", "float32", "float16")

_SAME_PICTURE = 45.0  # decibels between two frames that nobody can tell apart
_TIMED = 3  # frames; the quickest counts
_log = logging.getLogger("tha4")


def tf32(layers: Sequence[Tensor], x: Tensor) -> Tensor:
    """Products of factors that are rounded to 11 bits, on tensor cores."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        x = x.sin()
        for layer in layers:
            x = torch.mm(layer, x).sin_()
    finally:
        torch.set_float32_matmul_precision(before)
    return x


def float16(layers: Sequence[Tensor], x: Tensor) -> Tensor:
    """Products of factors in float16, sums in float32: features are within -1..1, but sums go up to hundreds."""
    x = x.sin()
    for layer in layers:
        x = _product(layer.half(), x.half()).sin_()
    return x


def fused(layers: Sequence[Tensor], x: Tensor) -> Tensor:
    """As `float16`, in one kernel where a level is narrow enough for that. Raises ImportError without Triton."""
    from . import student_triton

    return student_triton.sine_layers(layers, x) if student_triton.fits(layers) else float16(layers, x)


WAYS: dict[str, Layers] = {"TF32": tf32, "float16": float16, "fused float16": fused}


def choose(precision: str, render: Callable[[Layers | None], Tensor], ways: dict[str, Layers] = WAYS) -> Layers | None:
    """The way for a precision of PRECISIONS; None is plain float32. `render` makes a frame in one of the ways."""
    if precision == "float32":
        return None
    if precision == "float16":
        return float16
    plain, seconds = _timed(render, None)
    best, fastest = None, seconds
    for name, way in ways.items():
        try:
            frame, seconds_so = _timed(render, way)
        except Exception as error:  # noqa: BLE001 - compilers fail in ways of their own, and plain float32 is left
            _log.info("Student: %s does not run here (%s: %s).", name, type(error).__name__, error)
            continue
        likeness = psnr(frame, plain)
        _log.info("Student: %s takes %.2f of float32's time, at %.1f dB.", name, seconds_so / seconds, likeness)
        if likeness >= _SAME_PICTURE and seconds_so < fastest:
            best, fastest = way, seconds_so
    return best


def check_precision(precision: str) -> None:
    """Raises THA4Error for what is none of PRECISIONS."""
    if precision not in PRECISIONS:
        raise THA4Error(f'precision is "{precision}"; it is one of {", ".join(PRECISIONS)}.')


def psnr(frame: Tensor, other: Tensor) -> float:
    """How alike two frames in model space are, in decibels; -inf where one holds what is no number."""
    error = ((frame - other) / 2).square().mean()
    return float(-10 * torch.log10(error)) if bool(torch.isfinite(error)) else float("-inf")


def _timed(render: Callable[[Layers | None], Tensor], way: Layers | None) -> tuple[Tensor, float]:
    """A frame, and the seconds that it takes once everything is compiled and warm."""
    frame = render(way)
    seconds = []
    for _ in range(_TIMED):
        _finish(frame)
        start = time.perf_counter()
        frame = render(way)
        _finish(frame)
        seconds.append(time.perf_counter() - start)
    return frame, min(seconds)


def _finish(frame: Tensor) -> None:
    if frame.device.type == "cuda":
        torch.cuda.synchronize(frame.device)


def _product(a: Tensor, b: Tensor) -> Tensor:
    if a.device.type == "cuda":
        with suppress(TypeError):  # PyTorch before 2.8 has no such argument
            return torch.mm(a, b, out_dtype=torch.float32)
    return torch.mm(a.float(), b.float())  # the same numbers, without the speed
