"""One address, one file: fetched with time-outs, retries and resume, checked, and interrupted within a second.

`requests` is the client because ComfyUI itself requires it. It blocks, so it works in a thread of its own while the
caller's thread writes, counts and reports; an interrupt leaves that thread to end by its time-out and touches no file.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import DownloadError
from .files import read_json, size_of, write_json

if TYPE_CHECKING:
    from requests import Response

T = TypeVar("T")
Progress = Callable[[int, "int | None", float, str], None]
CHUNK = 32 * 1024  # bytes; with the time-out of 30 s, a line slower than about 1 kB/s counts as dead
PULSE = 0.1  # seconds between two calls of the progress function
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


def silent(done: int, total: int | None, rate: float, text: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server.

    `timeout`: seconds of silence; `tries`: attempts in a row that bring nothing; `delay`: seconds before the second
    attempt, doubled before each one after it.
    """

    timeout: float = 30.0
    tries: int = 5
    delay: float = 1.0


USUAL = Patience()


@dataclass(frozen=True)
class Remote:
    """A file on a server: its address, its name in messages, and its size (bytes) and sha256 where known.

    `sha256_from` ends the sentence "its sha256 is X instead of Y, which …": where the right one is known from.
    """

    url: str
    name: str
    size: int | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    sha256_from: str = "the hub gives"


class TryAgainError(DownloadError):
    """A failure that may pass. `after`: the seconds that the server asks for."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class Meter:
    """Reports bytes done, bytes in all (None: unknown), bytes a second and a text to a progress function.

    The progress function is called about ten times a second, also while a server is silent; it may raise to interrupt.
    """

    def __init__(self, progress: Progress, text: str = "", total: int | None = None) -> None:
        self._progress = progress
        self.begin(text, total)

    def begin(self, text: str, total: int | None = None) -> None:
        """Start a stage of the work and say so at once."""
        self.text, self.total, self.done = text, total, 0
        self.restart_clock()

    def restart_clock(self) -> None:
        """Measure the rate from here, for what was there before was not fetched now, and report."""
        self._start, self._done_at_start = time.monotonic(), self.done
        self.report()

    def tick(self) -> None:
        """Report if it is time to."""
        if time.monotonic() - self._said >= PULSE:
            self.report()

    def report(self) -> None:
        """Report now."""
        self._said = time.monotonic()
        rate = max(self.done - self._done_at_start, 0) / max(self._said - self._start, PULSE)
        self._progress(self.done, self.total, rate, self.text)


def fetch(remote: Remote, part: Path, meter: Meter, patience: Patience, spare: int = 0) -> None:
    """Fetch a file into `part`, going on from what is there; `spare` bytes must stay free on the disk beside it.

    A part file survives interrupts, lost connections and a full disk, and goes when its bytes prove to be wrong.
    Raises DownloadError.
    """
    offset = meter.done
    persistently(
        lambda: _fetch_once(remote, part, meter, patience, spare, offset), patience, meter, lambda: size_of(part)
    )
    meter.done = offset + size_of(part)
    meter.report()
    if remote.sha256 is not None and (found := sha256_of(part, meter)) != remote.sha256:
        discard(part)
        raise DownloadError(
            f"{remote.name}: its sha256 is {found} instead of {remote.sha256}, which {remote.sha256_from}; it was "
            "damaged on the way or has changed where it is published. It was deleted; try again."
        )


def persistently(action: Callable[[], T], patience: Patience, meter: Meter, had: Callable[[], int] = lambda: 0) -> T:
    """The result of `action`, tried again with growing pauses; the count restarts when `had()` has grown."""
    failures, best = 0, had()
    while True:
        try:
            return action()
        except TryAgainError as error:
            failures = 1 if had() > best else failures + 1
            best = max(best, had())
            if failures >= patience.tries:
                raise DownloadError(f"{error} Gave up after {failures} tries.") from error
            _pause(max(patience.delay * 2 ** (failures - 1), error.after), meter)


def in_background(
    items: Generator[T, None, None], tick: Callable[[], None], timeout: float
) -> Generator[T, None, None]:
    """The items, awaited in another thread while `tick` is called here. Raises TryAgainError after `timeout` s."""
    executor = ThreadPoolExecutor(1, "tha4-download")
    end = object()
    try:
        while True:
            future = executor.submit(next, items, end)
            deadline = time.monotonic() + timeout
            while not wait([future], PULSE).done:
                tick()
                if time.monotonic() > deadline:
                    raise TryAgainError(f"The server was silent for {timeout:g} s.")
            item = future.result()
            if item is end:
                return
            yield item  # type: ignore[misc]  # all but the end are items
    finally:
        executor.submit(items.close)
        executor.shutdown(wait=False)


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


def sha256_of(path: Path, meter: Meter) -> str:
    """The sha256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            meter.tick()
    return digest.hexdigest()


def discard(part: Path) -> None:
    """Remove a part file and what is noted about it."""
    part.unlink(missing_ok=True)
    _notes(part).unlink(missing_ok=True)


