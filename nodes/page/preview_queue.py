"""One render at a time, in a thread of its own; of each client only the newest request counts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

Job = Callable[[Callable[[], None]], bytes]
"""Makes a frame; now and then calls what it is given, which raises `Superseded` once nobody wants the frame."""

CLIENTS = 16
"""How many clients may wait at once."""
_REST = 9.0  # while a prompt runs, the thread rests this many times as long as it has worked


class Superseded(Exception):  # noqa: N818 - no error: the usual end of a frame while the hand moves
    """Nobody wants this frame any more."""


class Busy(Exception):  # noqa: N818 - a state, not an error of ours
    """Too many clients wait already."""


class _Ticket:
    def __init__(self, job: Job, gone: Callable[[], bool]) -> None:
        self.job, self.gone = job, gone
        self.superseded = threading.Event()
        self.future: Future[bytes] | None = None

    def check(self) -> None:
        if self.superseded.is_set() or self.gone():
            raise Superseded


class Desk:
    """Takes jobs from the event loop. `busy` says whether a prompt is running; then it works a tenth of the time."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._newest: dict[str, _Ticket] = {}
        self._thread = ThreadPoolExecutor(1, "tha4-preview")
        self._free_at = 0.0

    async def frame(self, client: str, job: Job, gone: Callable[[], bool]) -> bytes:
        """The frame that `job` makes. `gone` tells whether whoever asked has hung up.

        Raises Superseded where a newer request of the same client came or the client has gone, Busy where CLIENTS
        others are waiting, and whatever the job raises.
        """
        if client not in self._newest and len(self._newest) >= CLIENTS:
            raise Busy
        ticket = _Ticket(job, gone)
        self._supersede(client)
        self._newest[client] = ticket
        ticket.future = self._thread.submit(self._work, ticket)
        try:
            return await asyncio.wrap_future(ticket.future)
        except (CancelledError, asyncio.CancelledError):
            if ticket.superseded.is_set():
                raise Superseded from None
            raise
        finally:
            ticket.superseded.set()
            if self._newest.get(client) is ticket:
                del self._newest[client]

    def _supersede(self, client: str) -> None:
        older = self._newest.get(client)
        if older is not None:
            older.superseded.set()
            if older.future is not None:
                older.future.cancel()

    def _work(self, ticket: _Ticket) -> bytes:
        self._make_way(ticket)
        start = time.monotonic()
        try:
            return ticket.job(ticket.check)
        finally:
            end = time.monotonic()
            self._free_at = end + (end - start) * _REST

    def _make_way(self, ticket: _Ticket) -> None:
        """Wait for the rest that a running prompt is owed."""
        ticket.check()
        while self._busy() and (left := self._free_at - time.monotonic()) > 0:
            ticket.superseded.wait(min(left, 0.1))
            ticket.check()
