"""Kernels for a student's sine layers on an NVIDIA GPU, and the autotuner that chooses among them.

None of the kernels was timed by those who wrote it, who had no GPU. So `choose_kernel` renders a frame with each, and
takes the fastest of those that are faster than float32 and show the same picture. `Autotuner` does so once, and then
tries whether single frames are faster still as a CUDA graph. Where nothing is faster, nothing changes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import functional

from .. import cuda_graph
from ..errors import THA4Error

LayerKernel = Callable[[Sequence[Tensor], Tensor], Tensor]
"""Takes layers `[1 + out, 1 + in]` (as `renderer` folds them) and what the first sine is taken of,
`[1 + channels, P]` in float32; gives the last layer's features, `[1 + channels, P]`.

What is made of the coordinates is in there already, in float32 throughout.
"""

FUSED: Final = "fused"
"""Whole frames by the module `fused`, which only imports with Triton."""

Kernel = LayerKernel | Literal["fused"]

PoseToFrame = Callable[[Tensor], Tensor]
"""Makes a frame `[1, 4, H, W]` of a pose `[1, 45]`."""

PRECISIONS = ("auto", "float32", "float16")

_ALIGNMENT = 8  # numbers: 16 bytes of float16
_SAME_PICTURE = 45.0  # PSNR in decibels from which nobody can tell two frames apart
_TIMED = 3  # frames; the quickest counts
_log = logging.getLogger("tha4")


def tf32(layers: Sequence[Tensor], x: Tensor) -> Tensor:
    """Products of factors that are rounded to 11 bits, on tensor cores."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        x = _aligned_sine(x, torch.float32)
        for layer in layers:
            x = torch.mm(_aligned(layer), x).sin_()
    finally:
        torch.set_float32_matmul_precision(before)
    return x[: len(layers[-1])]


def float16(layers: Sequence[Tensor], x: Tensor) -> Tensor:
    """Products of factors in float16, sums in float32: features are within -1..1, but sums go up to hundreds."""
    for layer in layers:
        x = _product(_aligned(layer).half(), _aligned_sine(x, torch.float16))
    return x[: len(layers[-1])].sin_()


KERNELS: dict[str, Kernel] = {"TF32": tf32, "float16": float16, "fused float16": FUSED}


def choose_kernel(
    precision: str, render: Callable[[Kernel | None], Tensor], kernels: dict[str, Kernel] = KERNELS
) -> Kernel | None:
    """The kernel for a precision of PRECISIONS; None is plain float32. `render` makes a frame with a kernel."""
    if precision == "float32":
        return None
    if precision == "float16":
        return float16
    _log.info("Student: looking for the fastest kernel. The first time on this machine that takes up to a minute.")
    plain, seconds = _timed(partial(render, None))
    best, fastest = None, seconds
    for name, kernel in kernels.items():
        try:
            frame, kernel_seconds = _timed(partial(render, kernel))
        except Exception as error:  # noqa: BLE001 - compilers raise errors of many kinds; plain float32 is left
            _log.info("Student: %s does not run here (%s: %s).", name, type(error).__name__, error)
            continue
        likeness = psnr(frame, plain)
        _log.info("Student: %s takes %.2f of float32's time, at %.1f dB.", name, kernel_seconds / seconds, likeness)
        if likeness >= _SAME_PICTURE and kernel_seconds < fastest:
            best, fastest = kernel, kernel_seconds
    return best


def capture_cuda_graph(render: PoseToFrame, pose: Tensor) -> PoseToFrame:
    """`render` as one CUDA graph, whose hundred kernels follow one another without the CPU. Raises RuntimeError.

    The graph reads weights and picture where they lie now, and keeps the memory that a frame takes.
    """
    if not cuda_graph.is_available(pose.device):
        raise RuntimeError("no graphs are captured here")
    with torch.inference_mode(False), torch.no_grad():  # what is made in that mode can be written to in no other
        pose = pose.clone()
        cuda_graph.run_aside(lambda: render(pose), pose.device)
        repeat, frame = cuda_graph.capture(lambda: render(pose), pose.device)
    lock = Lock()  # every caller's replay reads and writes the same memory

    def replay(new_pose: Tensor) -> Tensor:
        with lock:
            pose.copy_(new_pose)
            repeat()
            return frame.clone()

    return replay


