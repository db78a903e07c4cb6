"""Files of a hub repository, by `huggingface_hub` itself: its endpoint, tokens, cache, resume, Xet and offline switch.

Its functions block, so they run in a thread of their own. An interrupt ends the wait at once and that thread at its
next report of progress. In versions that take no progress class (0.x and the first of 1.x) progress is the size of
their temporary file, and the thread ends when the file is whole.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any, TypeVar

from ..errors import DownloadError
from .folders import sha256_of, size_of
from .http_download import BUSY, RetrySettings, with_retries
from .progress import ProgressReporter, TemporaryError, in_background

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


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: size in bytes, and the sha256 of those in large file storage (LFS)."""

    name: str
    size: int
    sha256: str | None


def list_repository(
    repository: Repository, reporter: ProgressReporter, retry: RetrySettings
) -> tuple[str, dict[PurePosixPath, HubFile]]:
    """The commit that a revision stands for, and the files at it. Raises DownloadError."""

    def ask() -> tuple[str, dict[PurePosixPath, HubFile]]:
        from huggingface_hub import HfApi

        api = HfApi(endpoint=repository.endpoint, token=repository.token)
        info = api.model_info(
            repository.repo_id, revision=repository.revision, files_metadata=True, timeout=retry.timeout
        )
        files = {
            PurePosixPath(file.rfilename): HubFile(file.rfilename, file.lfs.size, file.lfs.sha256)
            if file.lfs
            else HubFile(file.rfilename, file.size or 0, None)
            for file in info.siblings or []
        }
        return info.sha or repository.revision, files

    return with_retries(lambda: _call(ask, repository, repository.repo_id, reporter.advance), retry, reporter)


def download_file(
    repository: Repository, commit: str, file: HubFile, folder: Path, reporter: ProgressReporter, retry: RetrySettings
) -> Path:
    """Download one file to `folder`/NAME and check its sha256; a file that lies there and is right is taken.

    `folder` is for downloads alone: the hub's client keeps its own notes in it. Raises DownloadError.
    """
    name, before = f"{repository.repo_id}/{file.name}", reporter.done
    transfer, was_there = _Transfer(folder), (folder / file.name).is_file()

    def fetch() -> Path:
        from huggingface_hub import hf_hub_download

        return Path(
            hf_hub_download(
                repository.repo_id,
                file.name,
                revision=commit,
                local_dir=folder,
                endpoint=repository.endpoint,
                token=repository.token,
                library_name="tha4",
                etag_timeout=retry.timeout,
                **transfer.arguments(hf_hub_download),
            )
        )

    def poll() -> None:
        reporter.done = before + min(transfer.received(), file.size)
        reporter.advance()

    def attempt() -> Path:
        try:
            return _call(fetch, repository, name, poll)
        except _UnusablePartError:
            transfer.remove_parts()
            raise

    try:
        path = with_retries(attempt, retry, reporter, transfer.received)
    finally:
        transfer.cancelled.set()
    reporter.done = before + file.size
    reporter.report()
    found = sha256_of(path, reporter.advance)
    if found != (file.sha256 or found):
        path.unlink()
        if was_there:
            reporter.done = before
            return download_file(repository, commit, file, folder, reporter, retry)
        raise DownloadError(
            f"{name}: its sha256 is {found} instead of {file.sha256}, which the hub gives; it was damaged on the way. "
            "It was deleted; try again."
        )
    return path


class _CancelledError(Exception):
    """Ends a download whose result nobody waits for."""


class _UnusablePartError(TemporaryError):
    """What an earlier attempt left is not the beginning of the file."""


class _Transfer:
    """What the thread of the hub's client tells the one that waits, and the other way round."""

    def __init__(self, folder: Path) -> None:
        self.cancelled = Event()
        self._folder = folder
        self._counted: int | None = None

    def received(self) -> int:
        """The bytes of the file that have arrived."""
        return sum(map(size_of, self._parts())) if self._counted is None else self._counted

    def remove_parts(self) -> None:
        """Remove what the client has of files that are not whole."""
        for part in self._parts():
            part.unlink(missing_ok=True)

    def arguments(self, function: Callable[..., object]) -> dict[str, Any]:
        """The progress class, as an argument of a function of the hub's client that takes one."""
        from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, by its documentation

        if "tqdm_class" not in inspect.signature(function).parameters:
            return {}
        transfer = self

        class ProgressBar(tqdm):
            """Shows nothing; counts, and ends the download where it was cancelled."""

            def __init__(self, *args: object, **options: object) -> None:
                super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]
                transfer._counted = int(self.n)

            def update(self, n: float | None = 1) -> None:
                if transfer.cancelled.is_set():
                    raise _CancelledError
                transfer._counted = (transfer._counted or 0) + int(n or 0)

            def update_transfer(self, n: float) -> None:
                """Bytes on the line, which Xet's client tells apart from those of the file."""

            def set_transfer_postfix_str(self, text: str, refresh: bool = True) -> None:
                """The rate on the line, as text."""

        return {"tqdm_class": ProgressBar}

    def _parts(self) -> list[Path]:
        return list((self._folder / ".cache" / "huggingface" / "download").rglob("*.incomplete"))


def _call(function: Callable[[], T], repository: Repository, name: str, poll: Callable[[], None]) -> T:
    """The result of `function`, computed in another thread while `poll` is called here; errors as ours."""

    def work() -> T:
        try:
            return function()
        except _hub_errors() as error:
            raise _translated(error, repository, name) from error

    return in_background(work, poll)


def _hub_errors() -> tuple[type[Exception], ...]:
    """What the client raises; RuntimeError is Xet's."""
    from huggingface_hub import errors

    # The client has changed its HTTP library twice; the bases of its own error are that library's, whichever it is.
    return (OSError, RuntimeError, errors.HFValidationError, *errors.HfHubHTTPError.__bases__)


def _translated(error: Exception, repository: Repository, name: str) -> Exception:
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return _translated(error.__cause__, repository, name)
    status = getattr(getattr(error, "response", None), "status_code", None)
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
    if status in (401, 403):
        return DownloadError(f"{name}: the hub refuses access (HTTP {status}). Log in (hf auth login).")
    if status == 416 or "Consistency check failed" in str(error):
        return _UnusablePartError(f"{name}: the hub sends another number of bytes than it lists.")
    if status is not None and status not in BUSY:
        return DownloadError(f"{name}: the hub does not have it (HTTP {status}).")
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
        return error  # the disk's, not the hub's
    reason = f"HTTP {status}" if status else type(error).__name__
    return TemporaryError(f"{name}: the hub does not answer, or the connection was lost ({reason}).")
