"""Live frames for the page: which character, made how, as what picture."""

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

from ...tha4_core.cpu.thread_pool import own_threads
from ...tha4_core.demo import DemoRig, demo_character
from ...tha4_core.picture import model_space as images
from ...tha4_core.student.model import Student
from .. import host
from ..student import student_fingerprint, student_path, students

KINDS = ("student", "rig")
RIG = "demo"
SIZES = range(64, images.SIZE + 1, 32)
"""Heights and widths that the page may ask for."""
_STUDENTS = 3  # kept open, 6 MB each
_QUALITY = 85


@dataclass(frozen=True)
class Wanted:
    """What a frame is to show: a character by kind and name, a pose `[1, 45]`, and how fine."""

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


def render(wanted: Wanted, tick: Callable[[], None]) -> bytes:
    """The frame as a WebP with alpha. What `tick` raises ends it. Raises THA4Error and OSError for broken files.

    To be called from one thread alone: the students that it keeps open are that thread's.
    """
    tick()
    # On the CPU whatever the machine has: a GPU's memory belongs to the graph.
    with torch.inference_mode(), _polite():
        if wanted.kind == "rig":
            frames = _rig().render(demo_character(), wanted.pose)
        else:
            frames = _student(wanted.name).render(wanted.pose, size=wanted.size, tick=tick)
        tick()
        picture = host.to_pillow(images.to_srgb(frames)[0])
    return _webp(picture, wanted)


def _polite() -> AbstractContextManager[object]:
    """While a graph is running, one thread for us."""
    return own_threads(1) if host.is_prompt_running() else nullcontext()


def _webp(picture: Image.Image, wanted: Wanted) -> bytes:
    if picture.width != wanted.size:
        picture = picture.resize((wanted.size, wanted.size), Image.Resampling.BILINEAR)
    encoded = io.BytesIO()
    # At method 0 encoding takes a tenth of the frame's time; a lossless picture of it is twice the size of a slow one.
    quality = 0 if wanted.lossless else _QUALITY
    picture.save(encoded, "WEBP", lossless=wanted.lossless, quality=quality, method=0)
    return encoded.getvalue()


@cache
def _rig() -> DemoRig:
    return DemoRig()


_open: OrderedDict[str, tuple[str, Student]] = OrderedDict()


def _student(name: str) -> Student:
    """The student of that name, from the few that are kept open; read anew where its file has changed."""
    path = student_path(name)
    changed, known = student_fingerprint(path), _open.pop(str(path), None)
    if known is None or known[0] != changed:
        known = changed, Student.load(path)
    _open[str(path)] = known
    while len(_open) > _STUDENTS:
        _open.popitem(last=False)
    return known[1]
