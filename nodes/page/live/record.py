"""Recordings of the live page: poses and sound become files of the input folder, for Load Poses and Load Audio."""

from __future__ import annotations

import io
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import torch
from aiohttp import web

from ....tha4_core import pose
from ....tha4_core.errors import THA4Error
from ....tha4_core.motion import files, reading
from ....tha4_core.pose import Poses
from ... import folders
from .. import sounds
from ..request import Refused, form_fields
from .speech import recognize

MOST_SECONDS = 600.0
MOST_FPS = 120.0
MOST_SOUND = 64 * 2**20
_FRAME_BYTES = 4 * pose.COUNT
_MOST_POSES = round(MOST_SECONDS * MOST_FPS) * _FRAME_BYTES
_UPLOAD_SECONDS = 120.0
_PREFIX, _POSES = "tha4_live", ".npz"
_SUFFIXES = {"wav": ".wav", "flac": ".flac", "ogg": ".ogg", "mp3": ".mp3", "mp4": ".m4a", "matroska": ".webm"}


async def read(request: web.Request) -> dict[str, bytes]:
    """The form of a request: `fps`, `poses` (float32, little-endian, `[N, 45]`) and perhaps `sound`. Raises Refused."""
    return await form_fields(request, {"fps": 32, "poses": _MOST_POSES, "sound": MOST_SOUND}, _UPLOAD_SECONDS)


def keep(fields: Mapping[str, bytes]) -> dict[str, Any]:
    """Write a recording to the next free number of the input folder; what Load Poses and Load Audio call its files.

    One after the other: two at a time would take the same number. Raises Refused.
    """
    try:
        poses, sound = _poses(fields), fields.get("sound") or None
        suffix = None if sound is None else _sound_suffix(sound)
        path = folders.new_input_path(_PREFIX, (_POSES, *_SUFFIXES.values()))
        kept = None if sound is None or suffix is None else path.with_suffix(suffix)
        if kept is not None and sound is not None:
            files.write_bytes(kept, sound)
        _save(poses, path.with_suffix(_POSES), kept)
    except THA4Error as error:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    return {
        "file": f"input/{path.stem}{_POSES}",
        "sound": None if kept is None else kept.name,
        "frames": len(poses),
        "seconds": round(len(poses) / poses.fps, 3),
    }


def _save(poses: Poses, path: Path, sound: Path | None) -> None:
    """Write the poses; where that fails, their sound goes again."""
    try:
        files.save(poses, path)
    except THA4Error:
        if sound is not None:
            sound.unlink(missing_ok=True)
        raise


def _poses(fields: Mapping[str, bytes]) -> Poses:
    """The poses of a form. Raises Refused or PoseError for numbers that are none or out of their range."""
    fps = reading.parse_number(reading.decode(fields.get("fps", b""), "fps"), "fps")
    content = fields.get("poses", b"")
    if not 1 <= fps <= MOST_FPS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"fps must be from 1 to {MOST_FPS:g}.")
    if not content or len(content) % _FRAME_BYTES:
        raise Refused(HTTPStatus.BAD_REQUEST, f"poses must be {pose.COUNT} float32 numbers for each frame.")
    if len(content) / _FRAME_BYTES > MOST_SECONDS * fps:
        raise Refused(HTTPStatus.BAD_REQUEST, f"A recording has at most {MOST_SECONDS:g} seconds.")
    values = np.frombuffer(content, "<f4").astype(np.float32).reshape(-1, pose.COUNT)
    return Poses(torch.from_numpy(values), fps)


def _sound_suffix(content: bytes) -> str:
    """How the name of a sound's file ends. Raises MotionError for what is none, or cannot be played."""
    name = "The sound"
    file_format, _ = recognize(content)
    if file_format not in _SUFFIXES:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} must be WAV, FLAC, Ogg, MP3, M4A or WebM.")
    sounds.check(io.BytesIO(content), name, file_format)
    return _SUFFIXES[file_format]
