"""Downloading weights: a teacher from the hub or from its author's archive, and single files from the hub.

Each function waits for the lock of its target folder, so that a file is downloaded once however many ask for it; leaves
the target as it was unless everything came whole; and keeps what came whole for the next try.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..atomic_write import is_reserved_on_windows, remedy, replace
from ..errors import DownloadError, WeightsError
from ..file_lock import wait_for_lock
from .archive import Archive
from .hub import Repository, is_safe
from .progress import Progress, ProgressCallback, no_progress
from .publications import THA4_TEACHER, Publication
from .state_dict import check_state_dict, name_in_errors, read_state_dict, write_safetensors
from .teacher_files import SUFFIXES, Files, Shapes, files_in

logger = logging.getLogger(__name__)
DOWNLOADS = ".downloads"


def download_teacher(
    folder: Path,
    shapes: Shapes,
    publication: Publication = THA4_TEACHER,
    sources: Sequence[Repository | Archive] = (),
    *,
    progress: ProgressCallback = no_progress,
) -> Files:
    """A publication's five files, checked and converted, in its own folder in `folder` (such as models/tha4/teacher).

    They come from the first of `sources` that gives all five; none given: from wherever they are published. In a
    repository they may lie anywhere. Files that came from one of the sources before are taken without asking anybody;
    those from others are replaced. `shapes`: network name -> key -> shape. `progress` may raise to interrupt. Raises
    DownloadError or WeightsError, which says what went wrong with each source.
    """
    target = publication.folder_in(folder)
    published = [Repository(repo_id, within=publication.variant) for repo_id in publication.repositories]
    sources = sources or published or [Archive(publication.link)]
    reports = Progress(progress, "Waiting for another download to end")
    failures: list[DownloadError | WeightsError] = []
    with _advice_on_errors(target, publication.by_hand(target)), _locked(target, reports.poll):
        for source in sources:
            if files := files_in(target / _set_name(source), publication.networks):
                return files
        for source in sources:
            try:
                return _download_set(target, source, shapes, publication, reports)
            except (DownloadError, WeightsError) as error:
                logger.warning("%s: not from %s. %s", publication.title, source, error)
                failures.append(error)
        raise failures[0] if len(failures) == 1 else DownloadError(" ".join(dict.fromkeys(map(str, failures))))


def download_hub_file(
    repository: Repository, filename: str, folder: Path, *, progress: ProgressCallback = no_progress
) -> Path:
    """One file of a hub repository (a student, a character) as `folder`/OWNER--NAME/FILENAME.

    Where the revision is not main it is part of the name: OWNER--NAME@REVISION. A file that is there is taken without
    asking the hub. Raises DownloadError, and WeightsError for weights that cannot be read; nothing is kept then.
    """
    repo_id, revision = repository.repo_id, repository.revision
    _check_names(repository, filename)
    target = folder / (repo_id if revision == "main" else f"{repo_id}@{revision}").replace("/", "--")
    path = target / filename
    address = f"{repository.endpoint or 'https://huggingface.co'}/{repo_id}/blob/{revision}/{filename}"
    by_hand = f"By hand: download {address} and put it at {path}."
    reports = Progress(progress, f"Waiting for another download of {filename} to end")
    with _advice_on_errors(target, by_hand), _locked(target, reports.poll):
        if path.is_file():
            return path
        commit, listing = repository.list_files(reports)
        file = listing.get(PurePosixPath(filename))
        if file is None:
            raise DownloadError(f"{repo_id}: it has no file {filename} at {revision!r}.")
        text = f"Downloading {filename} of {repo_id}"
        try:
            (downloaded,) = repository.download_files(commit, [file], target / DOWNLOADS, reports, text)
            if path.suffix.lower() in SUFFIXES:
                with name_in_errors(downloaded, f"{repo_id}/{filename}"):
                    read_state_dict(downloaded)
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(downloaded, path)
        finally:
            shutil.rmtree(target / DOWNLOADS, ignore_errors=True)
        return path


def _check_names(repository: Repository, filename: str) -> None:
    """Raise DownloadError for names from a workflow that lead elsewhere, or that some system cannot have."""
    for name in (repository.repo_id, repository.revision, filename):
        if not is_safe(name):
            raise DownloadError(f"{name!r}: refused as the name of a file; write a plain path such as folder/name.png.")
    if reserved := next(filter(is_reserved_on_windows, filename.split("/")), ""):
        raise DownloadError(
            f"{filename!r}: refused as the name of a file, because Windows can have none that is named {reserved!r}. "
            "Rename it in the repository, or take another file."
        )


def _download_set(
    target: Path, source: Repository | Archive, shapes: Shapes, publication: Publication, progress: Progress
) -> Files:
    """The five files from a source, in the locked folder `target`, in place of those that were there.

    They get their folder in one step. So a reader finds the old five or the new five and never some of each, wherever
    a writer stopped. Raises DownloadError and WeightsError.
    """
    new, downloads = target / _set_name(source), target / DOWNLOADS / _set_name(source)
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=target / DOWNLOADS, ignore_cleanup_errors=True) as temporary:
            converted = Path(temporary) / new.name
            for network, path, name in source.download(publication, downloads, progress):
                progress.start(f"Checking and converting {name}")
                out, metadata = converted / f"{network}.safetensors", publication.metadata(str(source))
                _convert(path, out, shapes[network], name, metadata)
            shutil.rmtree(new, ignore_errors=True)  # not all five were there
            os.rename(converted, new)
    except WeightsError:
        # It came whole and is wrong: download it anew. After an interrupt or a full disk it is worth keeping.
        shutil.rmtree(downloads, ignore_errors=True)
        raise
    for old in set(target.glob("set-" + 8 * "[0-9a-f]")) - {new}:
        shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(target / DOWNLOADS, ignore_errors=True)
    logger.info("%s: the weights are in place (from %s).", new, source)
    return files_in(new, publication.networks)


def _set_name(source: Repository | Archive) -> str:
    """The folder of the files from a source. The name is short: Windows takes paths of 259 characters."""
    return f"set-{hashlib.sha256(str(source).encode()).hexdigest()[:8]}"


def _convert(
    path: Path, out: Path, shapes: Mapping[str, tuple[int, ...]], name: str, metadata: Mapping[str, str]
) -> None:
    """Check keys, shapes and numbers of a file, called `name` in errors, and write them as .safetensors."""
    with name_in_errors(path, name):
        state_dict = read_state_dict(path)
    check_state_dict(state_dict, shapes, name)
    own = {key: value.clone() for key, value in state_dict.items()}  # .safetensors knows no shared storages
    write_safetensors(out, own, metadata)


@contextmanager
def _locked(folder: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is missing.

    Raises DownloadError where nothing can be written, in the body too: a full disk can show itself at any step.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with wait_for_lock(folder / ".lock", while_waiting):
            yield
    except OSError as error:
        raise DownloadError(
            f"{folder}: cannot be written to ({error.strerror or error}). {remedy(error)} and try again."
        ) from error


@contextmanager
def _advice_on_errors(folder: Path, advice: str) -> Iterator[None]:
    """Add to errors that nothing was replaced, and how to get the files by hand."""
    try:
        yield
    except (DownloadError, WeightsError) as error:
        raise type(error)(f"{error} What was in {folder} is as it was. {advice}") from error
