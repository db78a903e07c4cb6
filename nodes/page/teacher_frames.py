"""Frames of the graph's own character by the teacher that a run of the graph has left open; none is loaded here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...tha4_core import cuda_graph
from ...tha4_core.picture import model_space as images
from ...tha4_core.picture.character import Character
from ...tha4_core.picture.fitting import place
from .. import host
from ..teacher import open_teacher
from . import pictures, preview
from .preview_queue import Job
from .request import MAX_NAME, NotOpen, text


@dataclass(frozen=True)
class TeacherFrameRequest:
    """A frame to render: what Load Character and Load Teacher say, and a pose `[1, 45]` at a size in pixels."""

    source: pictures.Source
    placing: pictures.Placing
    teacher: str
    precision: str
    pose: Tensor
    size: int
    lossless: bool


def frame_job(body: Mapping[str, Any]) -> tuple[Job, str]:
    """What a request for a teacher's frame asks for. Raises Refused."""
    teacher, precision = (text(body, name, None, MAX_NAME) for name in ("teacher", "precision"))
    source, placing = pictures.parse_source(body), pictures.parse_placing(body)
    request = TeacherFrameRequest(source, placing, teacher, precision, *preview.parse_look(body))
    return lambda tick: _render(request, tick), ""


def _render(request: TeacherFrameRequest, tick: Callable[[], None]) -> bytes:
    """The frame as a WebP with alpha. What `tick` raises ends it, before the teacher's next layer.

    Raises NotOpen, and PictureError and OSError for the picture.
    """
    tick()
    teacher = open_teacher(request.teacher, request.precision)
    if teacher is None:
        raise NotOpen
    character = _character(request.source, request.placing)
    try:
        # The thread of prompts waits for the whole GPU between them, which fails while this one captures.
        with torch.inference_mode(), cuda_graph.forbidden(), teacher.lock, host.interruptible(teacher, tick):
            frames = teacher.render(character, request.pose)
    except RuntimeError:
        tick()  # a prompt that has just begun may have moved the weights away
        raise
    return preview.encode(host.to_pillow(images.to_srgb(frames)[0]), request.size, request.lossless)


_last: tuple[pictures.Opened, pictures.Placing, Character] | None = None
"""The last character: a teacher keeps what it has computed by this object. For the queue's one thread."""


def _character(source: pictures.Source, placing: pictures.Placing) -> Character:
    global _last
    opened = pictures.open_picture(source)
    if _last is None or _last[0] is not opened or _last[1] != placing:
        placed = place(opened.picture, opened.placed(placing))
        _last = opened, placing, Character(torch.from_numpy(np.asarray(placed).copy()))
    return _last[2]
