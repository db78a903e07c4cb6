"""Downloading weights: a teacher from the hub or from its author's archive, and single files from the hub.

Each function waits for the lock of its target folder, so that a file is downloaded once however many ask for it; leaves
the target as it was unless everything came whole; and goes on from where it was interrupted.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..atomic_write import replace
from ..errors import DownloadError, WeightsError
from . import http_download, hub
from .archive import extract_member, list_members
from .folders import check_room, is_reserved_on_windows, locked, read_json, sha256_of, size_of, staging, write_json
from .http_download import DEFAULT_RETRY, RetrySettings
from .hub import HubFile, Repository
from .progress import ProgressCallback, ProgressReporter, no_progress
from .publications import THA4_TEACHER, Publication
from .teacher_files import (
    MANIFEST,
    SUFFIXES,
    Files,
    Shapes,
    convert_file,
    converted_size,
    install,
    match_files,
    network_size,
    read_archives,
    read_installed,
    read_named,
)

logger = logging.getLogger(__name__)
DOWNLOADS = ".downloads"


@dataclass(frozen=True)
class Archive:
    """A ZIP at an address. Without `sha256` it must be the one that the first download from that address had."""

    url: str
    sha256: str | None = None

    @property
    def label(self) -> str:
        """What is noted beside the files that came from here."""
        return self.url


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
    reporter = ProgressReporter(progress, "Waiting for another download to end")
    failures: list[DownloadError | WeightsError] = []
    with _advice_on_errors(target, publication.by_hand(target)), locked(target, reporter.advance):
        installed = read_installed(target, publication.networks)
        if installed and installed.source in {source.label for source in sources}:
            return installed.files
        for source in sources:
            try:
                return _TeacherDownload(target, shapes, publication, reporter, retry).run(source)
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
    target = folder / repo_id.replace("/", "--")
    path = target / safe_path(filename)
    _refuse_elsewhere(repo_id)
    address = f"{repository.endpoint or 'https://huggingface.co'}/{repo_id}/blob/{revision}/{filename}"
    reporter = ProgressReporter(progress, f"Waiting for another download of {filename} to end")
    with (
        _advice_on_errors(target, f"By hand: download {address} and put it at {path}."),
        locked(target, reporter.advance),
    ):
        if _is_good(path, revision, reporter):
            return path
        reporter.start(f"Asking the hub for {filename} of {repo_id}")
        commit, listing = hub.list_repository(repository, reporter, retry)
        file = listing.get(PurePosixPath(filename))
        if file is None:
            raise DownloadError(f"{repo_id}: it has no file {filename} at {revision!r}.")
        reporter.start(f"Downloading {filename} of {repo_id}", file.size)
        check_room(target, file.size)
        downloaded = hub.download_file(repository, commit, file, target / DOWNLOADS, reporter, retry)
        if path.suffix.lower() in SUFFIXES:
            with _deleted_if_wrong(downloaded):
                read_named(downloaded, f"{repo_id}/{filename}")
        record = {"revision": revision, "commit": commit, "size": size_of(downloaded)}
        record["sha256"] = sha256_of(downloaded, reporter.advance)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(downloaded, path)
        write_json(_record(path), record)
        shutil.rmtree(target / DOWNLOADS, ignore_errors=True)
        return path


def safe_path(name: str) -> PurePosixPath:
    """A relative path from a workflow or a repository.

    Raises DownloadError where it could lead elsewhere, or where Windows has no such file.
    """
    _refuse_elsewhere(name)
    path = PurePosixPath(name)
    reserved = next((part for part in path.parts if is_reserved_on_windows(part)), None)
    if reserved is not None:
        raise DownloadError(
            f"{name!r}: refused as the name of a file, because Windows can have none that is named {reserved!r}. "
            "Rename it in the repository, or take another file."
        )
    return path


def _refuse_elsewhere(name: str) -> None:
    if not _is_safe(name):
        raise DownloadError(
            f"{name!r}: refused as the name of a file; it must be a plain path such as folder/name.png."
        )


def _is_safe(name: str) -> bool:
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
    reporter: ProgressReporter
    retry: RetrySettings

    def run(self, source: Repository | Archive) -> Files:
        """The files from one source, installed. Raises DownloadError and WeightsError."""
        (self.target / DOWNLOADS).mkdir(exist_ok=True)
        files = self._from_archive(source) if isinstance(source, Archive) else self._from_hub(source)
        shutil.rmtree(self.target / DOWNLOADS, ignore_errors=True)
        return files

    def _from_hub(self, repository: Repository) -> Files:
        repo_id, reporter = repository.repo_id, self.reporter
        reporter.start(f"Asking the hub for {repo_id}")
        commit, listing = hub.list_repository(repository, reporter, self.retry)
        chosen = _choose(listing, self.publication, repository)
        folder = self.target / DOWNLOADS / repo_id.replace("/", "--")
        self._announce(repo_id, "the hub", sum(file.size for file in chosen.values()))
        missing = sum(max(file.size - size_of(folder / file.name), 0) for file in chosen.values())
        check_room(self.target, missing + converted_size(self.shapes))
        paths = {
            network: hub.download_file(repository, commit, file, folder, reporter, self.retry)
            for network, file in chosen.items()
        }
        with staging(self.target) as stage:
            for network, path in paths.items():
                name = f"{repo_id}/{chosen[network].name}"
                reporter.start(f"Checking and converting {name}")
                with _deleted_if_wrong(path):
                    self._convert(network, path, stage, name, repository.label)
            return install(self.target, stage, repository.label)

    def _from_archive(self, archive: Archive) -> Files:
        name, reporter = PurePosixPath(archive.url.split("?")[0]).name, self.reporter
        part = self.target / DOWNLOADS / f"{name}.part"
        self._announce(name, http_download.host_of(archive.url))
        # All the converted files, and the largest of them once more, unpacked.
        spare = converted_size(self.shapes) + max(network_size(network) for network in self.shapes.values())
        http_download.download(archive.url, part, reporter, self.retry, spare)
        facts = self._check_archive(archive, part, name)
        with _deleted_if_wrong(part), staging(self.target) as stage:
            members = list_members(part)
            found = match_files(members, self.publication.networks)
            if not found:
                raise WeightsError(f"{name}: it does not hold each of {', '.join(self.publication.networks)} once.")
            for network, member in found.items():
                _check_unpacked_size(member, members[member], self.shapes[network])
            for network, member in found.items():
                reporter.start(f"Unpacking, checking and converting {member.name}", members[member])
                unpacked = stage / f"unpacked{member.suffix}"
                extract_member(part, member, unpacked, reporter)
                self._convert(network, unpacked, stage, f"{member.name} in {name}", archive.url)
                unpacked.unlink()
            return install(self.target, stage, archive.url, facts)

    def _check_archive(self, archive: Archive, part: Path, name: str) -> dict[str, dict[str, object]]:
        """The archive's size and sha256, by its address. Raises DownloadError where it is another archive."""
        self.reporter.start(f"Checking {name}")
        sha256 = sha256_of(part, self.reporter.advance)
        first = read_archives(self.target).get(archive.url, {}).get("sha256")
        if sha256 != (archive.sha256 or first or sha256):
            http_download.discard(part)
            right = f"{archive.sha256}, which was given" if archive.sha256 else f"{first}, which the first download had"
            raise DownloadError(
                f"{name}: its sha256 is {sha256} instead of {right}; it was damaged on the way or has changed where it "
                f"is published. It was deleted; try again, or delete {self.target / MANIFEST} to accept another one."
            )
        return {archive.url: {"size": size_of(part), "sha256": sha256}}

    def _convert(self, network: str, path: Path, stage: Path, name: str, source: str) -> None:
        about = self.publication
        metadata = {"title": about.title, "author": about.author, "licence": about.licence, "paper": about.paper}
        out = stage / f"{network}.safetensors"
        convert_file(path, out, self.shapes[network], name, metadata | {"source": source})

    def _announce(self, name: str, server: str, total: int | None = None) -> None:
        logger.info("Downloading %s from %s. Licence: %s.", name, server, self.publication.licence)
        self.reporter.start(f"Downloading {name} from {server} ({self.publication.licence})", total)


