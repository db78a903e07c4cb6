"""MediaPipe's face landmarker for the webcam: the user's own files, from models/tha4/mediapipe and nowhere else.

GET /tha4/mediapipe            {"files": {NAME: whether it is there}}
GET /tha4/mediapipe/worker.js  the worker that runs it; part of this pack
GET /tha4/mediapipe/NAME       a file of the folder, of those in FILES
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from ....tha4_core.export.mediapipe import find_file
from ... import folders
from ..request import NO_STORE, Refused, with_json_errors

FOLDER = "mediapipe"
FILES = {
    "vision_bundle.mjs": "text/javascript",
    "wasm/vision_wasm_module_internal.js": "text/javascript",
    "wasm/vision_wasm_module_internal.wasm": "application/wasm",
    "face_landmarker.task": "application/octet-stream",
}
"""The names of the files below the folder, and their media types."""
_WORKER = Path(__file__).parents[3] / "web" / "js" / "live" / "inputs" / "webcam_worker.js"
# A worker obeys the policy that its own script comes with: whatever MediaPipe would ask of other hosts is refused.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}


def register(table: web.RouteTableDef) -> None:
    """Declare the routes."""
    table.get("/tha4/mediapipe")(with_json_errors(_present))
    table.get("/tha4/mediapipe/worker.js")(with_json_errors(_worker))
    table.get("/tha4/mediapipe/{name:.+}")(with_json_errors(_file))


async def _present(request: web.Request) -> web.Response:
    """Which files are there."""
    return web.json_response({"files": {name: _path(name) is not None for name in FILES}}, headers=NO_STORE)


async def _worker(request: web.Request) -> web.FileResponse:
    return web.FileResponse(_WORKER, headers={**_HEADERS, "Content-Type": "text/javascript"})


async def _file(request: web.Request) -> web.FileResponse:
    """One of the known files; no other name is looked for."""
    name = request.match_info["name"]
    path = _path(name) if name in FILES else None
    if path is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"There is no such file in models/{folders.MODEL_FOLDER}/{FOLDER}.")
    return web.FileResponse(path, headers={**_HEADERS, "Content-Type": FILES[name]})


def _path(name: str) -> Path | None:
    return find_file(name, folders.wanted_folders(FOLDER))
