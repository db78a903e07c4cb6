"""Files of a hub repository, by `huggingface_hub` itself: its endpoint, tokens, cache, resume, Xet and offline switch.

An interrupt ends the wait at once, and the client's thread at its next report of progress. Versions that take no
progress class (0.x and the first of 1.x) report whole files only, and their thread ends when the file is whole.
"""

from __future__ import annotations

import hashlib
import inspect
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import DownloadError
from .progress import BUSY, Progress, TemporaryError, check_room
from .publications import Publication
from .teacher_files import match_files, what_is_missing

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

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

    def __str__(self) -> str:
        return "/".join(filter(None, ("hub:", self.repo_id, self.within))) + f"@{self.revision}"

    def download(self, publication: Publication, folder: Path, progress: Progress) -> list[tuple[str, Path, str]]:
        """The file of each network, downloaded into `folder`: the network, the file, and its name in errors.

        The five may lie in any folder of the repository. Raises DownloadError.
        """
        commit, listing = self.list_files(progress)
        paths = [path for path in listing if not self.within or self.within in path.parts[:-1]]
        found = match_files(paths, publication.networks)
        if not found:
            missing = what_is_missing(paths, publication.networks)
            where = f" in a folder {self.within}" if self.within else ""
            raise DownloadError(f"{self.repo_id}: not a {publication.title}: it has no {missing}{where}.")
        text = f"Downloading {self.repo_id} from the hub ({publication.licence})"
        files = self.download_files(commit, [listing[path] for path in found.values()], folder, progress, text)
        return [(n, file, f"{self.repo_id}/{path}") for (n, path), file in zip(found.items(), files, strict=True)]

    def list_files(self, progress: Progress) -> tuple[str, dict[PurePosixPath, RepoSibling]]:
        """The commit that the revision stands for, and the files at it. Raises DownloadError."""
        from huggingface_hub import HfApi

        progress.start(f"Asking the hub for {self.repo_id}")
        model_info = HfApi(self.endpoint, self.token).model_info
        ask = partial(model_info, revision=self.revision, files_metadata=True, timeout=progress.timeout)
        info = self._call(self.repo_id, progress, lambda: ask(self.repo_id))
        files = {PurePosixPath(file.rfilename): file for file in info.siblings or [] if is_safe(file.rfilename)}
        return info.sha or self.revision, files

    def download_files(
        self, commit: str, files: Sequence[RepoSibling], folder: Path, progress: Progress, text: str
    ) -> list[Path]:
        """Download files into `folder` and check their sha256; those that lie there and are right are taken.

        `folder` is for downloads alone: the hub's client keeps its own notes in it. As many bytes again stay free on
        its disk. Raises DownloadError; where the content was wrong, all of `folder` is removed.
        """
        total = sum(file.size or 0 for file in files)
        folder.mkdir(parents=True, exist_ok=True)
        check_room(folder, 2 * total - sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
        progress.start(text, total)
        try:
            return [self._download(commit, file, folder, progress) for file in files]
        except _WrongContentError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _download(self, commit: str, file: RepoSibling, folder: Path, progress: Progress) -> Path:
        from huggingface_hub import hf_hub_download

        name, before = f"{self.repo_id}/{file.rfilename}", progress.done
        settings: dict[str, Any] = {"endpoint": self.endpoint, "token": self.token, "library_name": "tha4"}
        if "tqdm_class" in inspect.signature(hf_hub_download).parameters:
            settings["tqdm_class"] = _progress_class(progress)
        fetch = partial(hf_hub_download, revision=commit, local_dir=folder, etag_timeout=progress.timeout, **settings)

        def fetch_and_check() -> Path:
            path = Path(fetch(self.repo_id, file.rfilename))
            if file.lfs and hashlib.sha256(path.read_bytes()).hexdigest() != file.lfs.sha256:
                raise _WrongContentError(
                    f"{name}: its sha256 is not {file.lfs.sha256}, which the hub gives; it was damaged on the way. "
                    "It was deleted; try again."
                )
            return path

        path = self._call(name, progress, fetch_and_check)
        progress.done = before + (file.size or 0)
        progress.report()
        return path

    def _call(self, name: str, progress: Progress, work: Callable[[], T]) -> T:
        """What a call of the hub's client gives. It is tried again where that may help; errors become ours."""
        from huggingface_hub import errors

        # RuntimeError is Xet's. The client has changed its HTTP library twice; the bases of its own error are that
        # library's, whichever it is.
        hub_errors: tuple[type[Exception], ...] = (OSError, RuntimeError, errors.HFValidationError)
        hub_errors += errors.HfHubHTTPError.__bases__

        def translated() -> T:
            try:
                return work()
            except hub_errors as error:
                raise _translated(error, self, name) from error

        return progress.with_retries(lambda: progress.wait_for(translated))


def is_safe(path: str) -> bool:
    """Whether a relative path from a workflow or a repository leads nowhere else."""
    plain = not set(path) & set('\\:*?"<>|') and all(ord(letter) >= 32 for letter in path)
    return plain and all(part and part[0] != "." for part in path.split("/"))


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

        # Xet's client also tells of bytes and rates on the line.
        def update_transfer(self, n: float) -> None: ...

        def set_transfer_postfix_str(self, text: str, refresh: bool = True) -> None: ...

    return ProgressBar


def _translated(error: Exception, repository: Repository, name: str) -> Exception:
    """The error to raise for one of the hub's client."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return _translated(error.__cause__, repository, name)
    refusals = {
        errors.HFValidationError: "the hub can have no repository of this name; write it as owner/name.",
        errors.GatedRepoError: "accept its terms on the hub and log in (hf auth login), then try again.",
        errors.RepositoryNotFoundError: "the hub has no such repository, or it is private and you are not logged in.",
        errors.RevisionNotFoundError: f"it has no branch, tag or commit {repository.revision!r}.",
        errors.OfflineModeIsEnabled: "HF_HUB_OFFLINE is set, so nothing can be downloaded from the hub.",
    }
    refusal = next((text for kind, text in refusals.items() if isinstance(error, kind)), None)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if refusal is None and status in (401, 403):
        refusal = f"the hub refuses access (HTTP {status}). Log in (hf auth login)."
    if refusal is not None:
        return DownloadError(f"{name}: {refusal}")
    if status == 416 or "Consistency check failed" in str(error):
        return _WrongContentError(f"{name}: the hub sends another number of bytes than it lists.")
    if status is not None and status not in BUSY:
        return DownloadError(f"{name}: the hub does not have it (HTTP {status}).")
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
        return error  # the disk's, not the hub's
    reason = f"HTTP {status}" if status else type(error).__name__
    return TemporaryError(f"{name}: the hub does not answer, or the connection was lost ({reason}).")
