"""The handlers of the live routes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ..request import NO_STORE, Refused, is_own_page, json_object
from . import access, incoming, messages, record, say
from .incoming import Incoming
from .messages import NAME, Message
from .receivers import Request, open_receiver, parse_request
from .sessions import MOST_RECEIVERS, Connection, Session, Sessions
from .speech import Sound, Speaker

_HEARTBEAT = 20.0  # seconds


class Live:
    """The sessions of the server, and what their pages and programs may ask."""

    def __init__(self) -> None:
        self._sessions = Sessions()
        self._speaker = Speaker()
        self._recording = asyncio.Lock()

    async def close(self, app: web.Application) -> None:
        """Close everything: the server stops."""
        await self._sessions.close()
        self._speaker.close()

    # --- requests ---------------------------------------------------------------------------------------------------

    async def pose(self, request: web.Request) -> web.Response:
        """Parameters to hold."""
        return self._relay(request, messages.check({**await json_object(request), "type": "pose"}))

    async def expression(self, request: web.Request) -> web.Response:
        """An expression."""
        return self._relay(request, messages.check({**await json_object(request), "type": "expression"}))

    async def say(self, request: web.Request) -> web.Response:
        """Speech from a sound or timings, or an end to it."""
        name, wanted = _session_name(request), await say.read(request)
        if wanted is None:
            return self._relay(request, {"type": "say", "id": None})

        def is_gone() -> bool:
            return request.transport is None or request.transport.is_closing()

        message, speech = await self._speaker.say(name, wanted, is_gone)
        answer = {"id": message["id"], "seconds": round(speech.seconds, 3), "notes": speech.notes}
        return self._relay(request, message, **answer)

    async def audio(self, request: web.Request) -> web.Response:
        """A sound that is being said, or the part of it that a player asks for."""
        sound = self._speaker.sound(_session_name(request), request.match_info["id"])
        if sound is None:
            raise Refused(HTTPStatus.NOT_FOUND, "This sound is kept no more. Say it again.")
        headers = {**NO_STORE, "Accept-Ranges": "bytes"}
        if "Range" not in request.headers:
            return web.Response(body=sound.content, content_type=sound.media_type, headers=headers)
        return _part(request, sound, headers)

    async def record(self, request: web.Request) -> web.Response:
        """A recording of a page, to keep."""
        _session_name(request)
        fields = await record.read(request)
        async with self._recording:
            kept = await asyncio.to_thread(record.keep, fields)
        return web.json_response(kept, headers=NO_STORE)

    async def receive(self, request: web.Request) -> web.Response:
        """Open a receiver, or leave it as it is where it is open already."""
        name, asked = _session_name(request), parse_request(await json_object(request))
        session = self._sessions.open(name)
        try:
            await self._free_port(session, asked)
            if asked.port not in session.receivers:
                session = await self._open(name, asked)
        finally:
            session.announce()
            session.settle()
        return web.json_response({"receiver": session.receivers[asked.port].state()}, headers=NO_STORE)

    async def stop(self, request: web.Request) -> web.Response:
        """Close the receiver of a port, or all of the session."""
        session, body = self._sessions.find(_session_name(request)), await json_object(request)
        port = body.get("port")
        if port is not None and type(port) is not int:
            raise Refused(HTTPStatus.BAD_REQUEST, "port must be a whole number.")
        stopped = await session.close_receivers(port) if session else 0
        return web.json_response({"stopped": stopped}, headers=NO_STORE)

    async def _open(self, name: str, asked: Request) -> Session:
        relay, announce = partial(self._sessions.relay, name), partial(self._sessions.announce, name)
        receiver = await open_receiver(asked, relay, announce)
        try:
            session = self._sessions.open(name)  # a new one, where the last page has gone in the meantime
        except Refused:
            receiver.close()
            raise
        session.receivers[asked.port] = receiver
        return session

    async def _free_port(self, session: Session, asked: Request) -> None:
        """Close the session's own receiver of a port where another is asked for there. Raises Refused."""
        port = asked.port
        user = self._sessions.user_of(port)
        if user is not None and user is not session:
            message = f"UDP port {port} is used by the session {user.name}. Stop it there first."
            raise Refused(HTTPStatus.CONFLICT, message)
        if port in session.receivers:
            if session.receivers[port].request != asked:
                await session.close_receivers(port)
        elif len(session.receivers) >= MOST_RECEIVERS:
            raise Refused(HTTPStatus.CONFLICT, f"{MOST_RECEIVERS} receivers are open already. Stop one first.")

    def _relay(self, request: web.Request, message: Message, **answer: Any) -> web.Response:
        session = self._sessions.find(_session_name(request))
        if session is not None:
            session.relay(message)
        return web.json_response({"pages": session.pages if session else 0, **answer}, headers=NO_STORE)

    # --- the WebSocket ----------------------------------------------------------------------------------------------

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        """Relay messages between the connections of a session until this one closes."""
        # Without compression: a message is small, and must be soon.
        socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT, max_msg_size=incoming.MOST_BYTES, autoping=False, compress=False, timeout=2.0
        )
        session = self._sessions.open(_session_name(request))
        connection = Connection(socket, is_own_page(request))
        try:
            session.open = access.allows_programs(request)
            session.enter(connection)
            await socket.prepare(request)
            await self._listen(request, session, connection)
        finally:
            session.leave(connection)
        return socket

    async def _listen(self, request: web.Request, session: Session, connection: Connection) -> None:
        sender = asyncio.create_task(connection.send())
        receiver = Incoming(request, session, connection, self._speaker)
        try:
            async for message in connection.socket:
                await receiver.take(message)
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sender
            receiver.close()


def _session_name(request: web.Request) -> str:
    name = request.match_info["session"]
    if not NAME.fullmatch(name):
        raise Refused(HTTPStatus.BAD_REQUEST, "The name of a session has 1 to 64 of A-Z, a-z, 0-9, _ and -.")
    return name


def _part(request: web.Request, sound: Sound, headers: dict[str, str]) -> web.Response:
    size = len(sound.content)
    try:
        start, end, _ = request.http_range.indices(size)
    except ValueError:
        start = end = size
    if start >= end:
        raise Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"The sound has {size:,} bytes.")
    return web.Response(
        status=HTTPStatus.PARTIAL_CONTENT,
        body=sound.content[start:end],
        content_type=sound.media_type,
        headers={**headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"},
    )
