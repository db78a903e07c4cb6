"""What comes in over the WebSockets of live sessions."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from http import HTTPStatus

from aiohttp import WSMessage, WSMsgType, web

from ..request import Refused, parse_object
from . import access, messages, say
from .sessions import Connection, Session
from .speech import Speaker

MOST_BYTES = 4 * 2**20
"""Of a message; a binary one is a sound."""
_log = logging.getLogger("tha4")
_MOST_TEXT = 512 * 1024
_MOST_A_SECOND = 240  # messages of one connection
_SWITCH_SECONDS = 1.0  # how long a look at the setting counts


class Incoming:
    """The messages of one connection."""

    def __init__(self, request: web.Request, session: Session, connection: Connection, speaker: Speaker) -> None:
        self._request, self._session, self._connection, self._speaker = request, session, connection, speaker
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
            self._speak(say.parse(data, {}))
            return
        if len(data) > _MOST_TEXT:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A message has at most {_MOST_TEXT:,} characters.")
        content = parse_object(data, "The message")
        if content.get("type") == "say" and content.get("timings"):
            self._speak(say.parse(None, content))
        else:
            self._session.relay(messages.check(content), self._connection)

    def _speak(self, wanted: say.Say) -> None:
        if self._speaking is not None and not self._speaking.done():
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "Speech of this connection is being made still. Wait for it.")
        self._speaking = asyncio.create_task(self._say(wanted))

    async def _say(self, wanted: say.Say) -> None:
        try:
            message, _ = await self._speaker.say(self._session.name, wanted, lambda: self._connection.socket.closed)
        except Refused as refused:
            self._answer(refused)
        # As for the other routes: the log gets a line, and the page an answer.
        except Exception as error:  # noqa: BLE001
            _log.warning("say failed: %s: %s", type(error).__name__, error)
            self._answer(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, f"The server failed ({type(error).__name__})."))
        else:
            self._session.relay(message)  # to the sender as well: it gets the track and the id

    def _answer(self, refused: Refused) -> None:
        self._connection.put("error", json.dumps({"type": "error", "error": str(refused)}))
