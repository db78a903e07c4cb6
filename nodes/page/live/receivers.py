"""Receivers: a UDP port at which the datagrams of one tracker arrive and become faces."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from ....tha4_core.errors import THA4Error
from ....tha4_core.motion import reading
from ....tha4_core.motion.tracking.packets.face import LOST, FacePacket, message
from ....tha4_core.motion.tracking.packets.protocols import PROTOCOLS, Protocol
from ..request import Refused

LOCAL = "127.0.0.1"
MOST_A_SECOND = 120
"""Faces that are relayed in a second; of more, the newest."""
SILENCE = 1.0
"""Seconds without a datagram after which the face counts as lost and the phone is asked again."""
_FLOOD = 10_000  # datagrams a second; VMC may send one for every bone and blend value
_LOWEST_PORT = 1024

Address = tuple[str, int]
Relay = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Request:
    """What a page asks to receive: the phone's `address` where only its datagrams count and it is to be asked."""

    protocol: Protocol
    bind: str
    port: int
    address: str | None = None
    request_port: int = 0


def parse_request(body: Mapping[str, Any]) -> Request:
    """The request in a body. Raises Refused, which says what is wrong with it."""
    name = body.get("protocol")
    if not isinstance(name, str) or name not in PROTOCOLS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"protocol must be one of {', '.join(PROTOCOLS)}.")
    protocol = PROTOCOLS[name]
    port, request_port = (
        _port(body, "port", protocol.port),
        _port(body, "request_port", protocol.request_port or protocol.port),
    )
    address, bind = _ip(body, "address"), _ip(body, "bind")
    if address and (ipaddress.ip_address(address).is_global or not _is_one_host(address)):
        raise Refused(HTTPStatus.BAD_REQUEST, f"address must be that of a device in your network, not {address}.")
    return Request(protocol, bind or (_own_address(address) if address else LOCAL), port, address, request_port)


def _port(body: Mapping[str, Any], name: str, default: int) -> int:
    port = body.get(name) or default
    if type(port) is not int or not _LOWEST_PORT <= port <= 65535:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} must be a whole number from {_LOWEST_PORT} to 65535.")
    return port


