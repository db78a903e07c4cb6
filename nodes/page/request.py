"""Checks that every route makes: a request comes from our own page, in time, and is a small JSON object."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, web

from ...tha4_core.errors import MotionError
from ...tha4_core.motion import reading
from .preview_queue import Job, PreviewQueue, PromptRunning, QueueFull, Superseded

NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
MAX_NAME = 300
_MAX_BODY = 16 * 1024
_BODY_TIMEOUT = 10.0  # seconds
_FOLDERS = re.compile(r"""(?<![^\s"'(=\[])(?:[A-Za-z]:)?[\\/]+(?=[^\s\\/])(?:[^\\/:*?"'<>|\r\n]+[\\/]+)+""")
"""The folders of a path from the root on: of /a/b c/d.png the part /a/b c/."""
_log = logging.getLogger("tha4")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(Exception):  # noqa: N818 - the client's error, not the server's
    """A request that gets an error of that status as its response."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotOpen(Exception):  # noqa: N818 - the client may try again after a run
    """No run has opened what would make the frame."""


def with_json_errors(handler: Handler, check: Callable[[web.Request], None] | None = None) -> Handler:
    """A handler whose errors of the client become JSON. First `check` raises Refused for requests that are not allowed.

    Without a check of its own it refuses requests from other sites.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            (check or refuse_other_origins)(request)
            return await handler(request)
        except Refused as refused:
            return _error(refused.status, str(refused))
        except QueueFull:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "Too many previews are waiting. Close some pages.")
        except PromptRunning:
            return _no_frame("running")
        except NotOpen:
            return _no_frame("not open")
        except web.HTTPException:
            raise
        # Whatever a page sends, and whatever its files hold: the log gets a line, and the page an answer.
        except Exception as error:  # noqa: BLE001
            _log.warning("%s failed: %s: %s", request.path, type(error).__name__, " ".join(str(error).split())[:300])
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, f"The server failed at this ({type(error).__name__}).")

    return handle


async def queued_response(
    request: web.Request, queue: PreviewQueue, client: str, job: Job, content_type: str
) -> web.Response:
    """A response with what `job` returns, by way of the queue; without content where nobody waits for it any more."""

    def is_disconnected() -> bool:
        return request.transport is None or request.transport.is_closing()

    try:
        body = await queue.run(client, job, is_disconnected)
    except Superseded:
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=NO_STORE)
    return web.Response(body=body, content_type=content_type, headers=NO_STORE)


def text(values: Mapping[str, Any], name: str, default: str | None, longest: int) -> str:
    """A text of 1 to `longest` characters. Raises Refused."""
    value = values.get(name, default)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} must be a text of 1 to {longest} characters.")
    return value


def number(values: Mapping[str, Any], name: str, lowest: float, highest: float) -> float:
    """A number from `lowest` to `highest`. Raises Refused."""
    try:
        value = reading.number(values.get(name), name)
    except MotionError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
    if not lowest <= value <= highest:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} must be from {lowest:g} to {highest:g}.")
    return value


def flag(values: Mapping[str, Any], name: str) -> bool:
    """True or false; false where it is missing. Raises Refused."""
    value = values.get(name, False)
    if not isinstance(value, bool):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} must be true or false.")
    return value


async def json_object(request: web.Request, at_most: int = _MAX_BODY) -> Mapping[str, Any]:
    """The body, a JSON object of `at_most` bytes. Raises Refused."""
    # Pages of other origins can send other content types without a preflight request.
    if request.content_type != "application/json":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.")
    return parse_object(await read_body(request, at_most), "The body")


def parse_object(content: str | bytes, name: str) -> Mapping[str, Any]:
    """The JSON object in a text. Raises Refused."""
    try:
        value = reading.parse_json(content if isinstance(content, str) else reading.decode(content, name), name)
    except MotionError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
    if not isinstance(value, Mapping):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} must be a JSON object.")
    return value


async def read_body(request: web.Request, at_most: int, timeout: float = _BODY_TIMEOUT) -> bytes:
    """The body, `at_most` bytes that arrive within `timeout` seconds. Raises Refused."""
    try:
        return await asyncio.wait_for(_read(request, at_most), timeout)
    except asyncio.TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The body did not arrive in time.") from None


async def _read(request: web.Request, at_most: int) -> bytes:
    content = bytearray()
    while len(content) <= at_most:
        try:
            chunk = await request.content.read(at_most + 1 - len(content))
        except (web.HTTPException, OSError, ValueError, RuntimeError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "The body cannot be read.") from error
        if not chunk:
            return bytes(content)
        content += chunk
    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body has more than {at_most:,} bytes.")


async def form_fields(request: web.Request, limits: Mapping[str, int], timeout: float) -> dict[str, bytes]:
    """The fields of a multipart form: `limits` are their names and the bytes that each may have. Raises Refused."""
    if request.content_type != "multipart/form-data":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be multipart/form-data.")
    try:
        return await asyncio.wait_for(_read_form(request, limits), timeout)
    except asyncio.TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The form did not arrive in time.") from None


async def _read_form(request: web.Request, limits: Mapping[str, int]) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name not in limits or part.name in fields:
                raise Refused(HTTPStatus.BAD_REQUEST, f"The form may have each of {', '.join(limits)} once.")
            content = bytearray()
            while chunk := await part.read_chunk():
                content += chunk
                if len(content) > limits[part.name]:
                    message = f"{part.name} has more than {limits[part.name]:,} bytes."
                    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
            fields[part.name] = bytes(content)
    except (web.HTTPException, OSError, ValueError, RuntimeError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "The form cannot be read.") from error
    return fields


def refuse_other_origins(request: web.Request) -> None:
    """Refuse requests from pages of other sites. Programs that are not browsers send neither header."""
    if not is_program(request) and not is_own_page(request):
        raise Refused(HTTPStatus.FORBIDDEN, "Requests from other sites are refused.")


def is_program(request: web.Request) -> bool:
    """Whether a request is from a program that is no browser, or from a user who has typed the address."""
    site = request.headers.get("Sec-Fetch-Site")
    return site == "none" or (site is None and "Origin" not in request.headers)


def is_own_page(request: web.Request) -> bool:
    """Whether a request says that a page of this server has sent it."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site == "same-origin"
    # A proxy may have changed Host. X-Forwarded-Host then has the original, and no page can set it without
    # a preflight request.
    own = {request.headers.get("Host"), request.headers.get("X-Forwarded-Host")}
    return origin is not None and host_of(origin) in own


def host_of(origin: str) -> str:
    """Host and port of an Origin; an empty text where it has none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _error(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"error": without_folders(message)}, status=status, headers=NO_STORE)


def _no_frame(reason: str) -> web.Response:
    # No error: a browser's console lists every one, and this is how a page finds out.
    return web.json_response({"no_frame": reason}, headers=NO_STORE)


def without_folders(message: str) -> str:
    """A message without the folders of the files that it names: where files lie is no matter of a page's."""
    return _FOLDERS.sub("", message)
