"""The live page: its document, and the files of the pack's web folder beside it."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from ..request import with_json_errors

_WEB = Path(__file__).parents[3] / "web"
_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",  # the rest of its policy is in the document itself
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def register(table: web.RouteTableDef) -> None:
    """Declare the page, and its files where they do not depend on the name of this pack's folder."""
    table.get("/tha4/live")(with_json_errors(_document))
    table.static("/tha4/web", _WEB)


async def _document(request: web.Request) -> web.FileResponse:
    """The page. It loads nothing from elsewhere, and its policy lets it load nothing else."""
    return web.FileResponse(_WEB / "js" / "live" / "page.html", headers=_HEADERS)
