"""The one place that opens a ZIP archive.

THA4's author publishes the weights as a ZIP and nothing else, so the standard library's reader is needed here. Only
members that a caller names are taken out, one by one, to a path that the caller chooses: no name in the archive ever
becomes a path.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ..errors import WeightsError
from .transfer import Meter


def list_members(archive: Path) -> dict[PurePosixPath, int]:
    """The files in an archive and their sizes unpacked (bytes).

    Raises WeightsError where the file is no whole ZIP, or where a member's name points outside the archive.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {PurePosixPath(info.filename): info.file_size for info in opened.infolist() if not info.is_dir()}
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(f"{_title(archive)}: not a whole ZIP archive ({error}){_web_page(archive)}.") from error
    for member in members:
        if member.is_absolute() or ".." in member.parts or "\\" in str(member) or ":" in str(member):
            raise WeightsError(f"{_title(archive)}: refused, because it holds a file that points outside it: {member}.")
    return members


def extract_member(archive: Path, member: PurePosixPath, out: Path, meter: Meter) -> None:
    """Unpack one file of an archive to the path `out`. Raises WeightsError where its checksum is wrong."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(str(member)) as source, out.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
                meter.done += len(block)
                meter.tick()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{member.name} in {_title(archive)}: cannot be unpacked ({error}).") from error


def _title(archive: Path) -> str:
    return archive.name.removesuffix(".part")


def _web_page(archive: Path) -> str:
    with archive.open("rb") as file:
        return "; the server sent a web page instead" if file.read(1) == b"<" else ""
