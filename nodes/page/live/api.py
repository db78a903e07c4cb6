"""The handlers of the live routes."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import BodyPartReader, WSMessage, WSMsgType, web

from ....tha4_core.errors import THA4Error
from ....tha4_core.motion import reading
from ..request import NO_STORE, Refused, is_own_page, json_object, parse_object, read_body
from . import access, messages
from .messages import NAME, Message
from .receivers import open_receiver, parse_request
from .sessions import MOST_RECEIVERS, Connection, Session, Sessions
from .speech import MOST_BYTES, Sound, Speaker, Speech

_MOST_MESSAGE = 4 * 2**20  # bytes; a binary message is a sound
_MOST_TIMINGS = 512 * 1024
_MOST_A_SECOND = 240  # messages of one connection
_UPLOAD_SECONDS = 60.0
_HEARTBEAT = 20.0
_SWITCH_SECONDS = 1.0  # how long a look at the setting counts
_GONE = "This sound is kept no more. Say it again."


@dataclass(frozen=True)
class Say:
    """What is to be said: a sound, timings or both, and a text to show."""

    sound: bytes | None
    timings: str
    caption: Message


class Live:
    """The sessions of the server, and what their pages and programs may ask."""

    def __init__(self) -> None:
        self._sessions = Sessions()
        self._speaker = Speaker()

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
        name = _session_name(request)
        say = await _read_say(request)
        if say is None:
            return self._relay(request, {"type": "say", "id": None})

        def is_gone() -> bool:
            return request.transport is None or request.transport.is_closing()

        speech, sound = await self._speaker.speak(say.sound, say.timings, is_gone)
        message = self._say_message(name, say, speech, sound)
        answer = {"id": message["id"], "seconds": round(speech.seconds, 3), "notes": speech.notes}
        return self._relay(request, message, **answer)

    async def audio(self, request: web.Request) -> web.Response:
        """A sound that is being said, or the part of it that a player asks for."""
        sound = self._speaker.sound(_session_name(request), request.match_info["id"])
        if sound is None:
            raise Refused(HTTPStatus.NOT_FOUND, _GONE)
        headers = {**NO_STORE, "Accept-Ranges": "bytes"}
        if "Range" not in request.headers:
            return web.Response(body=sound.content, content_type=sound.media_type, headers=headers)
        return _part(request, sound, headers)

    async def receive(self, request: web.Request) -> web.Response:
        """Open a receiver, or leave it as it is where it is open already."""
        name, asked = _session_name(request), parse_request(await json_object(request))
        session = self._sessions.open(name)
        try:
            await self._free_port(session, asked.port, asked)
            if asked.port not in session.receivers:
                relay, announce = partial(self._sessions.relay, name), partial(self._sessions.announce, name)
                receiver = await open_receiver(asked, relay, announce)
                session = self._sessions.open(name)  # the last page may have gone in the meantime
                session.receivers[asked.port] = receiver
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

    async def _free_port(self, session: Session, port: int, asked: object) -> None:
        """Close the session's own receiver of a port where another is asked for there. Raises Refused."""
        user = self._sessions.user_of(port)
        if user not in (None, session):
            name = user.name if user else ""
            raise Refused(HTTPStatus.CONFLICT, f"UDP port {port} is used by the session {name}. Stop it there first.")
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

    def _say_message(self, name: str, say: Say, speech: Speech, sound: Sound | None) -> Message:
        audio = f"/tha4/live/{name}/audio/{self._speaker.keep(name, sound)}" if sound else None
        return {"type": "say", "id": secrets.token_urlsafe(9), "track": speech.track, "audio": audio, **say.caption}

    # --- the WebSocket ----------------------------------------------------------------------------------------------

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        """Relay messages between the connections of a session until this one closes."""
        # Without compression: a message is small, and must be soon.
        socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT, max_msg_size=_MOST_MESSAGE, autoping=False, compress=False, timeout=2.0
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
        incoming = _Incoming(self, request, session, connection)
        try:
            async for message in connection.socket:
                await incoming.take(message)
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sender
            incoming.close()


