"""Downloading weights: a teacher from the hub or from its author's archive, and single files from the hub.

Each function waits for the lock of its target folder, so that a file is downloaded once however many ask for it; leaves
the target as it was unless everything came whole; and goes on from where it was interrupted.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DownloadError, WeightsError
from . import http_download, hub
from .archive import extract_member, list_members
from .folders import check_room, locked, read_json, sha256_of, size_of, staging, write_json
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
                files = _download(source, target, shapes, publication, reporter, retry)
            except (DownloadError, WeightsError) as error:
                logger.warning("%s: not from %s. %s", publication.title, source.label, error)
                failures.append(error)
            else:
                shutil.rmtree(target / DOWNLOADS, ignore_errors=True)
                return files
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
    safe_path(repo_id)
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
        os.replace(downloaded, path)
        write_json(_record(path), record)
        shutil.rmtree(target / DOWNLOADS, ignore_errors=True)
        return path


def safe_path(name: str) -> PurePosixPath:
    """A relative path from a workflow or a repository. Raises DownloadError where it could lead elsewhere."""
    if not _is_safe(name):
        raise DownloadError(
            f"{name!r}: refused as the name of a file; it must be a plain path such as folder/name.png."
        )
    return PurePosixPath(name)


def _is_safe(name: str) -> bool:
    plain = not set(name) & set('\\:*?"<>|') and all(ord(letter) >= 32 for letter in name)
    return plain and all(part and part[0] != "." for part in name.split("/"))


def _published(publication: Publication) -> Sequence[Repository | Archive]:
    if not publication.repositories:
        return [Archive(publication.link)]
    return [Repository(repo_id, within=publication.variant) for repo_id in publication.repositories]


def _download(
    source: Repository | Archive,
    target: Path,
    shapes: Shapes,
    publication: Publication,
    reporter: ProgressReporter,
    retry: RetrySettings,
) -> Files:
    from_source = _from_archive if isinstance(source, Archive) else _from_hub
    (target / DOWNLOADS).mkdir(exist_ok=True)
    return from_source(source, target, shapes, publication, reporter, retry)  # type: ignore[arg-type]


def _from_hub(
    repository: Repository,
    target: Path,
    shapes: Shapes,
    publication: Publication,
    reporter: ProgressReporter,
    retry: RetrySettings,
) -> Files:
    reporter.start(f"Asking the hub for {repository.repo_id}")
    commit, listing = hub.list_repository(repository, reporter, retry)
    chosen = _choose(listing, publication, repository)
    folder = target / DOWNLOADS / repository.repo_id.replace("/", "--")
    total = sum(file.size for file in chosen.values())
    _announce(reporter, publication, repository.repo_id, "the hub", total)
    there = sum(size_of(folder / file.name) for file in chosen.values())
    check_room(target, max(total - there, 0) + converted_size(shapes))
    paths = {
        network: hub.download_file(repository, commit, file, folder, reporter, retry)
        for network, file in chosen.items()
    }
    with staging(target) as stage:
        for network, path in paths.items():
            name = f"{repository.repo_id}/{chosen[network].name}"
            reporter.start(f"Checking and converting {name}")
            with _deleted_if_wrong(path):
                out = stage / f"{network}.safetensors"
                convert_file(path, out, shapes[network], name, _metadata(publication, repository.label))
        return install(target, stage, repository.label)


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


def _from_archive(
    archive: Archive,
    target: Path,
    shapes: Shapes,
    publication: Publication,
    reporter: ProgressReporter,
    retry: RetrySettings,
) -> Files:
    name = PurePosixPath(archive.url.split("?")[0]).name
    part = target / DOWNLOADS / f"{name}.part"
    _announce(reporter, publication, name, http_download.host_of(archive.url))
    # All the converted files, and the largest of them once more, unpacked.
    spare = converted_size(shapes) + max(network_size(network) for network in shapes.values())
    http_download.download(archive.url, part, reporter, retry, spare)
    reporter.start(f"Checking {name}")
    sha256 = sha256_of(part, reporter.advance)
    first = read_archives(target).get(archive.url, {}).get("sha256")
    if sha256 != (archive.sha256 or first or sha256):
        http_download.discard(part)
        wanted = f"{archive.sha256}, which was given" if archive.sha256 else f"{first}, which the first download had"
        raise DownloadError(
            f"{name}: its sha256 is {sha256} instead of {wanted}; it was damaged on the way or has changed where it is "
            f"published. It was deleted; try again, or delete {target / MANIFEST} to accept another archive."
        )
    facts = {archive.url: {"size": size_of(part), "sha256": sha256}}
    with _deleted_if_wrong(part):
        members = list_members(part)
        found = match_files(members, publication.networks)
        if not found:
            raise WeightsError(f"{name}: it does not hold each of {', '.join(publication.networks)} once.")
        for network, member in found.items():
            _check_unpacked_size(member, members[member], shapes[network])
        with staging(target) as stage:
            for network, member in found.items():
                reporter.start(f"Unpacking, checking and converting {member.name}", members[member])
                unpacked = stage / f"unpacked{member.suffix}"
                extract_member(part, member, unpacked, reporter)
                out, metadata = stage / f"{network}.safetensors", _metadata(publication, archive.url)
                convert_file(unpacked, out, shapes[network], f"{member.name} in {name}", metadata)
                unpacked.unlink()
            return install(target, stage, archive.url, facts)


def _check_unpacked_size(member: PurePosixPath, size: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
    expected = network_size(shapes)
    if size > 2 * expected + (1 << 20):  # float64 at the most: else it fills the disk before its keys are looked at
        raise WeightsError(f"{member.name}: unpacked it would be {size} bytes, which is too much for {expected}.")


def _announce(
    reporter: ProgressReporter, publication: Publication, name: str, server: str, total: int | None = None
) -> None:
    logger.info("Downloading %s from %s. Licence: %s.", name, server, publication.licence)
    reporter.start(f"Downloading {name} from {server} ({publication.licence})", total)


def _metadata(publication: Publication, source: str) -> dict[str, str]:
    """What is written into every file of a teacher."""
    return {
        "title": publication.title,
        "author": publication.author,
        "licence": publication.licence,
        "source": source,
        "paper": publication.paper,
    }


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
