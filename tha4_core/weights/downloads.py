"""Downloading weights: a teacher from the hub or from its author's archive, and single files from the hub.

Each function waits for the lock of its target folder, so that a file is downloaded once however many ask for it; leaves
the target as it was unless everything came whole; and keeps what came whole for the next try.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..atomic_write import replace
from ..errors import DownloadError, WeightsError
from . import archive as archives
from . import hub
from .archive import Archive
from .folders import check_room, is_reserved_on_windows, locked, read_json, sha256_of, size_of, write_json
from .hub import Repository
from .progress import DEFAULT_RETRY, Progress, ProgressCallback, RetrySettings, no_progress
from .publications import THA4_TEACHER, Publication
from .teacher_files import (
    MANIFEST,
    SUFFIXES,
    Archives,
    Files,
    Shapes,
    float32_size,
    install,
    installed_files,
    match_files,
    read_archives,
    read_named,
)

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

logger = logging.getLogger(__name__)
DOWNLOADS = ".downloads"


def download_teacher(
    folder: Path,
    shapes: Shapes,
    publication: Publication = THA4_TEACHER,
    sources: Sequence[Repository | Archive] = (),
    *,
    progress: ProgressCallback = no_progress,
    retry: RetrySettings = DEFAULT_RETRY,
) -> Files:
    """A publication's five files, checked and converted, in its own folder in `folder` (such as models/tha4/teacher).

    They come from the first of `sources` that gives all five; none given: from wherever they are published. In a
    repository they may lie anywhere. Files that came from one of the sources before are taken without asking anybody.
    `shapes`: network name -> key -> shape. `progress` may raise to interrupt. Raises DownloadError or WeightsError,
    which says what went wrong with each source.
    """
    target = publication.folder_in(folder)
    sources = sources or _published(publication)
    reports = Progress(progress, "Waiting for another download to end", retry)
    download = _TeacherDownload(target, shapes, publication, reports)
    failures: list[DownloadError | WeightsError] = []
    with _advice_on_errors(target, publication.by_hand(target)), locked(target, reports.advance):
        if files := installed_files(target, publication.networks, {source.label for source in sources}):
            return files
        for source in sources:
            try:
                return download.run(source)
            except (DownloadError, WeightsError) as error:
                logger.warning("%s: not from %s. %s", publication.title, source.label, error)
                failures.append(error)
        raise failures[0] if len(failures) == 1 else DownloadError(" ".join(dict.fromkeys(map(str, failures))))


def download_hub_file(
    repository: Repository,
    filename: str,
    folder: Path,
    *,
    progress: ProgressCallback = no_progress,
    retry: RetrySettings = DEFAULT_RETRY,
) -> Path:
    """One file of a hub repository (a student, a character) as `folder`/OWNER--NAME/FILENAME.

    A whole file that came from this revision before, or was put there by hand, is taken without asking the hub. Raises
    DownloadError, and WeightsError for weights that cannot be read; the file that was there before then stays.
    """
    repo_id, revision = repository.repo_id, repository.revision
    for name in (repo_id, filename):
        if not _is_safe(name):
            raise DownloadError(f"{name!r}: refused as the name of a file; write a plain path such as folder/name.png.")
    reserved = next((part for part in filename.split("/") if is_reserved_on_windows(part)), None)
    if reserved is not None:
        raise DownloadError(
            f"{filename!r}: refused as the name of a file, because Windows can have none that is named {reserved!r}. "
            "Rename it in the repository, or take another file."
        )
    target = folder / repo_id.replace("/", "--")
    path = target / filename
    address = f"{repository.endpoint or 'https://huggingface.co'}/{repo_id}/blob/{revision}/{filename}"
    reports = Progress(progress, f"Waiting for another download of {filename} to end", retry)
    with (
        _advice_on_errors(target, f"By hand: download {address} and put it at {path}."),
        locked(target, reports.advance),
    ):
        if _is_good(path, revision):
            return path
        reports.start(f"Asking the hub for {filename} of {repo_id}")
        commit, listing = hub.list_repository(repository, reports)
        file = listing.get(PurePosixPath(filename))
        if file is None:
            raise DownloadError(f"{repo_id}: it has no file {filename} at {revision!r}.")
        reports.start(f"Downloading {filename} of {repo_id}", file.size)
        check_room(target, file.size or 0)
        downloaded = hub.download_file(repository, commit, file, target / DOWNLOADS, reports)
        if path.suffix.lower() in SUFFIXES:
            try:
                read_named(downloaded, f"{repo_id}/{filename}")
            except WeightsError:
                downloaded.unlink()
                raise
        record = {"revision": revision, "commit": commit, "sha256": sha256_of(downloaded, reports.advance)}
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(downloaded, path)
        write_json(_record(path), record)
        shutil.rmtree(target / DOWNLOADS, ignore_errors=True)
        return path


def _is_safe(name: str) -> bool:
    """Whether a relative path from a workflow or a repository leads nowhere else."""
    plain = not set(name) & set('\\:*?"<>|') and all(ord(letter) >= 32 for letter in name)
    return plain and all(part and part[0] != "." for part in name.split("/"))


def _published(publication: Publication) -> Sequence[Repository | Archive]:
    if not publication.repositories:
        return [Archive(publication.link)]
    return [Repository(repo_id, within=publication.variant) for repo_id in publication.repositories]


@dataclass(frozen=True)
class _TeacherDownload:
    """A teacher's way from a source into the locked folder `target`."""

    target: Path
    shapes: Shapes
    publication: Publication
    progress: Progress

    def run(self, source: Repository | Archive) -> Files:
        """The files from one source, installed. Raises DownloadError and WeightsError."""
        (self.target / DOWNLOADS).mkdir(exist_ok=True)
        files = self._from_archive(source) if isinstance(source, Archive) else self._from_hub(source)
        shutil.rmtree(self.target / DOWNLOADS, ignore_errors=True)
        return files

    def _from_hub(self, repository: Repository) -> Files:
        repo_id, progress = repository.repo_id, self.progress
        progress.start(f"Asking the hub for {repo_id}")
        commit, listing = hub.list_repository(repository, progress)
        chosen = _choose(listing, self.publication, repository)
        folder = self.target / DOWNLOADS / repo_id.replace("/", "--")
        self._announce(repo_id, "the hub", sum(file.size or 0 for file in chosen.values()))
        missing = sum(max((file.size or 0) - size_of(folder / file.rfilename), 0) for file in chosen.values())
        check_room(self.target, missing + float32_size(self.shapes.values()))
        files = []
        for network, file in chosen.items():
            path = hub.download_file(repository, commit, file, folder, progress)
            files.append((network, path, f"{repo_id}/{file.rfilename}"))
        return self._install(files, repository)

    def _from_archive(self, archive: Archive) -> Files:
        part = self.target / DOWNLOADS / f"{archive.name}.part"
        self._announce(archive.name, archive.server)
        # All the converted files, and the largest of them once more, unpacked.
        sizes = [float32_size([network]) for network in self.shapes.values()]
        archives.download(archive, part, self.progress, sum(sizes) + max(sizes))
        sha256 = self._check_archive(archive, part)
        try:
            files = archives.unpack(archive, part, self.shapes, self.progress)
            return self._install(files, archive, {archive.url: {"sha256": sha256}})
        except WeightsError:
            # It came whole and is wrong: download it anew. After an interrupt or a full disk it is worth keeping.
            archives.discard(part)
            raise

    def _check_archive(self, archive: Archive, part: Path) -> str:
        """The archive's sha256. Raises DownloadError where it is another archive."""
        self.progress.start(f"Checking {archive.name}")
        sha256 = sha256_of(part, self.progress.advance)
        first = read_archives(self.target).get(archive.url, {}).get("sha256")
        if sha256 != (archive.sha256 or first or sha256):
            archives.discard(part)
            right = f"{archive.sha256}, which was given" if archive.sha256 else f"{first}, which the first download had"
            raise DownloadError(
                f"{archive.name}: its sha256 is {sha256} instead of {right}; it was damaged on the way or has changed "
                f"where it is published. It was deleted; try again, or delete {self.target / MANIFEST} to accept "
                "another one."
            )
        return sha256

    def _install(
        self,
        files: Iterable[tuple[str, Path, str]],
        source: Repository | Archive,
        facts: Archives | None = None,
    ) -> Files:
        metadata = {**self.publication.metadata(), "source": source.label}
        return install(self.target, files, self.shapes, source.label, self.progress, metadata, facts)

    def _announce(self, name: str, server: str, total: int | None = None) -> None:
        logger.info("Downloading %s from %s. Licence: %s.", name, server, self.publication.licence)
        self.progress.start(f"Downloading {name} from {server} ({self.publication.licence})", total)