def _fetch_once(remote: Remote, part: Path, meter: Meter, patience: Patience, spare: int, offset: int) -> None:
    if _is_whole(remote, part):
        return
    headers = _resume(remote, part)
    meter.done = offset + size_of(part)
    response = _open(remote, headers, meter, patience)
    had = _accept(remote, part, response, headers)
    total = _total(response, had)
    if remote.size is not None and total is not None and total != remote.size:
        discard(part)
        raise DownloadError(f"{remote.name}: the server offers {total} bytes instead of {remote.size}.")
    check_room(part.parent, spare + (total - had if total is not None else 0))
    _note(remote, part, response, total)
    meter.total, meter.done = meter.total or total, offset + had
    meter.restart_clock()
    with closing(in_background(_chunks(response, remote.name), meter.tick, patience.timeout)) as chunks:
        _append(part, had, chunks, meter)
    if total is not None and size_of(part) != total:
        raise TryAgainError(f"{remote.name}: the connection ended after {size_of(part)} of {total} bytes.")
    _note(remote, part, response, size_of(part))


def _note(remote: Remote, part: Path, response: Response, total: int | None) -> None:
    write_json(_notes(part), {"url": remote.url, "validator": _validator(response), "total": total})


def _resume(remote: Remote, part: Path) -> dict[str, str]:
    """The headers that ask for the rest of the file. A part that cannot be known to belong to the same file goes."""
    notes = read_json(_notes(part))
    had, validator = size_of(part), notes.get("validator")
    if notes.get("url") != remote.url or not had or not (validator or remote.sha256):
        discard(part)
        return {}
    return {"Range": f"bytes={had}-", **({"If-Range": str(validator)} if validator else {})}


def _is_whole(remote: Remote, part: Path) -> bool:
    notes = read_json(_notes(part))
    return part.is_file() and notes.get("url") == remote.url and notes.get("total") == size_of(part)


def _open(remote: Remote, headers: Mapping[str, str], meter: Meter, patience: Patience) -> Response:
    import requests

    def get() -> Generator[Response, None, None]:
        sent = {**remote.headers, **headers, "Accept-Encoding": "identity"}
        try:
            yield requests.get(remote.url, headers=sent, stream=True, timeout=patience.timeout)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise TryAgainError(f"{remote.name}: no connection to {host(remote.url)} ({_reason(error)}).") from error
        except requests.RequestException as error:
            raise DownloadError(f"{remote.name}: {remote.url} cannot be fetched ({_reason(error)}).") from error

    return next(in_background(get(), meter.tick, patience.timeout))


def _accept(remote: Remote, part: Path, response: Response, asked: Mapping[str, str]) -> int:
    """How many bytes of the part file stay, by what the server answered. Raises DownloadError where it refuses."""
    status, server = response.status_code, host(response.url)
    if status == 206 and asked and response.headers.get("Content-Range", "").startswith(f"bytes {size_of(part)}-"):
        return size_of(part)
    if status in (206, 416):
        discard(part)
        raise TryAgainError(f"{remote.name}: {server} has no such part of the file.")
    if status == 200:
        discard(part)  # the server ignores ranges, or the file has changed: all of it comes, from the first byte
        return 0
    if status in BUSY:
        raise TryAgainError(f"{remote.name}: {server} is busy (HTTP {status}).", _retry_after(response))
    if status in (401, 403):
        raise DownloadError(
            f"{remote.name}: {server} refuses access (HTTP {status}). If the repository is private or asks to accept "
            "its terms, accept them there and log in (hf auth login)."
        )
    raise DownloadError(f"{remote.name}: {server} does not have it at {remote.url} (HTTP {status}).")


def _chunks(response: Response, name: str) -> Generator[bytes, None, None]:
    import requests

    try:
        with response:
            yield from response.iter_content(CHUNK)
    except requests.RequestException as error:
        raise TryAgainError(f"{name}: the connection was lost ({_reason(error)}).") from error


def _append(part: Path, had: int, chunks: Iterator[bytes], meter: Meter) -> None:
    with part.open("r+b" if had else "wb", buffering=0) as file:
        file.seek(had)
        for chunk in chunks:
            _write(file, chunk)
            meter.done += len(chunk)
            meter.tick()


def _write(file: FileIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise DownloadError(
            f"{file.name}: cannot be written ({error.strerror}). Free some space, try again."
        ) from error


def _total(response: Response, had: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return had + int(length) if length.isdigit() else None


def _validator(response: Response) -> str | None:
    """What names this very version of the file: a strong ETag, else the date."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _retry_after(response: Response) -> float:
    seconds = response.headers.get("Retry-After", "")
    return min(float(seconds), 60.0) if seconds.isdigit() else 0.0


def _pause(seconds: float, meter: Meter) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        meter.tick()
        time.sleep(min(PULSE, seconds))


def host(url: str) -> str:
    """The server's name in an address."""
    return url.split("/")[2] if url.count("/") >= 2 else url


def _reason(error: Exception) -> str:
    return type(error).__name__


def _notes(part: Path) -> Path:
    return part.with_name(part.name + ".json")
