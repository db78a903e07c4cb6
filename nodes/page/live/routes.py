"""The live routes. NAME is a session's: pages and programs of one name hear each other.

    GET  /tha4/live/NAME/socket      a WebSocket: messages both ways
    POST /tha4/live/NAME/pose        {"pose", "seconds"} -> {"pages"}: parameters to hold
    POST /tha4/live/NAME/expression  {"name", "seconds", "strength"} -> {"pages"}
    POST /tha4/live/NAME/say         a sound, {"timings", "text"}, a form of both, {"id": null} -> {"pages", "id", …}
    GET  /tha4/live/NAME/audio/ID    a sound that is being said
    POST /tha4/live/NAME/record      a form: fps, poses, sound -> {"file", "sound", "frames", "seconds"}
    POST /tha4/live/NAME/receive     {"protocol", "bind", "port", "address", "request_port"} -> {"receiver"}
    POST /tha4/live/NAME/stop        {"port"} or {} -> {"stopped"}

The live page itself is in `document.py`, the webcam's files in `mediapipe.py`.

Errors are JSON as of the other routes; on a WebSocket they are messages of the type "error".
"""

from __future__ import annotations

from aiohttp import web

from ... import host
from ..request import Handler, with_json_errors
from . import access, document, mediapipe
from .api import Live


def register(table: web.RouteTableDef) -> None:
    """Declare the routes, and the live page."""
    document.register(table)
    mediapipe.register(table)
    live = Live()

    def allowed(handler: Handler) -> Handler:
        return with_json_errors(handler, access.check)

    table.get("/tha4/live/{session}/socket")(allowed(live.socket))
    table.get("/tha4/live/{session}/audio/{id}")(with_json_errors(live.audio))
    for name in ("pose", "expression", "say", "record", "receive", "stop"):
        table.post(f"/tha4/live/{{session}}/{name}")(allowed(getattr(live, name)))
    host.on_shutdown(live.close)
