"""The ZIP that THA4's author publishes: one file from one address, with resume, and what is in it.

`requests` and the standard library's `zipfile` are needed here alone; files on the hub come by the hub's own client.
Only members that a caller names are unpacked, to a path that the caller chooses: no name in a ZIP becomes a path.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..errors import DownloadError, WeightsError
from .folders import check_room, read_json, size_of, write_json
from .progress import BUSY, Progress, TemporaryError
from .state_dict import check_is_no_placeholder
from .teacher_files import Shapes, float32_size, match_files

if TYPE_CHECKING:
    from requests import Response

CHUNK = 32 * 1024  # bytes; of a chunk that is cut in the middle nothing is kept


@dataclass(frozen=True)
class Archive:
    """A ZIP at an address. Without `sha256` it must be the one that the first download from that address had."""

    url: str
    sha256: str | None = None

    @property
    def label(self) -> str:
        """What is noted beside the files that came from here."""
        return self.url

    @property
    def name(self) -> str:
        """The name of the file."""
        return PurePosixPath(self.url.split("?")[0]).name

    @property
    def server(self) -> str:
        """The server's name in the address."""
        return self.url.split("/")[2] if self.url.count("/") >= 2 else self.url


def download(archive: Archive, part: Path, progress: Progress, spare: int) -> None:
    """Download an archive into the file `part`, going on from what is there; `spare` bytes stay free on its disk.

    A part file survives interrupts, lost connections and a full disk. Raises DownloadError.
    """
    progress.with_retries(lambda: _download_rest(archive, part, progress, spare))


def discard(part: Path) -> None:
    """Remove a part file and what is noted about it."""
    part.unlink(missing_ok=True)
    _notes(part).unlink(missing_ok=True)


def unpack(archive: Archive, part: Path, shapes: Shapes, progress: Progress) -> Iterator[tuple[str, Path, str]]:
    """The file of each network in an archive: the network's name, the unpacked file, and its name for errors.

    One file at a time is on the disk. Raises WeightsError where the archive is no whole ZIP, lacks a network, or holds
    a file that is too large or whose name points outside the archive.
    """
    members = _members(archive, part)
    found = match_files(members, list(shapes))
    if not found:
        raise WeightsError(f"{archive.name}: it does not hold each of {', '.join(shapes)} once.")
    for network, member in found.items():
        size, most = members[member], 2 * float32_size([shapes[network]]) + (1 << 20)
        if size > most:  # not even as float64: it would fill the disk before its keys are looked at
            raise WeightsError(f"{member.name}: unpacked it would be {size} bytes, more than {most}.")
        progress.start(f"Unpacking {member.name}", size)
        unpacked, name = part.with_name(f"unpacked{member.suffix}"), f"{member.name} in {archive.name}"
        try:
            _extract(part, member, unpacked, name, progress)
            yield network, unpacked, name
        finally:
            unpacked.unlink(missing_ok=True)


def _download_rest(archive: Archive, part: Path, progress: Progress, spare: int) -> None:
    import requests

    notes, had = read_json(_notes(part)), size_of(part)
    known = had > 0 and notes.get("url") == archive.url
    if known and notes.get("total") == had:
        return
    headers = {"Accept-Encoding": "identity"}
    if known and notes.get("validator"):
        headers |= {"Range": f"bytes={had}-", "If-Range": str(notes["validator"])}
    try:
        response = progress.wait_for(
            lambda: requests.get(archive.url, headers=headers, stream=True, timeout=progress.retry.timeout)
        )
        _check_status(response, archive)
        if not response.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
            discard(part)  # the server ignores ranges, or the file has changed: it sends all of it
            had = 0
            if response.status_code != 200:
                raise TemporaryError(f"{archive.name}: {archive.server} has no such part of the file.")
        length = response.headers.get("Content-Length", "")
        total = had + int(length) if length.isdigit() else None
        check_room(part.parent, spare + (total - had if total is not None else 0))
        write_json(_notes(part), {"url": archive.url, "validator": _validator(response), "total": total})
        progress.start(progress.text, total, had)
        _append(response, part, progress)
    except requests.RequestException as error:
        reason = f"no connection to {archive.server}, or it was lost ({type(error).__name__})"
        raise TemporaryError(f"{archive.name}: {reason}.") from error
    if total is not None and size_of(part) != total:
        raise TemporaryError(f"{archive.name}: the connection ended after {size_of(part)} of {total} bytes.")


def _check_status(response: Response, archive: Archive) -> None:
    """Raise DownloadError where the server refuses, and TemporaryError where it may not the next time."""
    status, name, server = response.status_code, archive.name, archive.server
    if status in BUSY:
        raise TemporaryError(f"{name}: {server} is busy (HTTP {status}).")
    if status in (401, 403):
        raise DownloadError(f"{name}: {server} refuses access (HTTP {status}).")
    if status not in (200, 206, 416):
        raise DownloadError(f"{name}: {server} does not have it at {archive.url} (HTTP {status}).")


def _append(response: Response, part: Path, progress: Progress) -> None:
    """Write the body of a response to the end of the file.

    Another thread waits for each chunk, and this one writes: after an interrupt nobody does. The response is then not
    closed, because that would wait for the other thread.
    """
    chunks = response.iter_content(CHUNK)
    with part.open("ab") as file:
        while chunk := progress.wait_for(lambda: next(chunks, b"")):
            file.write(chunk)
            progress.advance(len(chunk))


def _validator(response: Response) -> str | None:
    """What names this very version of the file: a strong ETag, else the date."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _notes(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _members(archive: Archive, part: Path) -> dict[PurePosixPath, int]:
    """The files in an archive and their sizes unpacked (bytes)."""
    try:
        check_is_no_placeholder(part)
        with zipfile.ZipFile(part) as opened:
            members = {PurePosixPath(info.filename): info.file_size for info in opened.infolist() if not info.is_dir()}
    except WeightsError as error:
        raise WeightsError(str(error).replace(str(part), archive.name)) from error
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(f"{archive.name}: not a whole ZIP archive ({error}).") from error
    for member in members:
        if member.is_absolute() or ".." in member.parts or "\\" in str(member) or ":" in str(member):
            raise WeightsError(f"{archive.name}: refused, because it holds a file that points outside it: {member}.")
    return members


def _extract(part: Path, member: PurePosixPath, out: Path, name: str, progress: Progress) -> None:
    try:
        with zipfile.ZipFile(part) as opened, opened.open(str(member)) as source, out.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
                progress.advance(len(block))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{name}: cannot be unpacked ({error}).") from error
