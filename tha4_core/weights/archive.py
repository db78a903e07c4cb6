"""The ZIP that THA4's author publishes: one file from one address, and the networks in it.

`requests` is needed here alone; files on the hub come by the hub's own client.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from ..errors import DownloadError, WeightsError
from .progress import BUSY, Progress, TemporaryError, check_room
from .publications import Publication
from .state_dict import check_is_no_placeholder, name_in_errors
from .teacher_files import match_files, what_is_missing

if TYPE_CHECKING:
    from requests import Response

_CHUNK = 32 * 1024  # bytes; of a chunk that is cut in the middle nothing is kept
_MOST_TIMES = 4  # weights can hardly be compressed; a file of more than so many times its size in the ZIP is a bomb


@dataclass(frozen=True)
class Archive:
    """A ZIP at an address."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The name of the file."""
        return PurePosixPath(urlsplit(self.url).path).name

    @property
    def server(self) -> str:
        """The server's name in the address."""
        return urlsplit(self.url).netloc

    def download(self, publication: Publication, folder: Path, progress: Progress) -> Iterator[tuple[str, Path, str]]:
        """Download it into `folder`, then unpack each network's file: the network, the file, and its name in errors.

        A part of the archive that lies in `folder` is continued, and a whole one is taken. One unpacked file at a time
        is on the disk, and no name in the archive becomes a path. Raises DownloadError, and WeightsError where the
        archive is not whole or lacks a network.
        """
        whole, part = folder / self.name, folder / f"{self.name}.part"
        if not whole.exists():
            progress.start(f"Downloading {self.name} from {self.server} ({publication.licence})")
            progress.with_retries(lambda: _download_rest(self, part, progress))
            part.rename(whole)
        members = _members(self, whole)
        found = match_files(members, publication.networks)
        if not found:
            raise WeightsError(f"{self.name}: it has no {what_is_missing(members, publication.networks)}.")
        for network, member in found.items():
            name, unpacked = f"{member.name} in {self.name}", folder / f"unpacked{member.suffix}"
            progress.start(f"Unpacking {member.name}", members[member].file_size)
            try:
                _extract(whole, members[member], unpacked, name, progress)
                yield network, unpacked, name
            finally:
                unpacked.unlink(missing_ok=True)


def _download_rest(archive: Archive, part: Path, progress: Progress) -> None:
    """Download what the file `part` lacks. It survives interrupts, lost connections and a full disk.

    A file that has changed meanwhile is found out when the ZIP is read, by its checksums.
    """
    import requests

    had = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={had}-"} if had else {})}
    try:
        response = progress.wait_for(
            lambda: requests.get(archive.url, headers=headers, stream=True, timeout=progress.timeout)
        )
        if response.status_code in (200, 416):  # it sends all of it, or has no such part: the file has changed
            had = 0
            part.unlink(missing_ok=True)
        _check_status(response, archive)
        length = response.headers.get("Content-Length", "")
        total = had + int(length) if length.isdigit() else None
        # The archive, all files converted, and one of them unpacked.
        check_room(part.parent, 3 * (total or 0) - had)
        progress.start(progress.text, total, had)
        with part.open("ab") as file:  # closed after an interrupt, so that the thread can write no more
            progress.wait_for(lambda: _receive(response, file, progress))
    except requests.RequestException as error:
        reason = f"no connection to {archive.server}, or it was lost ({type(error).__name__})"
        raise TemporaryError(f"{archive.name}: {reason}.") from error
    if total is not None and progress.done != total:
        raise TemporaryError(f"{archive.name}: the connection ended after {progress.done} of {total} bytes.")


def _receive(response: Response, file: BinaryIO, progress: Progress) -> None:
    for chunk in response.iter_content(_CHUNK):
        file.write(chunk)
        progress.done += len(chunk)


def _check_status(response: Response, archive: Archive) -> None:
    """Raise DownloadError where the server refuses, and TemporaryError where it may not the next time."""
    status = response.status_code
    if status in (200, 206):
        return
    if status in BUSY or status == 416:
        raise TemporaryError(f"{archive.name}: {archive.server} is busy (HTTP {status}).")
    refusal = "refuses access" if status in (401, 403) else f"does not have it at {archive.url}"
    raise DownloadError(f"{archive.name}: {archive.server} {refusal} (HTTP {status}).")


def _members(archive: Archive, path: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    with name_in_errors(path, archive.name):
        check_is_no_placeholder(path)
    try:
        with zipfile.ZipFile(path) as opened:
            return {PurePosixPath(info.filename): info for info in opened.infolist() if not info.is_dir()}
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(f"{archive.name}: not a whole ZIP archive ({error}).") from error


def _extract(path: Path, info: zipfile.ZipInfo, out: Path, name: str, progress: Progress) -> None:
    if info.file_size > _MOST_TIMES * info.compress_size:
        raise WeightsError(f"{name}: unpacked it would be {info.file_size} bytes, from {info.compress_size}.")
    try:
        with zipfile.ZipFile(path) as opened, opened.open(info) as source, out.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
                progress.done += len(block)
                progress.poll()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{name}: cannot be unpacked ({error}).") from error
