"""What Export Puppet wrote, shown by the server: ComfyUI's own route makes a download of every HTML file."""

from __future__ import annotations

import asyncio
from html import escape
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from .. import folders
from .request import MAX_NAME, NO_STORE, Refused, text

# In a sandbox: a page that somebody else put into the folder cannot act as ComfyUI's. It is a frame's attribute because
# ComfyUI replaces the header that could say the same where it is started with --disable-api-nodes.
_AROUND = """<!doctype html>
<meta charset="utf-8">
<title>{name}</title>
<style>html, body, iframe {{ margin: 0; border: 0; width: 100%; height: 100%; display: block; overflow: hidden; }}
</style>
<iframe sandbox="allow-scripts" srcdoc="{page}"></iframe>
"""


async def page_response(request: web.Request) -> web.Response:
    """The page that the query's `filename` and `subfolder` name, of the output folder, in a frame with a sandbox."""
    name = text(request.query, "filename", None, MAX_NAME)
    path = folders.output_path(request.query.get("subfolder", ""), name)
    if path is None or path.suffix != ".html" or not path.is_file():
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such page in the output folder.")
    return web.Response(text=await asyncio.to_thread(_around, path), content_type="text/html", headers=NO_STORE)


def _around(path: Path) -> str:
    page = path.read_text(encoding="utf-8", errors="replace")
    return _AROUND.format(name=escape(path.name), page=escape(page))
