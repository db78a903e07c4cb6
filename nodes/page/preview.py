"""Preview frames for the page: the characters that can be previewed, rendering, encoding."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ...tha4_core.cpu import intra_op_threads
from ...tha4_core.demo import DemoRig, demo_character
from ...tha4_core.picture import model_space as images
from ...tha4_core.student import Student
from .. import host
from ..student import student_fingerprint, student_path, students

KINDS = ("student", "rig")
RIG = "demo"
SIZES = range(64, images.SIZE + 1, 32)
"""Heights and widths that the page may ask for."""
_CACHED_STUDENTS = 3  # 6 MB each
_QUALITY = 85
_GPU_MEMORY = 2**30  # bytes that are free where previews use a GPU: three times a frame's


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
    device = host.idle_device(_GPU_MEMORY)
    if device.type == "cpu":
        _leave_the_gpu()
    with torch.inference_mode(), _threads():
        if request.kind == "rig":
            rig = _rigs.get(device) or _rigs.setdefault(device, DemoRig().to(device))
            frames = rig.render(demo_character(), request.pose)
        else:
            frames = _student(request.name, device).render(
                request.pose, size=request.size, tick=tick, precision="float32", keep_memory=False
            )
        tick()
        picture = host.to_pillow(images.to_srgb(frames)[0])
    return _webp(picture, request)


def _threads() -> AbstractContextManager[object]:
    """One thread only while a graph is running: the processor belongs to the graph."""
    return intra_op_threads(1) if host.is_prompt_running() else nullcontext()


def _webp(picture: Image.Image, request: FrameRequest) -> bytes:
    if picture.width != request.size:
        picture = picture.resize((request.size, request.size), Image.Resampling.BILINEAR)
    encoded = io.BytesIO()
    # At method 0 encoding takes a tenth of the frame's time; a lossless file is then twice as large as a slow
    # method's.
    quality = 0 if request.lossless else _QUALITY
    picture.save(encoded, "WEBP", lossless=request.lossless, quality=quality, method=0)
    return encoded.getvalue()


_rigs: dict[torch.device, DemoRig] = {}
_student_cache: OrderedDict[tuple[str, torch.device], tuple[str, Student]] = OrderedDict()


def _student(name: str, device: torch.device) -> Student:
    """The student of that name on a device, from the cache unless its file has changed."""
    path = student_path(name)
    key = str(path), device
    fingerprint, cached = student_fingerprint(path), _student_cache.pop(key, None)
    if cached is None or cached[0] != fingerprint:
        cached = fingerprint, Student.load(path).to(device)
    _student_cache[key] = cached
    while len(_student_cache) > _CACHED_STUDENTS:
        _student_cache.popitem(last=False)
    return cached[1]


def _leave_the_gpu() -> None:
    """Free what previews have on a GPU: a graph runs, or wants its memory."""
    for key in [key for key in _student_cache if key[1].type != "cpu"]:
        del _student_cache[key]
    for device in [device for device in _rigs if device.type != "cpu"]:
        del _rigs[device]
