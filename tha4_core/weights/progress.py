"""Progress of work on files, and work in another thread that an interrupt need not wait for."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar, cast

from ..errors import DownloadError

T = TypeVar("T")
ProgressCallback = Callable[[int, "int | None", float, str], None]
"""Gets bytes done, bytes in all (None: unknown), bytes per second and a text. It may raise to interrupt the work."""
INTERVAL = 0.1  # seconds between two calls of a progress callback


def no_progress(done: int, total: int | None, rate: float, text: str) -> None:
    """A progress callback that shows nothing."""


class TemporaryError(DownloadError):
    """A failure that may pass when it is tried again. `after`: the seconds that the server asks to wait."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class ProgressReporter:
    """Counts the bytes of one stage of work after another and calls a progress callback every `INTERVAL` seconds."""

    def __init__(self, callback: ProgressCallback, text: str) -> None:
        self._callback = callback
        self.start(text)

    def start(self, text: str, total: int | None = None) -> None:
        """Begin a stage: nothing of `total` bytes (None: unknown) is done. Reports at once."""
        self.text, self.total, self.done = text, total, 0
        self.restart_rate()

    def restart_rate(self) -> None:
        """Measure the rate from here: what is done already was not transferred now. Reports at once."""
        self._start, self._done_at_start = time.monotonic(), self.done
        self.report()

    def advance(self, count: int = 0) -> None:
        """Add `count` bytes, and report if it is time to."""
        self.done += count
        if time.monotonic() - self._reported >= INTERVAL:
            self.report()

    def report(self) -> None:
        """Report now."""
        self._reported = time.monotonic()
        rate = max(self.done - self._done_at_start, 0) / max(self._reported - self._start, INTERVAL)
        self._callback(self.done, self.total, rate, self.text)


def in_background(
    items: Generator[T, None, None], poll: Callable[[], None], timeout: float = float("inf")
) -> Generator[T, None, None]:
    """The items, each computed in another thread while `poll` is called here every `INTERVAL` seconds.

    What `poll` raises ends the wait at once; the other thread ends after the item that it is at. Raises TemporaryError
    where an item takes longer than `timeout` seconds.
    """
    end = object()
    wanted: SimpleQueue[Future[object] | None] = SimpleQueue()

    def work() -> None:
        while (future := wanted.get()) is not None:
            try:
                future.set_result(next(items, end))
            except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
                future.set_exception(error)
        items.close()

    # A daemon: the program can end while a server keeps the thread waiting.
    Thread(target=work, name="tha4-download", daemon=True).start()
    try:
        while True:
            future: Future[object] = Future()
            wanted.put(future)
            deadline = time.monotonic() + timeout
            while not wait([future], INTERVAL).done:
                poll()
                if time.monotonic() > deadline:
                    raise TemporaryError(f"The server was silent for {timeout:g} s.")
            if (item := future.result()) is end:
                return
            yield cast(T, item)
    finally:
        wanted.put(None)
