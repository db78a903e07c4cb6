"""The protocols of face trackers: their usual ports, and what makes a phone send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import ifacialmocap, live_link, openseeface, vtube_studio
from .face import Reader
from .vmc import VmcReader

_IFACIALMOCAP = "iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719"


@dataclass(frozen=True)
class Protocol:
    """`port` is where a tracker sends to, by default. `reader` makes a reader for the datagrams of one tracker.

    `requests` makes what is sent to port `request_port` of a phone so that it sends to the port that is given: one
    after the other each second, until datagrams come, or all the time where `keeps_asking`.
    """

    title: str
    port: int
    reader: Callable[[], Reader]
    requests: Callable[[int], tuple[bytes, ...]] | None = None
    request_port: int = 0
    keeps_asking: bool = False


PROTOCOLS = {
    "ifacialmocap": Protocol(
        "iFacialMocap",
        49983,
        lambda: ifacialmocap.read,
        lambda port: (f"{_IFACIALMOCAP}|sendDataVersion=v2".encode(), _IFACIALMOCAP.encode()),
        49983,
    ),
    "facemotion3d": Protocol(
        "Facemotion3D", 49993, lambda: ifacialmocap.read, lambda port: (b"FACEMOTION3D_OtherStreaming",), 49993
    ),
    "vtube_studio": Protocol(
        "VTube Studio",
        21412,
        lambda: vtube_studio.read,
        lambda port: (vtube_studio.request(port),),
        21412,
        keeps_asking=True,
    ),
    "live_link": Protocol("Live Link Face", 11111, lambda: live_link.read),
    "openseeface": Protocol("OpenSeeFace", 11573, lambda: openseeface.read),
    "vmc": Protocol("VMC", 39539, VmcReader),
}
