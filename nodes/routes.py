"""What the web side may ask the server. Whatever comes in is checked as if it came from someone who means harm.

    POST /tha4/frame     {"character": {"kind", "name"}, "pose", "size", "lossless", "client"} -> a WebP with alpha
    GET  /tha4/library   the parameters, the expressions and the characters

A frame that a newer request of the same `client` made unwanted is answered with 204 and no content. Errors are JSON,
`{"error": "..."}`, with a status from 400 to 499, or 503 while too many clients wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from torch import Tensor

from ..tha4_core.errors import MotionError, THA4Error
from ..tha4_core.motion import expressions, groups, reading
from ..tha4_core.pose import COUNT, NAMES, PARAMETERS, check_poses, make_pose
from . import host, preview
from .desk import Busy, Desk, Superseded

_MAX_BODY = 16 * 1024
_MAX_NAME = 300
_PATIENCE = 10.0  # seconds in which a body must have come
_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_log = logging.getLogger("tha4")


class Refused(Exception):  # noqa: N818 - it is what happens to a request
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def register() -> None:
    """Declare the routes; does nothing where there is no server."""
    table = host.routes()
    if table is not None:
        desk = Desk(host.is_prompt_running)
        table.post("/tha4/frame")(_answering(lambda request: _frame(request, desk)))
        table.get("/tha4/library")(_answering(_library))


def _answering(handler: Any) -> Any:
    """A handler whose refusals become JSON."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            _refuse_other_origins(request)
            response: web.StreamResponse = await handler(request)
        except Refused as refused:
            return _error(refused.status, str(refused))
        except Busy:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "Too many previews are waiting. Close some pages.")
        return response

    return answer


async def _frame(request: web.Request, desk: Desk) -> web.Response:
    asked = await _json(request)
    wanted, client = parse(asked), _text(asked, "client", "page", 64)

    def gone() -> bool:
        return request.transport is None or request.transport.is_closing()

    try:
        frame = await desk.frame(client, lambda tick: preview.render(wanted, tick), gone)
    except Superseded:
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=_NO_STORE)
    except (THA4Error, OSError) as error:  # a file that is broken, or went away since it was listed
        _log.warning("No preview of %s: %s", wanted.name, error)
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{wanted.name} cannot be previewed: {error}") from error
    return web.Response(body=frame, content_type="image/webp", headers=_NO_STORE)


async def _library(request: web.Request) -> web.Response:
    parameters = [
        {
            "name": p.name,
            "group": groups.GROUP_OF[p.index],
            "minimum": p.minimum,
            "maximum": p.maximum,
            "mirrored": NAMES[groups.MIRRORED[p.index]],
            "sideways": p.index in groups.SIDEWAYS,
        }
        for p in PARAMETERS
    ]
    content = {"parameters": parameters, "expressions": _expressions(), "characters": preview.characters()}
    return web.json_response(content, headers=_NO_STORE)


def _expressions() -> list[dict[str, Any]]:
    return [
        {
            "name": expression.name,
            "kind": expression.kind,
            "labels": dict(expression.labels),
            "values": {NAMES[index]: value for index, value in expression.values.items()},
        }
        for expression in expressions.built_in().values()
    ]


def parse(asked: Mapping[str, Any]) -> preview.Wanted:
    """What a request for a frame asks for. Raises Refused, saying what is wrong with it."""
    character = asked.get("character")
    if not isinstance(character, Mapping):
        raise Refused(HTTPStatus.BAD_REQUEST, 'character must be an object with "kind" and "name".')
    kind, name = _text(character, "kind", None, _MAX_NAME), _text(character, "name", None, _MAX_NAME)
    if kind not in preview.KINDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"character.kind must be one of {', '.join(preview.KINDS)}.")
    size, lossless = asked.get("size", 256), asked.get("lossless", False)
    if type(size) is not int or size not in preview.SIZES:
        first, last = preview.SIZES[0], preview.SIZES[-1]
        raise Refused(HTTPStatus.BAD_REQUEST, f"size must be a multiple of 32 from {first} to {last}.")
    if not isinstance(lossless, bool):
        raise Refused(HTTPStatus.BAD_REQUEST, "lossless must be true or false.")
    pose = _pose(asked.get("pose"))
    if not preview.is_known(kind, name):
        raise Refused(HTTPStatus.NOT_FOUND, f"There is no {kind} named {reading.shorten(name)}.")
    return preview.Wanted(kind, name, pose, size, lossless)


def _pose(pose: object) -> Tensor:
    """45 numbers, or an object of names and numbers, as `[1, 45]`."""
    try:
        if isinstance(pose, Mapping):
            return make_pose({str(name): reading.number(value, f"pose.{name}") for name, value in pose.items()})
        if isinstance(pose, list) and len(pose) == COUNT:
            return check_poses([reading.number(value, name) for name, value in zip(NAMES, pose, strict=True)])
    except THA4Error as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
    raise Refused(HTTPStatus.BAD_REQUEST, f"pose must be a list of {COUNT} numbers or an object of names and numbers.")


def _text(values: Mapping[str, Any], name: str, default: str | None, longest: int) -> str:
    value = values.get(name, default)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} must be a text of 1 to {longest} characters.")
    return value


async def _json(request: web.Request) -> Mapping[str, Any]:
    """The body, a JSON object of at most _MAX_BODY bytes. Raises Refused."""
    # Pages of other origins can send other types of content without asking first.
    if request.content_type != "application/json":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.")
    try:
        value = reading.parse_json(await asyncio.wait_for(_body(request), _PATIENCE), "The body")
    except asyncio.TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The body did not come.") from None
    except MotionError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
    if not isinstance(value, Mapping):
        raise Refused(HTTPStatus.BAD_REQUEST, "The body must be a JSON object.")
    return value


async def _body(request: web.Request) -> str:
    body = b""
    while len(body) <= _MAX_BODY:
        try:
            chunk = await request.content.read(_MAX_BODY + 1 - len(body))
        except (web.HTTPException, OSError, ValueError, RuntimeError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "The body cannot be read.") from error
        if not chunk:
            return reading.decode(body, "The body")
        body += chunk
    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body has more than {_MAX_BODY:,} bytes.")


def _refuse_other_origins(request: web.Request) -> None:
    """Refuse what a page of another site sends. Programs that are no browsers send neither header."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        # A proxy may have changed Host; what it was is then here, and no page can write this header unasked.
        own = {request.headers.get("Host"), request.headers.get("X-Forwarded-Host")}
        foreign = origin is not None and _host(origin) not in own
    if foreign:
        raise Refused(HTTPStatus.FORBIDDEN, "Requests from other sites are refused.")


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _error(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status, headers=_NO_STORE)
