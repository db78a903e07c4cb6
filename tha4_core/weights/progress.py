"""Progress of downloads: reports, interrupts that take effect at once, retries, room on the disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from threading import Thread
from typing import ClassVar, TypeVar

from ..errors import DownloadError

T = TypeVar("T")
ProgressCallback = Callable[[int, "int | None", float, str], None]
"""Gets bytes done, bytes in all (None: unknown), bytes per second and a text. It may raise to interrupt the work."""
INTERVAL = 0.1  # seconds between two calls of a progress callback
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of HTTP after which a request may be tried again."""


def no_progress(done: int, total: int | None, rate: float, text: str) -> None:
    """A progress callback that shows nothing."""


class TemporaryError(DownloadError):
    """A failure that may pass when it is tried again."""


class Progress:
    """Counts the bytes of one stage of work after another and calls a progress callback every `INTERVAL` seconds.

    What the callback raises interrupts the work; `interrupted` is then true.
    """

    timeout: ClassVar[float] = 30.0  # seconds without an answer before a server is given up
    attempts: ClassVar[int] = 5  # in a row without any new byte
    delay: ClassVar[float] = 1.0  # seconds before the second attempt, doubled before each one after it

    def __init__(self, callback: ProgressCallback, text: str) -> None:
        self._callback, self.interrupted = callback, False
        self.start(text)

    def start(self, text: str, total: int | None = None, done: int = 0) -> None:
        """Begin a stage of `total` bytes (None: unknown), of which `done` were there before. Reports at once."""
        self.text, self.total, self.done = text, total, done
        self._start, self._done_at_start = time.monotonic(), done
        self.report()

    def poll(self) -> None:
        """Report if it is time to."""
        if time.monotonic() - self._reported >= INTERVAL:
            self.report()

    def report(self) -> None:
        """Report now."""
        self._reported = time.monotonic()
        rate = max(self.done - self._done_at_start, 0) / max(self._reported - self._start, INTERVAL)
        try:
            self._callback(self.done, self.total, rate, self.text)
        except BaseException:
            self.interrupted = True
            raise

    def wait_for(self, work: Callable[[], T]) -> T:
        """The result of `work`, done in another thread, because it blocks, while this one reports.

        `work` may set `done`. An interrupt ends the wait at once; the other thread goes on until `work` ends by itself.
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
            self.poll()
        return future.result()

    def with_retries(self, action: Callable[[], T]) -> T:
        """The result of `action`, tried again after each TemporaryError; the count restarts when bytes were received.

        Raises DownloadError after the last attempt.
        """
        failures, most = 0, self.done
        while True:
            try:
                return action()
            except TemporaryError as error:
                failures = 1 if self.done > most else failures + 1
                most = max(most, self.done)
                if failures >= self.attempts:
                    raise DownloadError(f"{error} Gave up after {failures} tries.") from error
            self.wait_for(partial(time.sleep, self.delay * 2 ** (failures - 1)))


def check_room(folder: Path, need: int) -> None:
    """Raise DownloadError unless `need` bytes are free on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DownloadError(
            f"{folder}: {megabytes(need)} are needed on this disk and {megabytes(free)} are free. Free some space or "
            "choose a folder on another disk."
        )


def megabytes(count: int) -> str:
    """A count of bytes for people."""
    return f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{count / 1e6:.3f} MB"