def _ip(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value in (None, ""):
        return None
    try:
        if isinstance(value, str):
            return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        pass
    raise Refused(
        HTTPStatus.BAD_REQUEST, f"{name} must be an IP address such as 192.168.0.7, not {reading.shorten(value)}."
    )


def _is_one_host(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return not (ip.is_multicast or ip.is_unspecified or address == "255.255.255.255")


def _own_address(address: str) -> str:
    """The address of this computer in the network of another one. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{address} cannot be reached from this computer.") from error


async def open_receiver(request: Request, relay: Relay, on_change: Callable[[], None]) -> Receiver:
    """A receiver that listens. `relay` gets messages of faces, `on_change` is called when its state changes.

    Raises Refused where the port cannot be had.
    """
    receiver = Receiver(request, relay, on_change)
    try:
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: receiver, local_addr=(request.bind, request.port)
        )
    except OSError as error:
        raise _refusal(request, error) from error
    return receiver


def _refusal(request: Request, error: OSError) -> Refused:
    reasons = {
        errno.EADDRINUSE: "is used by another program, perhaps one that receives the same tracker. Close it, or set "
        "another port here and in the tracker",
        errno.EADDRNOTAVAIL: "cannot be had: this computer has no such address. bind must be one of its own",
        errno.EACCES: "may not be used on this computer. Set another port here and in the tracker",
    }
    # Windows has numbers of its own for these errors.
    names = {10048: errno.EADDRINUSE, 10049: errno.EADDRNOTAVAIL, 10013: errno.EACCES}
    number = names.get(error.errno or 0, error.errno or 0)
    status = HTTPStatus.CONFLICT if number == errno.EADDRINUSE else HTTPStatus.BAD_REQUEST
    reason = reasons.get(number, f"cannot be had: {error.strerror or error}")
    return Refused(status, f"UDP port {request.port} at {request.bind} {reason}.")


class Receiver(asyncio.DatagramProtocol):
    """One UDP port. It has no timer while datagrams come in quietly, and one a second while it waits for a phone."""

    def __init__(self, request: Request, relay: Relay, on_change: Callable[[], None]) -> None:
        self.request = request
        self._relay_message, self._on_change = relay, on_change
        self._loop = asyncio.get_running_loop()
        self._read = request.protocol.reader()
        self._transport: asyncio.DatagramTransport | None = None
        self._packets = self._left_out = self._asked = 0
        self._error = ""
        self._heard = self._due = self._second = -SILENCE
        self._in_second = 0
        self._newest: FacePacket | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._silence_timer: asyncio.TimerHandle | None = None
        self._ask_timer: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()

    def state(self) -> dict[str, Any]:
        """The receiver in the session's state."""
        request = self.request
        since = round(self._loop.time() - self._heard, 2) if self._packets else None
        return {
            "protocol": request.protocol.title,
            "address": request.address,
            "bind": request.bind,
            "port": request.port,
            "packets": self._packets,
            "left_out": self._left_out,
            "seconds_since": since,
            "error": self._error or None,
        }

    def close(self) -> None:
        """Stop listening."""
        for timer in (self._flush_timer, self._silence_timer, self._ask_timer):
            if timer is not None:
                timer.cancel()
        if self._transport is not None:
            self._transport.close()

    async def wait_closed(self) -> None:
        """Return when the port is free again."""
        await self._closed.wait()

    # --- called by asyncio ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._ask()

    def datagram_received(self, data: bytes, sender: Address) -> None:
        """A datagram has come."""
        now = self._loop.time()
        if self._is_flooded(now):
            self._leave_out(f"More than {_FLOOD:,} datagrams came in a second.")
            return
        if self.request.address not in (None, sender[0]):
            self._leave_out(f"A datagram came from {sender[0]}, not from {self.request.address}.")
            return
        self._packets += 1
        self._heard = now
        if self._silence_timer is None:
            self._silence_timer = self._loop.call_later(SILENCE, self._check_silence)
        try:
            packet = self._read(data)
        except THA4Error as error:
            self._leave_out(str(error))
            return
        if packet is not None:
            self._relay(packet, now)
        self._on_change()

    def connection_lost(self, error: Exception | None) -> None:
        """The port is closed."""
        self._closed.set()

    def error_received(self, error: Exception) -> None:
        """The network refuses what was sent."""
        self._error = f"The network says: {getattr(error, 'strerror', None) or error}."
        self._on_change()

    # --- faces ------------------------------------------------------------------------------------------------------

    def _is_flooded(self, now: float) -> bool:
        if now - self._second >= 1:
            self._second, self._in_second = now, 0
        self._in_second += 1
        return self._in_second > _FLOOD

    def _leave_out(self, reason: str) -> None:
        self._left_out += 1
        self._error = reason
        self._on_change()

    def _relay(self, packet: FacePacket, now: float) -> None:
        """Relay a face now, or the newest one as soon as another may be relayed."""
        self._newest = packet
        if now >= self._due:
            self._flush()
        elif self._flush_timer is None:
            self._flush_timer = self._loop.call_at(self._due, self._flush)

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        if self._newest is not None:
            self._due = self._loop.time() + 1 / MOST_A_SECOND
            self._relay_message(message(self._newest, self.request.protocol.title))
            self._newest = None

    # --- silence ----------------------------------------------------------------------------------------------------

    def _check_silence(self) -> None:
        left = self._heard + SILENCE - self._loop.time()
        if left > 0:
            self._silence_timer = self._loop.call_later(left, self._check_silence)
            return
        self._silence_timer = None
        self._newest = LOST
        self._flush()
        self._on_change()
        if self._ask_timer is None:
            self._ask()

    def _ask(self) -> None:
        """Ask the phone to send, and again in a second where it must be asked all the time or is silent."""
        self._ask_timer = None
        protocol, is_silent = self.request.protocol, self._loop.time() - self._heard >= SILENCE
        if self._transport is None or self.request.address is None or protocol.requests is None:
            return
        if is_silent or protocol.keeps_asking:
            requests = protocol.requests(self.request.port)
            self._transport.sendto(
                requests[self._asked % len(requests)], (self.request.address, self.request.request_port)
            )
            self._asked += 1
            self._ask_timer = self._loop.call_later(1.0, self._ask)
