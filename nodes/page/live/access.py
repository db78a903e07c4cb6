"""Who may use the live routes: pages of this server, and other programs where the user has switched them on."""

from __future__ import annotations

import ipaddress
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from ... import host
from ..request import Refused, is_own_page, is_program, refuse_other_origins

SETTING = "THA4.live.otherPrograms"
_REFUSED = (
    "Other programs may not use this. Switch on Settings, THA4, Live, Other programs "
    f"({SETTING}) in ComfyUI to allow them."
)


def check(request: web.Request) -> None:
    """Raise Refused for a request that may not drive a character.

    With the switch on, programs may that are no browser, and pages of other servers on this computer.
    """
    if is_own_page(request):
        return
    if not is_program(request) and not _is_local(request.headers.get("Origin", "")):
        refuse_other_origins(request)
    if not allows_programs(request):
        raise Refused(HTTPStatus.FORBIDDEN, _REFUSED)


def allows_programs(request: web.Request) -> bool:
    """Whether the user has switched on other programs."""
    return host.setting(request, SETTING) is True


def _is_local(origin: str) -> bool:
    """Whether an Origin is that of a server on this computer."""
    try:
        name = urlsplit(origin).hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
