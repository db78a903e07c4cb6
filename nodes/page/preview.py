"""Preview frames for the page: the characters that can be previewed, rendering, encoding."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...tha4_core.cpu import intra_op_threads
from ...tha4_core.demo import DemoRig, demo_character
from ...tha4_core.errors import THA4Error
from ...tha4_core.motion import reading
from ...tha4_core.picture import model_space as images
from ...tha4_core.pose import COUNT, NAMES, check_poses, make_pose
from ...tha4_core.student import Student
from .. import host
from ..student import student_fingerprint, student_path, students
from .preview_queue import QUEUE
from .request import Refused, flag

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


def parse_look(body: Mapping[str, Any]) -> tuple[Tensor, int, bool]:
    """Pose `[1, 45]`, size and lossless that a request names. Raises Refused."""
    size, lossless = body.get("size", 256), flag(body, "lossless")
    if type(size) is not int or size not in SIZES:
        raise Refused(HTTPStatus.BAD_REQUEST, f"size must be a multiple of 32 from {SIZES[0]} to {SIZES[-1]}.")
    return _parse_pose(body.get("pose")), size, lossless


def _parse_pose(pose: object) -> Tensor:
    """45 numbers, or an object of names and numbers, as `[1, 45]`."""
    try:
        if isinstance(pose, Mapping):
            return make_pose({str(name): reading.number(value, f"pose.{name}") for name, value in pose.items()})
        if isinstance(pose, list) and len(pose) == COUNT:
            return check_poses([reading.number(value, name) for name, value in zip(NAMES, pose, strict=True)])
    except THA4Error as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
    raise Refused(HTTPStatus.BAD_REQUEST, f"pose must be a list of {COUNT} numbers or an object of names and numbers.")


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
    return encode(picture, request.size, request.lossless)


def _threads() -> AbstractContextManager[object]:
    """One thread only while a graph is running that does not give way: the processor belongs to the graph."""
    return nullcontext() if QUEUE.has_processor else intra_op_threads(1)


def encode(picture: Image.Image, size: int, lossless: bool) -> bytes:
    """A picture as a WebP of that height and width."""
    if picture.width != size:
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    encoded = io.BytesIO()
    # At method 0 encoding takes a tenth of the frame's time; a lossless file is then twice as large as a slow
    # method's.
    picture.save(encoded, "WEBP", lossless=lossless, quality=0 if lossless else _QUALITY, method=0)
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
