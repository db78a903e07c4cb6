"""One file from one address: with time-outs, retries and resume, and interrupted within a second.

Only the archive of THA4's author needs this; files on the hub come by the hub's own client. `requests` blocks, so it
works in a thread of its own while the caller's thread reports. An interrupt leaves that thread to end by its time-out;
it writes nothing from then on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from ..errors import DownloadError
from .folders import check_room, read_json, size_of, write_json
from .progress import INTERVAL, ProgressReporter, TemporaryError, in_background

if TYPE_CHECKING:
    from requests import Response

T = TypeVar("T")
CHUNK = 32 * 1024  # bytes; with the time-out of 30 s, a line slower than about 1 kB/s counts as dead
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of HTTP after which a request may be tried again."""


@dataclass(frozen=True)
class RetrySettings:
    """When to give up on a server.

    `timeout`: seconds without an answer; `attempts`: in a row without any new byte; `delay`: seconds before the second
    attempt, doubled before each one after it.
    """

    timeout: float = 30.0
    attempts: int = 5
    delay: float = 1.0


DEFAULT_RETRY = RetrySettings()


def with_retries(
    action: Callable[[], T], retry: RetrySettings, reporter: ProgressReporter, received: Callable[[], int] = lambda: 0
) -> T:
    """The result of `action`, tried again after each TemporaryError; the count restarts when `received()` has grown.

    Raises DownloadError after the last attempt.
    """
    failures, most = 0, received()
    while True:
        try:
            return action()
        except TemporaryError as error:
            failures = 1 if received() > most else failures + 1
            most = max(most, received())
            if failures >= retry.attempts:
                raise DownloadError(f"{error} Gave up after {failures} tries.") from error
            end = time.monotonic() + max(retry.delay * 2 ** (failures - 1), error.after)
        while time.monotonic() < end:
            reporter.advance()
            time.sleep(INTERVAL)


def download(url: str, part: Path, reporter: ProgressReporter, retry: RetrySettings, spare: int) -> None:
    """Download `url` into the file `part`, going on from what is there; `spare` bytes stay free on its disk.

    A part file survives interrupts, lost connections and a full disk. Raises DownloadError.
    """
    with_retries(lambda: _download_once(url, part, reporter, retry, spare), retry, reporter, lambda: size_of(part))


def discard(part: Path) -> None:
    """Remove a part file and what is noted about it."""
    part.unlink(missing_ok=True)
    _notes(part).unlink(missing_ok=True)


def host_of(url: str) -> str:
    """The server's name in an address."""
    return url.split("/")[2] if url.count("/") >= 2 else url


def _download_once(url: str, part: Path, reporter: ProgressReporter, retry: RetrySettings, spare: int) -> None:
    name, notes, had = part.name.removesuffix(".part"), read_json(_notes(part)), size_of(part)
    known = had > 0 and notes.get("url") == url
    if known and notes.get("total") == had:
        return
    headers = {}
    if known and notes.get("validator"):
        headers = {"Range": f"bytes={had}-", "If-Range": str(notes["validator"])}
    response = in_background(lambda: _get(url, name, headers, retry), reporter.advance)
    _check_status(response, name, url)
    if response.status_code != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
        discard(part)  # the server ignores ranges, or the file has changed: it sends all of it
        had = 0
        if response.status_code != 200:
            raise TemporaryError(f"{name}: {host_of(url)} has no such part of the file.")
    length = response.headers.get("Content-Length", "")
    total = had + int(length) if length.isdigit() else None
    check_room(part.parent, spare + (total - had if total is not None else 0))
    write_json(_notes(part), {"url": url, "validator": _validator(response), "total": total})
    reporter.total, reporter.done = total, had
    reporter.restart_rate()
    with _Appender(part, reporter) as appender:
        in_background(lambda: appender.append(response, name), reporter.advance)
    if total is not None and size_of(part) != total:
        raise TemporaryError(f"{name}: the connection ended after {size_of(part)} of {total} bytes.")


def _get(url: str, name: str, headers: Mapping[str, str], retry: RetrySettings) -> Response:
    import requests

    try:
        sent = {**headers, "Accept-Encoding": "identity"}
        return requests.get(url, headers=sent, stream=True, timeout=retry.timeout)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise TemporaryError(f"{name}: no connection to {host_of(url)} ({type(error).__name__}).") from error
    except requests.RequestException as error:
        raise DownloadError(f"{name}: {url} cannot be downloaded ({type(error).__name__}).") from error


def _check_status(response: Response, name: str, url: str) -> None:
    """Raise DownloadError where the server refuses, and TemporaryError where it may not the next time."""
    status, server = response.status_code, host_of(response.url)
    if status in (200, 206, 416):
        return
    if status in BUSY:
        seconds = response.headers.get("Retry-After", "")
        after = min(float(seconds), 60.0) if seconds.isdigit() else 0.0
        raise TemporaryError(f"{name}: {server} is busy (HTTP {status}).", after)
    if status in (401, 403):
        raise DownloadError(f"{name}: {server} refuses access (HTTP {status}).")
    raise DownloadError(f"{name}: {server} does not have it at {url} (HTTP {status}).")


class _Appender:
    """Writes what another thread receives, until the `with` block ends: from then on the file is left alone."""

    def __init__(self, part: Path, reporter: ProgressReporter) -> None:
        self._part, self._reporter = part, reporter
        self._lock, self._ended = Lock(), False

    def __enter__(self) -> _Appender:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._ended = True

    def append(self, response: Response, name: str) -> None:
        """Write the body of a response to the end of the file. Raises TemporaryError where the connection is lost."""
        import requests

        try:
            with response:
                for chunk in response.iter_content(CHUNK):
                    if not self._write(chunk):
                        return
        except requests.RequestException as error:
            raise TemporaryError(f"{name}: the connection was lost ({type(error).__name__}).") from error

    def _write(self, chunk: bytes) -> bool:
        # Opened for each chunk: an open file could not be removed on Windows after an interrupt. Not buffered: what
        # came before the disk was full is kept.
        with self._lock:
            if self._ended:
                return False
            with self._part.open("ab", buffering=0) as file:
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) :]
            self._reporter.done += len(chunk)
            return True


def _validator(response: Response) -> str | None:
    """What names this very version of the file: a strong ETag, else the date."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _notes(part: Path) -> Path:
    return part.with_name(part.name + ".json")
