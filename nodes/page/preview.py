"""Preview frames for the page: the characters that can be previewed, rendering, encoding."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch
from PIL import Image
from torch import Tensor

from ...tha4_core.cpu import intra_op_threads
from ...tha4_core.demo import DemoRig, demo_character
from ...tha4_core.picture import model_space as images
from ...tha4_core.student import Student
from .. import host
from ..student import student_fingerprint, student_path, students
from .preview_queue import QUEUE

KINDS = ("student", "rig")
RIG = "demo"
SIZES = range(64, images.SIZE + 1, 32)
"""Heights and widths that the page may ask for."""
_CACHED_STUDENTS = 3  # 6 MB each
_QUALITY = 85


@dataclass(frozen=True)
class FrameRequest:
    """A frame to render: a character by kind and name, a pose `[1, 45]`, the size in pixels, lossless or not."""

    kind: str
    name: str
    pose: Tensor
    size: int = 256
    lossless: bool = False


def characters() -> list[dict[str, str]]:
    """All characters that can be previewed, as kind and name."""
    names = sorted(students(), key=str.casefold)
    return [{"kind": "rig", "name": RIG}, *({"kind": "student", "name": name} for name in names)]


def is_known(kind: str, name: str) -> bool:
    """Whether there is such a character."""
    return name == RIG if kind == "rig" else name in students()


def render(request: FrameRequest, tick: Callable[[], None]) -> bytes:
    """The frame as a WebP with alpha. What `tick` raises ends it. Raises THA4Error and OSError for broken files.

    Call it from one thread only: the cache of students has no lock.
    """
    tick()
    # Always on the CPU: the GPU's memory belongs to the graph.
    with torch.inference_mode(), _threads():
        if request.kind == "rig":
            frames = _rig().render(demo_character(), request.pose)
        else:
            frames = _student(request.name).render(request.pose, size=request.size, tick=tick)
        tick()
        picture = host.to_pillow(images.to_srgb(frames)[0])
    return _webp(picture, request)


def _threads() -> AbstractContextManager[object]:
    """One thread only while a graph is running that does not give way: the processor belongs to the graph."""
    return nullcontext() if QUEUE.has_processor else intra_op_threads(1)


def _webp(picture: Image.Image, request: FrameRequest) -> bytes:
    if picture.width != request.size:
        picture = picture.resize((request.size, request.size), Image.Resampling.BILINEAR)
    encoded = io.BytesIO()
    # At method 0 encoding takes a tenth of the frame's time; a lossless file is then twice as large as a slow
    # method's.
    quality = 0 if request.lossless else _QUALITY
    picture.save(encoded, "WEBP", lossless=request.lossless, quality=quality, method=0)
    return encoded.getvalue()


@cache
def _rig() -> DemoRig:
    return DemoRig()


_student_cache: OrderedDict[str, tuple[str, Student]] = OrderedDict()


def _student(name: str) -> Student:
    """The student of that name, from the cache unless its file has changed."""
    path = student_path(name)
    fingerprint, cached = student_fingerprint(path), _student_cache.pop(str(path), None)
    if cached is None or cached[0] != fingerprint:
        cached = fingerprint, Student.load(path)
    _student_cache[str(path)] = cached
    while len(_student_cache) > _CACHED_STUDENTS:
        _student_cache.popitem(last=False)
    return cached[1]
