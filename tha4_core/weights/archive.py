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
from .progress import ProgressReporter


def list_members(archive: Path) -> dict[PurePosixPath, int]:
    """The files in an archive and their sizes unpacked (bytes).

    Raises WeightsError where the file is no whole ZIP, or where a member's name points outside the archive.
    """
    name = archive.name.removesuffix(".part")
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {PurePosixPath(info.filename): info.file_size for info in opened.infolist() if not info.is_dir()}
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        with archive.open("rb") as file:
            page = "; the server sent a web page instead" if file.read(1) == b"<" else ""
        raise WeightsError(f"{name}: not a whole ZIP archive ({error}){page}.") from error
    for member in members:
        if member.is_absolute() or ".." in member.parts or "\\" in str(member) or ":" in str(member):
            raise WeightsError(f"{name}: refused, because it holds a file that points outside it: {member}.")
    return members


def extract_member(archive: Path, member: PurePosixPath, out: Path, reporter: ProgressReporter) -> None:
    """Unpack one file of an archive to the path `out`. Raises WeightsError where its checksum is wrong."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(str(member)) as source, out.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
                reporter.advance(len(block))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{member.name} in {archive.stem}: cannot be unpacked ({error}).") from error
