"""Live sessions: the pages and programs of one name, and the receivers that drive them.

A session exists while somebody is connected to it or a receiver of it is open.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ..request import Refused
from .receivers import Receiver

MOST_SESSIONS, MOST_CONNECTIONS, MOST_RECEIVERS = 16, 16, 8
"""At once, of the server; of a session; of a session."""
GRACE = 10.0
"""Seconds that receivers stay open after the last page has gone: it may only be loading anew."""
STATE_INTERVAL = 0.5
"""Seconds between two messages about the state, at least."""
_MOST_WAITING = 32
_WINDOW, _PING_EVERY = 16, 4  # messages

Message = dict[str, Any]


class Connection:
    """A WebSocket of a session. What it has not taken yet waits, and of each kind only the newest.

    What lies in the buffers of the network would still be a backlog, so every few messages a ping follows, and no more
    than _WINDOW messages are on their way whose pong has not come.
    """

    def __init__(self, socket: web.WebSocketResponse, is_page: bool) -> None:
        self.socket, self.is_page = socket, is_page
        self._waiting: dict[str, str] = {}
        self._sent = self._taken = 0
        self._changed = asyncio.Event()

    def put(self, kind: str, message: str) -> None:
        """Send a message when the others before it are sent, instead of one of its kind that waits still."""
        self._waiting.pop(kind, None)
        self._waiting[kind] = message
        if len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._changed.set()

    def acknowledge(self, pong: bytes) -> None:
        """A pong has come: everything before its ping is taken."""
        if pong.isdigit() and len(pong) < 20:
            self._taken = max(self._taken, min(int(pong), self._sent))
            self._changed.set()

    async def send(self) -> None:
        """Send what is put, until cancelled or disconnected."""
        while not self.socket.closed:
            self._changed.clear()
            while self._waiting and self._sent - self._taken < _WINDOW:
                await self.socket.send_str(self._waiting.pop(next(iter(self._waiting))))
                self._sent += 1
                if self._sent % _PING_EVERY == 0:
                    await self.socket.ping(str(self._sent).encode())
            await self._changed.wait()


class Session:
    """The connections and receivers of one name."""

    def __init__(self, name: str, on_empty: Callable[[Session], None]) -> None:
        self.name, self.open = name, False
        self.receivers: dict[int, Receiver] = {}
        self._connections: set[Connection] = set()
        self._on_empty = on_empty
        self._loop = asyncio.get_running_loop()
        self._grace: asyncio.TimerHandle | None = None
        self._state_due: asyncio.TimerHandle | None = None
        self._state_sent = -STATE_INTERVAL

    @property
    def pages(self) -> int:
        """How many pages listen."""
        return sum(connection.is_page for connection in self._connections)

    def enter(self, connection: Connection) -> None:
        """Add a connection, and tell it the state. Raises Refused where there are too many."""
        if len(self._connections) >= MOST_CONNECTIONS:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{self.name} has {MOST_CONNECTIONS} connections already.")
        self._connections.add(connection)
        connection.put("state", json.dumps(self.state()))
        self.announce()
        self.settle()

    def leave(self, connection: Connection) -> None:
        """Remove a connection."""
        self._connections.discard(connection)
        self.announce()
        self.settle()

    def settle(self) -> None:
        """Plan the end of receivers that nobody listens to, and of a session without anything."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._connections:
            return
        if self.receivers:
            self._grace = self._loop.call_later(GRACE, self._close)
        else:
            self._forget_state()
            self._on_empty(self)

    def relay(self, message: Message, sender: Connection | None = None) -> None:
        """Send a message to all connections but the sender's."""
        kind = f"{message['type']} {message.get('source', '')}"
        text = json.dumps(message, separators=(",", ":"))
        for connection in self._connections:
            if connection is not sender:
                connection.put(kind, text)

    def announce(self) -> None:
        """Tell all connections the state, soon: at most one message for each STATE_INTERVAL."""
        if self._state_due is None and self._connections:
            wait = self._state_sent + STATE_INTERVAL - self._loop.time()
            self._state_due = self._loop.call_later(max(wait, 0.0), self._send_state)

    def state(self) -> Message:
        """The message about receivers and pages."""
        receivers = [receiver.state() for receiver in self.receivers.values()]
        return {"type": "state", "receivers": receivers, "pages": self.pages, "open": self.open}

    async def close_receivers(self, port: int | None = None) -> int:
        """Close the receiver of a port, or all; how many. Their ports are free again."""
        closed = self._close(port)
        for receiver in closed:
            await receiver.wait_closed()
        return len(closed)

    async def close(self) -> None:
        """Close the receivers and the connections."""
        self._close()
        for connection in list(self._connections):
            await connection.socket.close(code=1001, message=b"The server stops.")

    def _close(self, port: int | None = None) -> list[Receiver]:
        ports = list(self.receivers) if port is None else [port] if port in self.receivers else []
        closed = [self.receivers.pop(each) for each in ports]
        for receiver in closed:
            receiver.close()
        self.announce()
        self.settle()
        return closed

    def _send_state(self) -> None:
        self._state_due, self._state_sent = None, self._loop.time()
        self.relay(self.state())

    def _forget_state(self) -> None:
        if self._state_due is not None:
            self._state_due.cancel()
            self._state_due = None


class Sessions:
    """All sessions of the server, by name."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def find(self, name: str) -> Session | None:
        """The session of a name, where there is one."""
        return self._sessions.get(name)

    def open(self, name: str) -> Session:
        """The session of a name, a new one where there is none. Raises Refused where there are too many."""
        if name not in self._sessions:
            if len(self._sessions) >= MOST_SESSIONS:
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"There are {MOST_SESSIONS} live sessions already.")
            self._sessions[name] = Session(name, self._forget)
        return self._sessions[name]

    def _forget(self, session: Session) -> None:
        if self._sessions.get(session.name) is session:
            del self._sessions[session.name]

    def relay(self, name: str, message: Message) -> None:
        """Send a message to all connections of a session, where there are any."""
        if name in self._sessions:
            self._sessions[name].relay(message)

    def announce(self, name: str) -> None:
        """Tell the connections of a session its state, soon."""
        if name in self._sessions:
            self._sessions[name].announce()

    def user_of(self, port: int) -> Session | None:
        """The session that has a receiver at a port."""
        return next((session for session in self._sessions.values() if port in session.receivers), None)

    async def close(self) -> None:
        """Close all of them."""
        for session in list(self._sessions.values()):
            await session.close()
