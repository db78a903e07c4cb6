"""What the web side may ask the server. Whatever comes in is checked as if it came from someone who means harm.

    GET  /tha4/library   the parameters, the expressions and the characters
    POST /tha4/frame     {"character": {"kind", "name"}, "pose", "size", "lossless", "client"} -> a WebP with alpha
    POST /tha4/picture   {"source": {"kind", "name", "opaque"}, "client"} -> the picture of a Load Character, a WebP
    POST /tha4/fit       {"source", "fit", "scale", "offset_x", "offset_y", "client"} -> where it lies, what is wrong
    POST /tha4/poses     {"graph", "node", "client"} or {"ran", "client"} -> the motion that a node makes, as numbers

What a newer request of the same `client` made unwanted is answered with 204 and no content. Errors are JSON,
`{"error": "..."}`, with a status from 400 to 499, or 503 while too many clients wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from torch import Tensor

from ...tha4_core.errors import THA4Error
from ...tha4_core.motion import expressions, groups, reading
from ...tha4_core.pose import COUNT, NAMES, PARAMETERS, check_poses, make_pose
from .. import host
from . import motions, pictures, preview
from .preview_queue import Desk, Job
from .request import MAX_NAME, NO_STORE, Handler, Refused, answering, at_desk, flag, json_object, text

_SMALL = 16 * 1024
_GRAPH = 512 * 1024
"""Bytes that a request may have; a part of a graph has scripts and timings in it."""
_log = logging.getLogger("tha4")

Answer = tuple[Job, str]
"""The job that answers a request, and what to say before the text of its error."""


def register() -> None:
    """Declare the routes; does nothing where there is no server."""
    table = host.routes()
    if table is None:
        return
    desk = Desk(host.is_prompt_running)
    table.get("/tha4/library")(answering(_library))
    table.post("/tha4/frame")(answering(_working(desk, _frame, "image/webp")))
    table.post("/tha4/picture")(answering(_working(desk, pictures.picture_job, "image/webp")))
    table.post("/tha4/fit")(answering(_working(desk, pictures.fit_job, "application/json")))
    table.post("/tha4/poses")(answering(_working(desk, motions.poses_job, "application/json", _GRAPH)))


def _working(
    desk: Desk, read: Callable[[Mapping[str, Any]], Answer], content_type: str, at_most: int = _SMALL
) -> Handler:
    """A handler that has the desk do what `read` makes of the request."""

    async def handle(request: web.Request) -> web.StreamResponse:
        asked = await json_object(request, at_most)
        (job, complaint), client = read(asked), text(asked, "client", "page", 64)
        try:
            return await at_desk(request, desk, f"{content_type} {client}", job, content_type)
        except (THA4Error, OSError) as error:  # a file that is broken, or went away since it was listed
            _log.info("%s%s", complaint, error)
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{complaint}{error}") from error

    return handle


def _frame(asked: Mapping[str, Any]) -> Answer:
    wanted = parse(asked)
    return lambda tick: preview.render(wanted, tick), f"{wanted.name} cannot be previewed: "


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
    return web.json_response(content, headers=NO_STORE)


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
    kind, name = text(character, "kind", None, MAX_NAME), text(character, "name", None, MAX_NAME)
    if kind not in preview.KINDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"character.kind must be one of {', '.join(preview.KINDS)}.")
    size, lossless = asked.get("size", 256), flag(asked, "lossless")
    if type(size) is not int or size not in preview.SIZES:
        first, last = preview.SIZES[0], preview.SIZES[-1]
        raise Refused(HTTPStatus.BAD_REQUEST, f"size must be a multiple of 32 from {first} to {last}.")
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
