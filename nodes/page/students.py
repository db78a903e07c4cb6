"""Students for the page's own renderer: whichever format they have here, one compact .safetensors file there."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from ...tha4_core.errors import THA4Error
from ...tha4_core.motion import reading
from ...tha4_core.student import Student
from ..student import student_fingerprint, student_path, students
from .request import MAX_NAME, Refused, text

_CACHED = 4  # files of 2 MB
_cache: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
_lock = asyncio.Lock()


async def student_response(request: web.Request) -> web.Response:
    """The student that the query's `name` names. Its ETag changes with its content."""
    name = text(request.query, "name", None, MAX_NAME)
    if name not in students():
        raise Refused(HTTPStatus.NOT_FOUND, f"There is no student named {reading.shorten(name)}.")
    async with _lock:
        try:
            content = await asyncio.to_thread(_content, student_path(name))
        except (THA4Error, OSError) as error:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} cannot be opened: {error}") from error
    etag = hashlib.sha256(content).hexdigest()[:32]
    # The browser keeps the file, and asks each time whether it is still the same.
    headers = {"ETag": f'"{etag}"', "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=content, content_type="application/octet-stream", headers=headers)


def _content(path: Path) -> bytes:
    fingerprint, cached = student_fingerprint(path), _cache.pop(str(path), None)
    if cached is None or cached[0] != fingerprint:
        cached = fingerprint, Student.load(path).to_bytes()
    _cache[str(path)] = cached
    while len(_cache) > _CACHED:
        _cache.popitem(last=False)
    return cached[1]
