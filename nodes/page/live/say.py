"""What a request wants to have said: a sound, the times of its sounds, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ....tha4_core.errors import MotionError
from ....tha4_core.motion import reading
from ..request import Refused, form_fields, json_object, read_body
from . import messages
from .messages import Message

MOST_BYTES = 32 * 2**20
"""Of a sound."""
MOST_TIMINGS = 512 * 1024
_UPLOAD_SECONDS = 60.0


@dataclass(frozen=True)
class Say:
    """A sound, timings or both, and what of it to show: {} or {"text"}."""

    sound: bytes | None
    timings: str
    caption: Message


async def read(request: web.Request) -> Say | None:
    """What a request wants to have said; None: nothing more. Raises Refused."""
    if request.content_type == "application/json":
        content = await json_object(request, MOST_TIMINGS)
        return None if "id" in content and content["id"] is None else parse(None, content)
    if request.content_type == "multipart/form-data":
        limits = {"audio": MOST_BYTES, "timings": MOST_TIMINGS, "text": MOST_TIMINGS}
        fields = await form_fields(request, limits, _UPLOAD_SECONDS)
        texts = {name: _decoded(name, fields[name]) for name in ("timings", "text") if fields.get(name)}
        return parse(fields.get("audio"), texts)
    if request.content_type.startswith(("audio/", "video/")) or request.content_type == "application/octet-stream":
        return parse(await read_body(request, MOST_BYTES, _UPLOAD_SECONDS), {})
    raise Refused(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "say takes a sound (audio/wav), a form with audio, or JSON with timings."
    )


def _decoded(name: str, content: bytes) -> str:
    try:
        return reading.decode(content, name)
    except MotionError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error


def parse(sound: bytes | None, content: Mapping[str, Any]) -> Say:
    """What is to be said, with the texts `timings` and `text` of a content. Raises Refused."""
    timings = content.get("timings") or ""
    if not isinstance(timings, str) or not (timings.strip() or sound):
        raise Refused(HTTPStatus.BAD_REQUEST, "There is nothing to say: send a sound, or timings as a text.")
    if len(timings) > MOST_TIMINGS:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"timings has more than {MOST_TIMINGS:,} characters.")
    return Say(sound or None, timings, messages.caption(content))
