"""What Load Student and Load Character share: a file that a shared workflow names on the hub."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io

from ..tha4_core.errors import DownloadError
from ..tha4_core.weights import Repository, download_hub_file
from . import folders, host, types

FROM_HUB = "from the hub"
"""The choice, among the files of a folder, that means the file named by repo_id and file_name."""


def hub_inputs(example: str) -> list[io.Input]:
    """The inputs that name a file of a hub repository, folded away; `example` is the name of such a file."""
    folded = types.advanced(io.String.Input)
    return [
        io.String.Input(
            "repo_id",
            default="",
            tooltip=f'The hub repository, as owner/name, for "{FROM_HUB}". The file is fetched once and kept.',
            **folded,
        ),
        io.String.Input("file_name", default="", tooltip=f"The file in that repository, such as {example}.", **folded),
        io.String.Input("revision", default="main", tooltip="The branch, tag or commit of that repository.", **folded),
    ]


def hub_file(
    subfolder: str, repo_id: str, file_name: str, revision: str, suffixes: tuple[str, ...], node_id: str | None
) -> Path:
    """The file that the inputs name, fetched into `models/tha4/SUBFOLDER` where it is not there yet.

    Raises DownloadError, also where the name does not end in one of `suffixes`.
    """
    repo_id, file_name = repo_id.strip(), file_name.strip()
    if not repo_id or not file_name:
        raise DownloadError(f'"{FROM_HUB}" needs repo_id (owner/name) and file_name; one of them is empty.')
    if not file_name.lower().endswith(suffixes):
        raise DownloadError(f"{file_name}: this node takes files that end in {' or '.join(suffixes)}.")
    folder = folders.wanted_folders(subfolder)[0]
    repository = Repository(repo_id, revision.strip() or "main")
    return download_hub_file(repository, file_name, folder, progress=host.Download(node_id))