class _Incoming:
    """The messages of one connection."""

    def __init__(self, live: Live, request: web.Request, session: Session, connection: Connection) -> None:
        self._live, self._request, self._session, self._connection = live, request, session, connection
        self._speaking: asyncio.Task[None] | None = None
        self._allowance, self._counted, self._checked = float(_MOST_A_SECOND), time.monotonic(), time.monotonic()

    def close(self) -> None:
        """The connection is closed."""
        if self._speaking is not None:
            self._speaking.cancel()

    async def take(self, message: WSMessage) -> None:
        """Relay a message, or answer what is wrong with it."""
        socket = self._connection.socket
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is WSMsgType.PONG:
            self._connection.acknowledge(bytes(message.data))
        elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            try:
                self._check_allowed()
                self._handle(message.data)
            except Refused as refused:
                self._answer(refused)
                if refused.status is HTTPStatus.FORBIDDEN:
                    await socket.close(code=1008, message=b"Other programs are switched off.")

    def _check_allowed(self) -> None:
        now = time.monotonic()
        self._allowance = min(self._allowance + (now - self._counted) * _MOST_A_SECOND, _MOST_A_SECOND) - 1
        self._counted = now
        if self._allowance < 0:
            self._allowance += 1
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, f"More than {_MOST_A_SECOND} messages a second are left out.")
        if now - self._checked > _SWITCH_SECONDS:
            self._checked = now
            access.check(self._request)

    def _handle(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self._speak(Say(data, "", {}))
            return
        if len(data) > _MOST_TIMINGS:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A message has at most {_MOST_TIMINGS:,} characters.")
        content = parse_object(data, "The message")
        if content.get("type") == "say" and content.get("timings"):
            self._speak(_say(None, content))
        else:
            self._session.relay(messages.check(content), self._connection)

    def _speak(self, say: Say) -> None:
        if self._speaking is not None and not self._speaking.done():
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "Speech of this connection is being made still. Wait for it.")
        self._speaking = asyncio.create_task(self._make_speech(say))

    async def _make_speech(self, say: Say) -> None:
        live = self._live
        try:
            speech, sound = await live._speaker.speak(say.sound, say.timings, lambda: self._connection.socket.closed)
        except Refused as refused:
            self._answer(refused)
            return
        # To the sender as well: it gets the track and the id.
        self._session.relay(live._say_message(self._session.name, say, speech, sound))

    def _answer(self, refused: Refused) -> None:
        self._connection.put("error", json.dumps({"type": "error", "error": str(refused)}))


def _session_name(request: web.Request) -> str:
    name = request.match_info["session"]
    if not NAME.fullmatch(name):
        raise Refused(HTTPStatus.BAD_REQUEST, "The name of a session has 1 to 64 of A-Z, a-z, 0-9, _ and -.")
    return name


async def _read_say(request: web.Request) -> Say | None:
    """What a request wants to have said; None: nothing more."""
    if request.content_type == "application/json":
        content = await json_object(request, _MOST_TIMINGS)
        return None if "id" in content and content["id"] is None else _say(None, content)
    if request.content_type == "multipart/form-data":
        try:
            fields = await asyncio.wait_for(_fields(request), _UPLOAD_SECONDS)
        except asyncio.TimeoutError:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The form did not arrive in time.") from None
        texts = {name: _decoded(name, fields[name]) for name in ("timings", "text") if fields.get(name)}
        return _say(fields.get("audio"), texts)
    if request.content_type.startswith(("audio/", "video/")) or request.content_type == "application/octet-stream":
        return _say(await read_body(request, MOST_BYTES, _UPLOAD_SECONDS), {})
    raise Refused(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "say takes a sound (audio/wav), a form with audio, or JSON with timings."
    )


async def _fields(request: web.Request) -> dict[str, bytes]:
    """The fields of a form."""
    fields: dict[str, bytes] = {}
    left = MOST_BYTES + _MOST_TIMINGS
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name not in ("audio", "timings", "text"):
                raise Refused(HTTPStatus.BAD_REQUEST, "The form may have the fields audio, timings and text.")
            content = bytearray()
            while chunk := await part.read_chunk():
                content += chunk
                if len(content) > left:
                    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The form has more than {left:,} bytes.")
            left -= len(content)
            fields[part.name] = bytes(content)
    except (web.HTTPException, OSError, ValueError, RuntimeError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "The form cannot be read.") from error
    return fields


def _decoded(name: str, content: bytes) -> str:
    try:
        return reading.decode(content, name)
    except THA4Error as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error


def _say(sound: bytes | None, content: Mapping[str, Any]) -> Say:
    timings = content.get("timings") or ""
    if not isinstance(timings, str) or not (timings.strip() or sound):
        raise Refused(HTTPStatus.BAD_REQUEST, "There is nothing to say: send a sound, or timings as a text.")
    return Say(sound or None, timings, messages.caption(content))


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
