"""What Export Puppet wrote, shown by the server: ComfyUI's own route makes a download of every HTML file."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from .. import host
from .request import MAX_NAME, NO_STORE, Refused, text

# In a sandbox of its own: a page that somebody else put into the folder cannot act as ComfyUI's.
_HEADERS = NO_STORE | {"Content-Security-Policy": "sandbox allow-scripts; frame-ancestors 'self'"}


async def page_response(request: web.Request) -> web.FileResponse:
    """The page that the query's `filename` and `subfolder` name, of the output folder."""
    name = text(request.query, "filename", None, MAX_NAME)
    path = host.output_path(request.query.get("subfolder", ""), name)
    if path is None or path.suffix != ".html" or not path.is_file():
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such page in the output folder.")
    return web.FileResponse(path, headers=_HEADERS)
