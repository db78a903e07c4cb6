"""The queue of previews: one worker thread, and of each client only the newest request counts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager

from .. import host

Job = Callable[[Callable[[], None]], bytes]
"""Makes the body of a response. It calls its argument now and then, which raises `Superseded` once nobody waits."""

MAX_CLIENTS = 16
"""How many clients may wait at once."""
_REST_RATIO = 9.0  # while a prompt runs, the worker rests this many times as long as it has worked
_SHARED_REST_RATIO = 0.5  # the same while a prompt runs that gives way
_LONGEST_WAIT = 1.0  # seconds that such a prompt waits for a preview before it looks again whether it was cancelled
_LONGEST_WORK = 0.5  # seconds; a frame takes less, and is shown at once. A longer job rests in between.

_PAUSE = 0.02  # seconds between looks at whether a queue that comes first still has work


class Superseded(Exception):  # noqa: N818 - no error: the usual end of a preview while the user drags
    """Nobody waits for this preview any more."""


class QueueFull(Exception):  # noqa: N818 - the client may try again
    """MAX_CLIENTS clients wait already."""


class PromptRunning(Exception):  # noqa: N818 - the client may try again afterwards
    """A prompt is running: jobs that give way to it end."""


class _Request:
    def __init__(self, job: Job, is_disconnected: Callable[[], bool]) -> None:
        self.job, self.is_disconnected = job, is_disconnected
        self.superseded = threading.Event()
        self.future: Future[bytes] | None = None

    def check(self) -> None:
        if self.superseded.is_set() or self.is_disconnected():
            raise Superseded


class PreviewQueue:
    """Runs jobs of the event loop in its thread.

    While `is_prompt_running()`, it works a tenth of the time; two thirds of it beside one that runs for hours and gives
    way to it, as a distillation does (`shared` and `give_way`).

    A queue of long jobs is given another queue that is served `first`: its jobs pause at a tick while that one has
    work, and end with PromptRunning as soon as a prompt runs.
    """

    def __init__(self, is_prompt_running: Callable[[], bool], first: PreviewQueue | None = None) -> None:
        self._is_prompt_running, self._first = is_prompt_running, first
        self._newest: dict[str, _Request] = {}
        self._thread = ThreadPoolExecutor(1, "tha4-preview")
        self._begun = self._rest_until = 0.0
        self._shared = 0
        self._is_working = False
        self._has_stopped = threading.Condition()

    @property
    def has_processor(self) -> bool:
        """Whether a job may use the whole processor: no prompt runs, or one that gives way."""
        return bool(self._shared) or not self._is_prompt_running()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """To be held by the thread of a prompt that calls `give_way` many times a second."""
        self._shared += 1
        try:
            yield
        finally:
            self._shared -= 1

    def give_way(self) -> None:
        """Wait while a job is being worked on, though not for longer than a second."""
        if self._is_working:
            with self._has_stopped:
                self._has_stopped.wait_for(lambda: not self._is_working, _LONGEST_WAIT)

    async def run(self, client: str, job: Job, is_disconnected: Callable[[], bool]) -> bytes:
        """What `job` returns.

        Raises Superseded where a newer request of the same client came or the client has disconnected, QueueFull
        where MAX_CLIENTS others are waiting, PromptRunning (see above), and whatever the job raises.
        """
        if client not in self._newest and len(self._newest) >= MAX_CLIENTS:
            raise QueueFull
        request = _Request(job, is_disconnected)
        self._supersede(client)
        self._newest[client] = request
        request.future = self._thread.submit(self._work, request)
        try:
            return await asyncio.wrap_future(request.future)
        except (CancelledError, asyncio.CancelledError):
            if request.superseded.is_set():
                raise Superseded from None
            raise
        finally:
            request.superseded.set()
            # The traceback of its exception leads here and back to it. Such a cycle keeps the megabytes of a frame that
            # was given up until Python's next full garbage collection, which in a large process is far off.
            request.future = None
            if self._newest.get(client) is request:
                del self._newest[client]

    def _supersede(self, client: str) -> None:
        older = self._newest.get(client)
        if older is not None:
            older.superseded.set()
            if older.future is not None:
                older.future.cancel()

    def _work(self, request: _Request) -> bytes:
        if self._first is None:
            self._rest(request)
        self._begin()
        try:
            return request.job(lambda: self._tick(request))
        finally:
            self._plan_rest()

    def _tick(self, request: _Request) -> None:
        request.check()
        if self._first is not None:
            self._give_way(request, self._first)
        elif time.monotonic() - self._begun > _LONGEST_WORK:
            self._plan_rest()
            self._rest(request)
            self._begin()

    def _begin(self) -> None:
        self._begun = time.monotonic()
        self._is_working = True

    def _give_way(self, request: _Request, first: PreviewQueue) -> None:
        while True:
            if self._is_prompt_running():
                raise PromptRunning
            if not first._newest:
                return
            request.superseded.wait(_PAUSE)
            request.check()

    def _plan_rest(self) -> None:
        now = time.monotonic()
        self._rest_until = now + (now - self._begun) * (_SHARED_REST_RATIO if self._shared else _REST_RATIO)
        with self._has_stopped:
            self._is_working = False
            self._has_stopped.notify_all()

    def _rest(self, request: _Request) -> None:
        """Leave the processor to a running prompt until the rest after the last job is over."""
        request.check()
        while self._is_prompt_running() and (left := self._rest_until - time.monotonic()) > 0:
            request.superseded.wait(min(left, 0.1))
            request.check()


QUEUE = PreviewQueue(host.is_prompt_running)
"""The queue of this server."""
