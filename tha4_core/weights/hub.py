"""Files of a hub repository, by `huggingface_hub` itself: its endpoint, tokens, cache, resume, Xet and offline switch.

An interrupt ends the wait at once, and the client's thread at its next report of progress. Versions that take no
progress class (0.x and the first of 1.x) report whole files only, and their thread ends when the file is whole.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import DownloadError
from .folders import sha256_of
from .progress import BUSY, Progress, TemporaryError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

T = TypeVar("T")


@dataclass(frozen=True)
class Repository:
    """A model repository of a hub, as owner/name, at a branch, tag or commit.

    `within` is the name of the folder to look in, where a repository holds several teachers. `endpoint` None:
    HF_ENDPOINT or the public hub; `token` None: the one of `hf auth login`.
    """

    repo_id: str
    revision: str = "main"
    within: str = ""
    endpoint: str | None = None
    token: str | None = None

    @property
    def label(self) -> str:
        """What is noted beside the files that came from here."""
        return "/".join(filter(None, ("hub:", self.repo_id, self.within))) + f"@{self.revision}"


def list_repository(repository: Repository, progress: Progress) -> tuple[str, dict[PurePosixPath, RepoSibling]]:
    """The commit that a revision stands for, and the files at it. Raises DownloadError."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=repository.endpoint, token=repository.token)
    repo_id, revision, timeout = repository.repo_id, repository.revision, progress.retry.timeout

    def ask() -> ModelInfo:
        return api.model_info(repo_id, revision=revision, files_metadata=True, timeout=timeout)

    info = _ask(ask, repository, repo_id, progress)
    return info.sha or revision, {PurePosixPath(file.rfilename): file for file in info.siblings or []}


def download_file(repository: Repository, commit: str, file: RepoSibling, folder: Path, progress: Progress) -> Path:
    """Download one file to `folder`/NAME and check its sha256; a file that lies there and is right is taken.

    `folder` is for downloads alone: the hub's client keeps its own notes in it. Raises DownloadError.
    """
    from huggingface_hub import hf_hub_download

    name, before = f"{repository.repo_id}/{file.rfilename}", progress.done
    options: dict[str, Any] = {
        "revision": commit,
        "endpoint": repository.endpoint,
        "token": repository.token,
        "library_name": "tha4",
        "local_dir": folder,
        "etag_timeout": progress.retry.timeout,
    }
    if "tqdm_class" in inspect.signature(hf_hub_download).parameters:
        options["tqdm_class"] = _progress_class(progress)

    def fetch(force: bool = False) -> Path:
        path = Path(hf_hub_download(repository.repo_id, file.rfilename, force_download=force, **options))
        if file.lfs and sha256_of(path) != file.lfs.sha256:
            path.unlink()
            raise _WrongContentError(
                f"{name}: its sha256 is not {file.lfs.sha256}, which the hub gives; it was damaged on the way. "
                "It was deleted; try again."
            )
        return path

    try:
        path = _ask(fetch, repository, name, progress)
    except _WrongContentError:  # what an earlier download left there may be damaged
        progress.done = before
        path = _ask(partial(fetch, force=True), repository, name, progress)
    progress.done = before + (file.size or 0)
    progress.report()
    return path


class _WrongContentError(DownloadError):
    """A file that is not what the hub lists."""


class _CancelledError(Exception):
    """Ends a download whose result nobody waits for."""


def _progress_class(progress: Progress) -> type:
    """A progress bar for the hub's client that shows nothing: it counts, and ends a download that is interrupted."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, by its documentation

    before = progress.done

    class ProgressBar(tqdm):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            if progress.interrupted:
                raise _CancelledError
            self.n += n or 0
            progress.done = before + int(self.n)

        def update_transfer(self, n: float) -> None:
            """Bytes on the line, which Xet's client tells apart from those of the file."""

        def set_transfer_postfix_str(self, text: str, refresh: bool = True) -> None:
            """The rate on the line, as text."""

    return ProgressBar


def _ask(work: Callable[[], T], repository: Repository, name: str, progress: Progress) -> T:
    """The result of a call of the hub's client, which is tried again where that may help; errors as ours."""
    from huggingface_hub import errors

    # RuntimeError is Xet's. The client has changed its HTTP library twice; the bases of its own error are that
    # library's, whichever it is.
    hub_errors: tuple[type[Exception], ...] = (
        OSError,
        RuntimeError,
        errors.HFValidationError,
        *errors.HfHubHTTPError.__bases__,
    )

    def translated() -> T:
        try:
            return work()
        except hub_errors as error:
            raise _translated(error, repository, name) from error

    return progress.with_retries(lambda: progress.wait_for(translated))


def _translated(error: Exception, repository: Repository, name: str) -> Exception:
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return _translated(error.__cause__, repository, name)
    refusals = {
        errors.HFValidationError: f"{repository.repo_id!r} is no repository of the hub; write it as owner/name.",
        errors.GatedRepoError: f"{name}: accept its terms on the hub and log in (hf auth login), then try again.",
        errors.RepositoryNotFoundError: f"{name}: the hub has no such repository, or it is private and you are not "
        "logged in.",
        errors.RevisionNotFoundError: f"{name}: it has no branch, tag or commit {repository.revision!r}.",
        errors.OfflineModeIsEnabled: f"{name}: HF_HUB_OFFLINE is set, so nothing can be downloaded from the hub.",
    }
    for kind, message in refusals.items():
        if isinstance(error, kind):
            return DownloadError(message)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return DownloadError(f"{name}: the hub refuses access (HTTP {status}). Log in (hf auth login).")
    if status == 416 or "Consistency check failed" in str(error):
        return _WrongContentError(f"{name}: the hub sends another number of bytes than it lists.")
    if status is not None and status not in BUSY:
        return DownloadError(f"{name}: the hub does not have it (HTTP {status}).")
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
        return error  # the disk's, not the hub's
    reason = f"HTTP {status}" if status else type(error).__name__
    return TemporaryError(f"{name}: the hub does not answer, or the connection was lost ({reason}).")