def _choose(
    listing: Mapping[PurePosixPath, HubFile], publication: Publication, repository: Repository
) -> dict[str, HubFile]:
    within = repository.within
    paths = [path for path, file in listing.items() if _is_safe(file.name)]
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


def _check_unpacked_size(member: PurePosixPath, size: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
    expected = network_size(shapes)
    if size > 2 * expected + (1 << 20):  # float64 at the most: else it fills the disk before its keys are looked at
        raise WeightsError(f"{member.name}: unpacked it would be {size} bytes, which is too much for {expected}.")


def _is_good(path: Path, revision: str, reporter: ProgressReporter) -> bool:
    """Whether a file is what was downloaded at a revision, or was put there by hand."""
    if not path.is_file():
        return False
    record = read_json(_record(path))
    if not record:
        return True
    if revision not in (record.get("revision"), record.get("commit")) or size_of(path) != record.get("size"):
        return False
    return sha256_of(path, reporter.advance) == record.get("sha256")


def _record(path: Path) -> Path:
    return path.with_name(f".{path.name}.json")


@contextmanager
def _deleted_if_wrong(path: Path) -> Iterator[None]:
    """What came whole and is wrong must be downloaded anew; what an interrupt or a full disk left is worth keeping."""
    try:
        yield
    except WeightsError:
        http_download.discard(path)
        raise


@contextmanager
def _advice_on_errors(folder: Path, advice: str) -> Iterator[None]:
    """Add to errors that nothing was replaced, and how to get the files by hand."""
    try:
        yield
    except (DownloadError, WeightsError) as error:
        kind = DownloadError if isinstance(error, DownloadError) else WeightsError
        raise kind(f"{error} What was in {folder} is as it was. {advice}") from error
