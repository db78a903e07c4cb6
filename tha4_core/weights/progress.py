"""Progress of work on files, and work in another thread that an interrupt need not wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

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


def in_background(work: Callable[[], T], poll: Callable[[], None]) -> T:
    """The result of `work`, done in another thread while `poll` is called here every `INTERVAL` seconds.

    What `poll` raises ends the wait at once; the other thread goes on until `work` ends by itself.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            future.set_exception(error)

    # A daemon: the program can end while a server keeps the thread waiting.
    Thread(target=run, name="tha4-download", daemon=True).start()
    while not wait([future], INTERVAL).done:
        poll()
    return future.result()
