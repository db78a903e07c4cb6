"""The routes of the web page. No input is trusted: everything is checked before it is used.

    GET  /tha4/library   parameters, expressions, characters, teachers, the live page's numbers, whether there is a GPU
    GET  /tha4/student   ?name= -> a student as one .safetensors file, for the page's own renderer
    GET  /tha4/distill   ?name= -> the state and the history of a distillation, for the monitor
    GET  /tha4/puppet    ?filename=&subfolder= -> a page that Export Puppet wrote, in a sandbox
    GET  /tha4/live      the live page, an HTML document; its files are under /tha4/web
    POST /tha4/frame     {"character": {"kind", "name"}, "pose", "size", "lossless", "client"} -> a WebP with alpha
    POST /tha4/teacher_frame
                         {"source", "fit", "scale", "offset_x", "offset_y", "teacher", "precision", "pose", "size",
                         "lossless", "client"} -> the same of the graph's own character, by a teacher that is open
    POST /tha4/picture   {"source": {"kind", "name", "opaque"}, "client"} -> the picture of a Load Character, a WebP
    POST /tha4/fit       {"source", "fit", "scale", "offset_x", "offset_y", "client"} -> where it lies, what is wrong
    POST /tha4/poses     {"graph", "node", "client"} or {"run_result", "client"} -> the motion that a node makes

The live routes, /tha4/live/…, are in `live/routes.py`.

A request gets 204 and no content where a newer one of the same `client` has replaced it. Errors are JSON,
`{"error": "..."}`, with a status from 400 to 499, or 503 while too many clients wait. Instead of a teacher's frame
comes `{"no_frame": "not open"}` where no run has opened the teacher, and `{"no_frame": "running"}` while a prompt runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ...tha4_core.errors import THA4Error
from ...tha4_core.motion import reading
from ...tha4_core.motion.live import library
from .. import host
from ..teacher import teachers
from . import distillations, exports, motions, pictures, preview, teacher_frames
from .live import routes as live
from .preview_queue import QUEUE, Job, PreviewQueue
from .request import MAX_NAME, NO_STORE, Handler, Refused, json_object, queued_response, text, with_json_errors
from .students import student_response

_MAX_BODY = 16 * 1024
_MAX_GRAPH_BODY = 512 * 1024
"""Bytes of a request's body; a part of a graph has scripts and timings in it."""
_log = logging.getLogger("tha4")

ReadBody = Callable[[Mapping[str, Any]], tuple[Job, str]]
"""Reads the body of a request. Returns the job that makes the response, and how the text of its error begins."""


def register() -> None:
    """Declare the routes; does nothing where there is no server."""
    table = host.routes()
    if table is None:
        return
    slow = PreviewQueue(host.is_prompt_running, first=QUEUE)

    def post(
        path: str, read: ReadBody, content_type: str, max_body: int = _MAX_BODY, queue: PreviewQueue = QUEUE
    ) -> None:
        table.post(path)(with_json_errors(_queued(queue, read, content_type, max_body)))

    table.get("/tha4/library")(with_json_errors(_library))
    table.get("/tha4/student")(with_json_errors(student_response))
    table.get("/tha4/distill")(with_json_errors(distillations.status_response))
    table.get("/tha4/puppet")(with_json_errors(exports.page_response))
    post("/tha4/frame", _frame_job, "image/webp")
    post("/tha4/teacher_frame", teacher_frames.frame_job, "image/webp", queue=slow)
    post("/tha4/picture", pictures.picture_job, "image/webp")
    post("/tha4/fit", pictures.fit_job, "application/json")
    post("/tha4/poses", motions.poses_job, "application/json", _MAX_GRAPH_BODY)
    live.register(table)


def _queued(queue: PreviewQueue, read: ReadBody, content_type: str, max_body: int) -> Handler:
    """A handler that reads the body and runs its job in the queue."""

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await json_object(request, max_body)
        (job, error_prefix), client = read(body), text(body, "client", "page", 64)
        try:
            return await queued_response(request, queue, f"{content_type} {client}", job, content_type)
        except (THA4Error, OSError) as error:  # a file is broken, or was deleted after the body was checked
            _log.info("%s%s", error_prefix, error)
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error_prefix}{error}") from error

    return handle


def _frame_job(body: Mapping[str, Any]) -> tuple[Job, str]:
    request = parse_frame_request(body)
    return lambda tick: preview.render(request, tick), f"{request.name} cannot be previewed: "


async def _library(request: web.Request) -> web.Response:
    content = {
        **library(),
        "characters": preview.characters(),
        "teachers": teachers(),
        "gpu": host.has_gpu(),
    }
    return web.json_response(content, headers=NO_STORE)


def parse_frame_request(body: Mapping[str, Any]) -> preview.FrameRequest:
    """The frame that the body of a request describes. Raises Refused, which says what is wrong with it."""
    character = body.get("character")
    if not isinstance(character, Mapping):
        raise Refused(HTTPStatus.BAD_REQUEST, 'character must be an object with "kind" and "name".')
    kind, name = text(character, "kind", None, MAX_NAME), text(character, "name", None, MAX_NAME)
    if kind not in preview.KINDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"character.kind must be one of {', '.join(preview.KINDS)}.")
    look = preview.parse_look(body)
    if not preview.is_known(kind, name):
        raise Refused(HTTPStatus.NOT_FOUND, f"There is no {kind} named {reading.shorten(name)}.")
    return preview.FrameRequest(kind, name, *look)
