"""THA3's files: on the hub in two repositories, of which one may fail, and on the disk beside THA4's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tests.made_up_teacher import OLD, InterruptedByUserError, Recorder, pt, tensors, whole_set
from tests.servers import COMMIT, Served, Server, add_repository
from tha4_core.errors import DownloadError, MissingWeightsError
from tha4_core.weights import (
    PUBLICATIONS,
    Files,
    Progress,
    Publication,
    Repository,
    download_teacher,
    find_teacher_files,
    read_state_dict,
)

pytestmark = pytest.mark.usefixtures("windows_files")

NETWORKS = PUBLICATIONS["THA3 standard"].networks
THA3 = {name: publication for name, publication in PUBLICATIONS.items() if name.startswith("THA3")}
STANDARD = THA3["THA3 standard"]
FIRST, SECOND = STANDARD.repositories
SHAPES = {name: {f"{name}.weight": (64 + 8 * i, 128)} for i, name in enumerate(NETWORKS)}


def made_up(publication: Publication, network: str, repo_id: str) -> dict[str, torch.Tensor]:
    """Numbers that no other variant, network or repository has."""
    (key, shape), *_ = SHAPES[network].items()
    seed = [publication.variant for publication in THA3.values()].index(publication.variant) * 10 + (repo_id == SECOND)
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return {key: weights.half() if publication.variant.endswith("half") else weights}


def repository(repo_id: str, at: str = "") -> dict[str, bytes]:
    """All four variants under a folder, and what else lies in such a repository."""
    files = {"README.md": b"# card", f"{at}poser.yaml": b"x", f"{at}face_morpher.pt": b"not wanted"}
    for publication in THA3.values():
        for network in NETWORKS:
            files[f"{at}{publication.variant}/{network}.pt"] = pt(made_up(publication, network, repo_id))
    return files


@pytest.fixture(autouse=True)
def nobody_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        add_repository(server, FIRST, repository(FIRST, "some/where/models/"))
        add_repository(server, SECOND, repository(SECOND))
        yield server


def fetch(server: Server, folder: Path, publication: Publication = STANDARD, **more: object) -> Files:
    sources = [repository_at(server, repo_id, publication) for repo_id in publication.repositories]
    return download_teacher(folder, SHAPES, publication, sources, **more)  # type: ignore[arg-type]


def repository_at(server: Server, repo_id: str, publication: Publication = STANDARD) -> Repository:
    return Repository(repo_id, within=publication.variant, endpoint=server.url())


def origin(files: Files, publication: Publication = STANDARD) -> str:
    """The repository that all five are from, to the last number."""
    assert set(files) == set(NETWORKS)
    for repo_id in (FIRST, SECOND):
        right = {network: made_up(publication, network, repo_id) for network in NETWORKS}
        if all(torch.equal(read_state_dict(files[n])[key], value) for n in NETWORKS for key, value in right[n].items()):
            return repo_id
    raise AssertionError(f"a mixture: {files}")


def content(repo_id: str, network: str) -> str:
    at = "some/where/models/" if repo_id == FIRST else ""
    return f"/content/{COMMIT}/{repo_id}/{at}standard_float/{network}.pt"


@pytest.mark.parametrize("name", THA3)
def test_only_the_five_files_of_a_variant_are_fetched(server: Server, tmp_path: Path, name: str) -> None:
    publication, progress = THA3[name], Recorder()
    files = fetch(server, tmp_path, publication, progress=progress)
    assert origin(files, publication) == FIRST
    assert {path.parents[1] for path in files.values()} == {tmp_path / f"tha3_{publication.variant}"}
    fetched = {request.path.partition("models/")[2] for request in server.requests if "/content/" in request.path}
    assert fetched == {f"{publication.variant}/{network}.pt" for network in NETWORKS}
    assert not any(SECOND in request.path for request in server.requests)
    assert any("CC BY 4.0 (commercial use allowed, with attribution)" in text for _, _, _, text in progress.calls)
    with safe_open(files["editor"], framework="pt") as file:
        notes = file.metadata()
    assert "CC BY 4.0" in notes["licence"]
    assert (notes["author"], notes["title"]) == ("Pramook Khungurn", publication.title)
    assert not list(tmp_path.rglob("*.part"))


def test_each_publication_has_its_own_place(server: Server, tmp_path: Path) -> None:
    for network in PUBLICATIONS["THA4"].networks:
        (tmp_path / f"{network}.pt").write_bytes(pt(tensors(OLD, network)))
    fetched = {name: fetch(server, tmp_path, publication) for name, publication in THA3.items()}
    for name, publication in THA3.items():
        assert find_teacher_files([tmp_path / "none", tmp_path], publication) == fetched[name]
        assert origin(fetched[name], publication) == FIRST
    assert whole_set(tmp_path) == OLD


def test_a_set_that_is_there_is_taken_without_the_hub(server: Server, tmp_path: Path) -> None:
    server.files.pop(f"/api/models/{FIRST}/revision/main")
    files = fetch(server, tmp_path)
    assert origin(files) == SECOND
    count = len(server.requests)
    assert fetch(server, tmp_path) == files
    assert len(server.requests) == count


# What can be wrong with the first repository, and what is said about it


def gone(server: Server) -> None:
    server.files.pop(f"/api/models/{FIRST}/revision/main")


def forbidden(server: Server) -> None:
    server.files[f"/api/models/{FIRST}/revision/main"] = Served(b"", statuses=[403])


def gated(server: Server) -> None:
    denied = Served(b"", statuses=[403], headers={"X-Error-Code": "GatedRepo"})
    server.files[f"/api/models/{FIRST}/revision/main"] = denied


def a_file_gone(server: Server) -> None:
    server.files.pop(content(FIRST, "face_morpher"))


def a_file_forbidden(server: Server) -> None:
    server.files[content(FIRST, "face_morpher")].statuses = [403]


def cut_again_and_again(server: Server) -> None:
    server.files[content(FIRST, "face_morpher")].cuts = [1000, *[0] * 30]


def another_hash(server: Server) -> None:
    served = server.files[content(FIRST, "face_morpher")]
    served.body = served.body[:-1] + b"?"


def without_the_variant(server: Server) -> None:
    files = {name: body for name, body in repository(FIRST).items() if "standard_float" not in name}
    add_repository(server, FIRST, files)


def another_network(server: Server) -> None:
    wrong = pt(made_up(STANDARD, "editor", FIRST))
    add_repository(server, FIRST, {**repository(FIRST), "standard_float/face_morpher.pt": wrong})


FAILURES = {
    gone: "the hub has no such repository",
    forbidden: "the hub refuses access .HTTP 403",
    gated: "accept its terms on the hub",
    a_file_gone: "face_morpher.pt: the hub does not have it .HTTP 404",
    a_file_forbidden: "face_morpher.pt: the hub refuses access .HTTP 403",
    another_hash: "face_morpher.pt: its sha256 is",
    without_the_variant: r"not a THA3 teacher \(standard, float\): it has no editor, .* in a folder standard_float",
    another_network: "standard_float/face_morpher.pt: this is another network",
}


@pytest.mark.parametrize("failure", [*FAILURES, cut_again_and_again], ids=lambda failure: failure.__name__)
def test_the_second_repository_stands_in_for_the_first(
    server: Server,
    tmp_path: Path,
    failure: object,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failure(server)  # type: ignore[operator]
    monkeypatch.setattr(Progress, "attempts", 1)  # the hub's own client tries five times, a second apart
    with caplog.at_level(logging.WARNING):
        files = fetch(server, tmp_path)
    assert origin(files) == SECOND
    assert find_teacher_files([tmp_path], STANDARD) == files
    assert "not from" in caplog.text
    assert FIRST in caplog.text
    assert {path.name for path in (tmp_path / "tha3_standard_float").iterdir()} <= {
        files["editor"].parent.name,
        ".lock",
    }


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.__name__)
def test_both_failures_are_named_and_what_was_there_stays(server: Server, tmp_path: Path, failure: object) -> None:
    home = tmp_path / "tha3_standard_float"
    old = replace(repository_at(server, SECOND), revision=COMMIT)
    before = download_teacher(tmp_path, SHAPES, STANDARD, [old])
    failure(server)  # type: ignore[operator]
    server.files.pop(f"/api/models/{SECOND}/revision/main")
    with pytest.raises(DownloadError, match=FAILURES[failure]) as caught:  # type: ignore[index]
        fetch(server, tmp_path)
    message = str(caught.value)
    assert f"{SECOND}: the hub has no such repository" in message
    for needed in (*STANDARD.link.split(" or "), "standard_float", "CC BY 4.0", "543 MB", str(home), *NETWORKS):
        assert needed in message
    assert message.count("By hand") == 1
    assert find_teacher_files([tmp_path], STANDARD) == before
    assert origin(before) == SECOND


def test_an_interrupt_is_not_a_failure_of_the_repository(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InterruptedByUserError):
        fetch(server, tmp_path, progress=Recorder(lambda done: done > 50_000))
    assert not any(SECOND in request.path for request in server.requests)
    with pytest.raises(MissingWeightsError):
        find_teacher_files([tmp_path], STANDARD)
    before = sum(server.sent(content(FIRST, "editor")))
    assert origin(fetch(server, tmp_path)) == FIRST
    assert sum(server.sent(content(FIRST, "editor"))) == before


# On the disk


def put(folder: Path, publication: Publication = STANDARD) -> Path:
    folder.mkdir(parents=True)
    for network in NETWORKS:
        (folder / f"{network}.pt").write_bytes(pt(made_up(publication, network, FIRST)))
    return folder


@pytest.mark.parametrize("at", ["tha3_standard_float", "standard_float", "models-of-tha3/standard_float"])
def test_files_put_there_by_hand_are_found_under_the_name_of_their_variant(tmp_path: Path, at: str) -> None:
    put(tmp_path / at)
    files = find_teacher_files([tmp_path / "none", tmp_path], STANDARD)
    assert files == {network: tmp_path / at / f"{network}.pt" for network in NETWORKS}
    for name in ("THA4", "THA3 standard half", "THA3 separable"):
        with pytest.raises(MissingWeightsError):
            find_teacher_files([tmp_path], PUBLICATIONS[name])


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("THA3 standard", "543 MB"),
        ("THA3 standard half", "271 MB"),
        ("THA3 separable", "58 MB"),
        ("THA3 separable half", "29 MB"),
    ],
)
def test_missing_files_are_named_with_folder_links_size_and_licence(tmp_path: Path, name: str, size: str) -> None:
    publication = THA3[name]
    with pytest.raises(MissingWeightsError, match=r"editor, .*two_algo_face_body_rotator not found in") as caught:
        find_teacher_files([tmp_path], publication)
    licence = "CC BY 4.0 (commercial use allowed, with attribution)"
    home = str(tmp_path / f"tha3_{publication.variant}")
    for needed in (home, *publication.repositories, size, licence, "auto_download", publication.variant):
        assert needed in str(caught.value)