def _choose(
    listing: Mapping[PurePosixPath, RepoSibling], publication: Publication, repository: Repository
) -> dict[str, RepoSibling]:
    within = repository.within
    paths = [path for path, file in listing.items() if _is_safe(file.rfilename)]
    found = match_files(paths, publication.networks, within)
    if not found:
        names = {
            path.stem for path in paths if path.suffix.lower() in SUFFIXES and (not within or within in path.parts[:-1])
        }
        missing = [name for name in publication.networks if name not in names]
        problem = f"it has no {', '.join(missing)}" if missing else "it has several files of the same name"
        problem += f" in a folder {within}" if within else ""
        raise DownloadError(f"{repository.repo_id}: not a {publication.title}: {problem} (.safetensors or .pt).")
    return {network: listing[path] for network, path in found.items()}


def _is_good(path: Path, revision: str) -> bool:
    """Whether a file is what was downloaded at a revision, or was put there by hand."""
    record = read_json(_record(path))
    if not path.is_file() or not record:
        return path.is_file()
    return revision in (record.get("revision"), record.get("commit")) and sha256_of(path) == record.get("sha256")


def _record(path: Path) -> Path:
    return path.with_name(f".{path.name}.json")


@contextmanager
def _advice_on_errors(folder: Path, advice: str) -> Iterator[None]:
    """Add to errors that nothing was replaced, and how to get the files by hand."""
    try:
        yield
    except (DownloadError, WeightsError) as error:
        kind = DownloadError if isinstance(error, DownloadError) else WeightsError
        raise kind(f"{error} What was in {folder} is as it was. {advice}") from error