class Autotuner:
    """Finds out how a student is rendered fastest on its GPU: when it is first rendered there. Caches the result."""

    def __init__(self, capture: Callable[[PoseToFrame, Tensor], PoseToFrame] = capture_cuda_graph) -> None:
        self._capture = capture
        self._kernels: dict[str, Kernel | None] = {}
        self._graph: tuple[Hashable, PoseToFrame | None] = (None, None)

    def kernel(self, precision: str, render: Callable[[Kernel | None], Tensor]) -> Kernel | None:
        """What `choose_kernel` finds."""
        if precision not in self._kernels:
            self._kernels[precision] = choose_kernel(precision, render)
        return self._kernels[precision]

    def cuda_graph(self, render: PoseToFrame, pose: Tensor, key: Hashable) -> PoseToFrame | None:
        """`render` as a CUDA graph, if it can be captured, shows the same and is faster; `pose` `[1, 45]` is to try it.

        The last one is kept while `key` is the same: that must change with all that `render` depends on, and with the
        memory in which that lies.
        """
        if self._graph[0] != key:
            self._graph = key, None  # first, so that the old one's memory is free for the new one
            self._graph = key, self._captured_if_faster(render, pose)
        return self._graph[1]

    def release_cuda_graph(self) -> None:
        """Free a graph's memory: the student leaves the GPU."""
        self._graph = None, None

    def _captured_if_faster(self, render: PoseToFrame, pose: Tensor) -> PoseToFrame | None:
        try:
            replay = self._capture(render, pose)
            (frame, seconds), (expected, without) = _timed(partial(replay, pose)), _timed(partial(render, pose))
        except RuntimeError as error:
            _log.info("Student: a CUDA graph cannot be captured here (%s).", error)
            return None
        likeness = psnr(frame, expected)
        _log.info("Student: a CUDA graph takes %.2f of the time without, at %.1f dB.", seconds / without, likeness)
        return replay if likeness >= _SAME_PICTURE and seconds < without else None


def versions(tensors: Iterable[Tensor]) -> tuple[object, ...]:
    """What changes when these tensors move or are written to. Writes in inference mode are not seen."""
    return tuple((tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in tensors)


def check_precision(precision: str) -> None:
    """Raises THA4Error for what is none of PRECISIONS."""
    if precision not in PRECISIONS:
        raise THA4Error(f'precision is "{precision}"; it is one of {", ".join(PRECISIONS)}.')


def psnr(frame: Tensor, other: Tensor) -> float:
    """How alike two frames in model space are, in decibels; -inf where one holds what is no number."""
    error = ((frame - other) / 2).square().mean()
    return float(-10 * torch.log10(error)) if bool(torch.isfinite(error)) else float("-inf")


def _timed(render: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """A frame, and the seconds that it takes once everything is compiled and warm."""
    frame = render()
    seconds = []
    for _ in range(_TIMED):
        _finish(frame)
        start = time.perf_counter()
        frame = render()
        _finish(frame)
        seconds.append(time.perf_counter() - start)
    return frame, min(seconds)


def _finish(frame: Tensor) -> None:
    if frame.device.type == "cuda":
        torch.cuda.synchronize(frame.device)


def _aligned_sine(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The sines of `x` `[rows, P]`, laid out as `x` is, and below them rows of zeros, as `_aligned` has columns."""
    rows, pixels = x.shape
    padded = rows + -rows % _ALIGNMENT
    by_pixel = x.stride(0) == 1
    sines = x.new_empty((pixels, padded) if by_pixel else (padded, pixels), dtype=dtype)
    sines = sines.t() if by_pixel else sines
    sines[rows:].zero_()
    torch.sin(x, out=sines[:rows])  # converted in the same pass: most of these kernels' time is memory's
    return sines


def _aligned(layer: Tensor) -> Tensor:
    """A layer with zeros around it, so that its rows are multiples of 16 bytes, as tensor cores are fed fastest."""
    return functional.pad(layer, [part for size in reversed(layer.shape) for part in (0, -size % _ALIGNMENT)])


def _product(a: Tensor, b: Tensor) -> Tensor:
    if a.device.type == "cuda":
        # PyTorch before 2.8 has no such argument (TypeError), and ROCm does not support it (RuntimeError).
        with suppress(TypeError, RuntimeError):
            return torch.mm(a, b, out_dtype=torch.float32)
    return torch.mm(a.float(), b.float())  # the same numbers, without the speed
