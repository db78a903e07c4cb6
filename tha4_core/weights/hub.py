"""What a hub repository holds, by `huggingface_hub`: its endpoint, token, offline switch and errors apply.

The bytes themselves come through `transfer`, which gives what the hub's own client does not: an interrupt within a
second, progress in numbers, and the sha256 checked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..errors import DownloadError
from .transfer import Meter, Patience, Remote, TryAgainError, in_background, persistently

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

Listing = dict[PurePosixPath, Remote]


def list_repository(
    repo_id: str, revision: str, endpoint: str | None, token: str | None, meter: Meter, patience: Patience
) -> tuple[str, Listing]:
    """The commit that `revision` (branch, tag or commit) stands for, and the files at it.

    `endpoint` None: HF_ENDPOINT or the public hub; `token` None: the one of `hf auth login`. Raises DownloadError.
    """

    def listing() -> Generator[tuple[str, Listing], None, None]:
        yield _translated(lambda: _list(repo_id, revision, endpoint, token, patience), repo_id, revision)

    return persistently(lambda: next(in_background(listing(), meter.tick, patience.timeout)), patience, meter)


def _list(
    repo_id: str, revision: str, endpoint: str | None, token: str | None, patience: Patience
) -> tuple[str, Listing]:
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, by its documentation

    api = HfApi(endpoint=endpoint, token=token)
    info = api.model_info(repo_id, revision=revision, files_metadata=True, timeout=patience.timeout)
    commit, headers = info.sha or revision, build_hf_headers(token=token, library_name="tha4")

    def remote(file: RepoSibling) -> Remote:
        url = hf_hub_url(repo_id, file.rfilename, revision=commit, endpoint=endpoint)
        size = file.lfs.size if file.lfs else file.size
        return Remote(url, f"{repo_id}/{file.rfilename}", size, file.lfs.sha256 if file.lfs else None, headers)

    return commit, {PurePosixPath(file.rfilename): remote(file) for file in info.siblings or []}


def _translated(action: Callable[[], tuple[str, Listing]], repo_id: str, revision: str) -> tuple[str, Listing]:
    """The result of `action`, with the hub client's errors as ours."""
    from huggingface_hub import errors

    # The hub client has changed its HTTP library twice; the bases of its own error are that library's, whichever.
    lost: tuple[type[Exception], ...] = (OSError, *errors.HfHubHTTPError.__bases__)
    try:
        return action()
    except errors.HFValidationError as error:
        raise DownloadError(f"{repo_id!r} is no repository of the hub; write it as owner/name.") from error
    except errors.GatedRepoError as error:
        raise DownloadError(
            f"{repo_id}: accept its terms on the hub and log in (hf auth login), then again."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(
            f"{repo_id}: the hub has no such repository, or it is private and you are not in."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise DownloadError(f"{repo_id}: it has no branch, tag or commit {revision!r}.") from error
    except errors.OfflineModeIsEnabled as error:
        raise DownloadError(f"{repo_id}: HF_HUB_OFFLINE is set, so nothing can be fetched from the hub.") from error
    except lost as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise DownloadError(
                f"{repo_id}: the hub refuses access (HTTP {status}). Log in (hf auth login)."
            ) from error
        raise TryAgainError(f"{repo_id}: the hub does not answer ({status or type(error).__name__}).") from error
