"""Fetching from a hub: the real `huggingface_hub` client against a local server that speaks the hub's protocol."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants, hf_hub_download
from safetensors.torch import save

from tests.made_up_teacher import (
    NETWORKS,
    NEW,
    OLD,
    ROOT,
    SHAPES,
    InterruptedByUserError,
    Recorder,
    holds,
    pt,
    tensors,
    whole_set,
)
from tests.servers import COMMIT, Served, Server, add_repository
from tha4_core.errors import DownloadError, WeightsError
from tha4_core.weights import THA4_TEACHER, Repository, download_hub_file, download_teacher

pytestmark = pytest.mark.usefixtures("windows_files")

REPO = "somebody/tha4-teacher"
TOKEN = "hf_" + "x" * 16
STUDENT = save({"face_morpher.weight": torch.arange(20_000.0)})


def repository(seed: int = NEW, at: str = "", suffix: str = "pt") -> dict[str, bytes]:
    write = pt if suffix == "pt" else save
    return {f"{at}{network}.{suffix}": write(tensors(seed, network)) for network in NETWORKS}  # type: ignore[operator]


@pytest.fixture(autouse=True)
def nobody_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 16 * 1024)  # else these small files come as one piece


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        add_repository(server, REPO, {"README.md": b"# card", **repository(NEW)})
        add_repository(server, "somebody/old", repository(OLD))
        add_repository(server, "somebody/students", {"girls/mira.safetensors": STUDENT, "mira.png": b"\x89PNG"})
        yield server


@pytest.fixture
def folder(tmp_path: Path, server: Server) -> Path:
    folder = tmp_path / "models" / "tha4" / "teacher"
    fetch(server, folder, "somebody/old")
    assert whole_set(folder) == OLD
    server.requests.clear()
    return folder


def fetch(
    server: Server,
    folder: Path,
    repo_id: str = REPO,
    revision: str = "main",
    progress: Recorder | None = None,
    **where: str,
) -> dict[str, Path]:
    repository = Repository(repo_id, revision, **{"endpoint": server.url(), **where})
    return download_teacher(folder, SHAPES, sources=[repository], progress=progress or Recorder())


def fails(server: Server, folder: Path, message: str, *arguments: str, **more: Any) -> str:
    with pytest.raises((DownloadError, WeightsError), match=message) as caught:
        fetch(server, folder, *arguments, **more)
    assert whole_set(folder) == OLD
    return str(caught.value)


def content(repo_id: str, name: str) -> str:
    return f"/content/{COMMIT}/{repo_id}/{name}"


def test_the_server_is_a_hub_to_the_hubs_own_client(server: Server, tmp_path: Path) -> None:
    path = hf_hub_download(REPO, "upscaler.pt", endpoint=server.url(), cache_dir=tmp_path)
    assert Path(path).read_bytes() == pt(tensors(NEW, "upscaler"))


@pytest.mark.parametrize(("at", "suffix"), [("", "pt"), ("", "safetensors"), ("some/where/tha4/", "pt")])
def test_a_teacher_is_found_wherever_it_lies(server: Server, tmp_path: Path, at: str, suffix: str) -> None:
    others = {"README.md": b"", "characters/mira/face_morpher.pt": b"x", "characters/mira/body_morpher.pt": b"x"}
    add_repository(server, "a/b", {**others, **repository(NEW, at, suffix)})
    progress = Recorder()
    files = fetch(server, tmp_path, "a/b", progress=progress)
    assert holds(files, NEW)
    assert whole_set(tmp_path) == NEW
    asked = {request.path for request in server.requests if "/content/" in request.path}
    assert asked == {content("a/b", f"{at}{network}.{suffix}") for network in NETWORKS}
    done = [done for done, total, _, text in progress.calls if total and "CC BY-NC" in text]
    assert done == sorted(done)
    assert done[-1] == sum(len(body) for body in repository(NEW, at, suffix).values())


def test_one_of_several_variants_is_chosen_by_its_folder(server: Server, tmp_path: Path) -> None:
    both = {**repository(OLD, "models/separable_half/"), **repository(NEW, "models/standard_float/")}
    add_repository(server, "a/b", both)
    assert holds(fetch(server, tmp_path / "1", "a/b", within="standard_float"), NEW)
    assert holds(fetch(server, tmp_path / "2", "a/b", within="separable_half"), OLD)
    with pytest.raises(DownloadError, match="not a THA4 teacher"):
        fetch(server, tmp_path / "3", "a/b", within="separable_float")


def test_a_set_that_is_there_is_taken_without_the_hub(server: Server, tmp_path: Path) -> None:
    files = fetch(server, tmp_path)
    count = len(server.requests)
    assert fetch(server, tmp_path) == files
    assert len(server.requests) == count


def test_another_revision_replaces_the_set(server: Server, tmp_path: Path) -> None:
    add_repository(server, REPO, repository(OLD), revision="v0")
    assert holds(fetch(server, tmp_path, revision="v0"), OLD)
    assert holds(fetch(server, tmp_path, revision="main"), NEW)
    assert whole_set(tmp_path) == NEW
    assert len(list(tmp_path.rglob("*.safetensors"))) == 5


def test_what_the_hub_refuses(server: Server, folder: Path) -> None:
    api = f"/api/models/{REPO}/revision/main"
    message = fails(server, folder, "somebody/none: the hub has no such repository", "somebody/none")
    assert THA4_TEACHER.link in message
    assert str(folder) in message
    fails(server, folder, "it has no branch, tag or commit 'v9'", REPO, "v9")
    fails(server, folder, "write it as owner/name", "not a/repo/id")
    server.files[api] = Served(b"", statuses=[403], headers={"X-Error-Code": "GatedRepo"})
    fails(server, folder, "accept its terms")
    server.files[api] = Served(b"", statuses=[403])
    fails(server, folder, "HTTP 403")
    add_repository(server, "a/b", {"upscaler.pt": b"x", "face_morpher.pt": b"x"})
    fails(server, folder, "a/b: not a THA4 teacher: it has no body_morpher, eyebrow_decomposer", "a/b")
    four = {name: body for name, body in repository().items() if name != "upscaler.pt"}
    add_repository(server, "a/b", {**four, "x/upscaler.pt": b"x"})
    fails(server, folder, "it has no folder with one file of each", "a/b")


def test_a_hub_that_is_busy_or_away(server: Server, folder: Path) -> None:
    listing = server.files[f"/api/models/{REPO}/revision/main"]
    listing.statuses = [503, 503, 503]
    fails(server, folder, "the hub does not answer.*HTTP 503.* Gave up after 3 tries")
    with Server() as gone:
        url = gone.url()
    fails(server, folder, "the hub does not answer", endpoint=url)
    listing.statuses = [502]
    assert holds(fetch(server, folder), NEW)


@pytest.mark.parametrize("status", [403, 404])
def test_a_file_that_the_content_server_refuses(server: Server, folder: Path, status: int) -> None:
    server.files[content(REPO, "upscaler.pt")].statuses = [status]
    fails(server, folder, rf"{REPO}/upscaler.pt: .*HTTP {status}")
    assert holds(fetch(server, folder), NEW)


def test_cut_connections_and_interrupts_go_on_where_they_were(server: Server, folder: Path) -> None:
    path = content(REPO, "eyebrow_morphing_combiner.pt")
    size = len(server.files[path].body)
    server.files[path].cuts = [size // 2]
    server.files[content(REPO, "upscaler.pt")].silent_after = 50_000
    before = sum(len(body) for body in repository().values()) * 3 // 4
    with pytest.raises(InterruptedByUserError):
        fetch(server, folder, progress=Recorder(lambda done: done > before))
    assert whole_set(folder) == OLD
    server.files[content(REPO, "upscaler.pt")].silent_after = None
    server.files[content(REPO, "upscaler.pt")].go.set()
    assert holds(fetch(server, folder), NEW)
    assert sum(server.sent(path)) < size + 32 * 1024
    for network in NETWORKS[:2]:
        assert len(server.sent(content(REPO, f"{network}.pt"))) == 1


@pytest.mark.parametrize(
    "wrong",
    [lambda body: body[:-1] + b"?", lambda body: body[: len(body) // 2], lambda body: body + b"?"],
    ids=["damaged", "truncated", "longer"],
)
def test_a_file_that_is_not_what_the_hub_lists(server: Server, folder: Path, wrong: object) -> None:
    served = server.files[content(REPO, "upscaler.pt")]
    right = served.body
    served.body = wrong(right)  # type: ignore[operator]
    fails(server, folder, "upscaler.pt: (its sha256 is|the hub sends another number)")
    served.body = right
    assert holds(fetch(server, folder), NEW)


def test_a_wrong_network_is_named(server: Server, folder: Path) -> None:
    add_repository(server, "a/b", {**repository(), "upscaler.pt": pt(tensors(NEW, "face_morpher"))})
    fails(server, folder, r"^a/b/upscaler.pt: this is another network", "a/b")
    add_repository(server, "a/b", {**repository(), "upscaler.pt": b"no tensors"})
    fails(server, folder, r"^a/b/upscaler.pt: ", "a/b")


def test_a_token_goes_to_the_hub_and_to_no_other_host(tmp_path: Path, server: Server) -> None:
    with Server() as cdn:
        add_repository(server, "a/private", repository(NEW), cdn=cdn)
        assert holds(fetch(server, tmp_path, "a/private", token=TOKEN), NEW)
        assert all(request.headers.get("authorization") == f"Bearer {TOKEN}" for request in server.requests)
        assert len(cdn.requests) == 5
        assert not any("authorization" in request.headers for request in cdn.requests)
    assert not any(TOKEN.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_the_environment_says_which_hub_and_whether_to_ask_it(tmp_path: Path, server: Server) -> None:
    code = f"""
import sys
from pathlib import Path
from tests.made_up_teacher import SHAPES
from tha4_core.errors import DownloadError
from tha4_core.weights import Repository, download_hub_file, download_teacher
folder = Path(sys.argv[1])
try:
    print(len(download_teacher(folder, SHAPES, sources=[Repository({REPO!r})])))
    print(download_hub_file(Repository("somebody/students"), "mira.png", folder).name)
    download_hub_file(Repository("somebody/students"), "girls/mira.safetensors", folder)
except DownloadError as error:
    print(error)
"""

    def run(**environment: str) -> str:
        environment = {**os.environ, "HF_ENDPOINT": server.url(), "OMP_NUM_THREADS": "1", **environment}
        command = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout

    add_repository(server, "somebody/students", {"mira.png": b"\x89PNG"})
    assert run().splitlines()[:2] == ["5", "mira.png"]
    count = len(server.requests)
    offline = run(HF_HUB_OFFLINE="1").splitlines()
    assert offline[:2] == ["5", "mira.png"]
    assert "HF_HUB_OFFLINE is set" in offline[2]
    assert len(server.requests) == count


@pytest.mark.parametrize("where", ["listing", "file", "middle of a file"])
def test_an_interrupt_does_not_wait_for_a_silent_hub(server: Server, folder: Path, where: str) -> None:
    api = f"/api/models/{REPO}/revision/main"
    served = server.files[api if where == "listing" else content(REPO, "body_morpher.pt")]
    served.silent_after = 50_000 if where == "middle of a file" else 0
    asked: list[float] = []

    def stop(done: int) -> bool:
        if served.reached.is_set():
            asked.append(time.monotonic())
        return len(asked) > 3

    with pytest.raises(InterruptedByUserError):
        fetch(server, folder, progress=Recorder(stop))
    assert time.monotonic() - asked[-1] < 1.0
    assert max(later - earlier for earlier, later in itertools.pairwise(asked)) < 1.0
    assert whole_set(folder) == OLD


def test_an_interrupted_download_ends_with_its_next_bytes(server: Server, folder: Path) -> None:
    if "tqdm_class" not in inspect.signature(hf_hub_download).parameters:
        pytest.skip("this version of huggingface_hub takes no progress class, by which to end a download")
    served = server.files[content(REPO, "body_morpher.pt")]
    served.silent_after = 50_000
    before = set(threading.enumerate())
    with pytest.raises(InterruptedByUserError):
        fetch(server, folder, progress=Recorder(lambda done: served.reached.is_set()))
    downloads = [thread for thread in set(threading.enumerate()) - before if thread.name == "tha4-download"]
    assert len(downloads) == 1
    served.go.set()
    downloads[0].join(5)
    assert not downloads[0].is_alive()
    assert not list(folder.rglob("body_morpher.pt"))


def test_a_hub_that_falls_silent_is_asked_for_the_rest(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    served = server.files[content(REPO, "body_morpher.pt")]
    served.silent_after = 50_000
    threading.Timer(1.0, lambda: setattr(served, "silent_after", None)).start()
    assert holds(fetch(server, folder), NEW)
    assert any("range" in request.headers for request in server.requests if "/content/" in request.path)


def test_a_part_that_was_damaged_meanwhile_does_no_harm(server: Server, folder: Path) -> None:
    upscaler = server.files[content(REPO, "upscaler.pt")]
    upscaler.silent_after = 50_000
    before = set(threading.enumerate())
    with pytest.raises(InterruptedByUserError):
        fetch(server, folder, progress=Recorder(lambda done: upscaler.reached.is_set()))
    upscaler.silent_after = None
    upscaler.go.set()
    for thread in set(threading.enumerate()) - before:
        if thread.name == "tha4-download":
            thread.join(5)
    parts = [path for path in folder.rglob("*") if path.suffix in (".pt", ".incomplete")]
    assert len(parts) >= 4
    for part in parts:
        part.write_bytes(b"?" * part.stat().st_size)
    with contextlib.suppress(DownloadError):  # a version that went on with the damaged part tells of its checksum
        fetch(server, folder)
    assert holds(fetch(server, folder), NEW)


def test_threads_at_once_fetch_once(server: Server, folder: Path) -> None:
    found: list[dict[str, Path]] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(server, folder))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found[0] == found[1] == found[2]
    assert [len(server.sent(content(REPO, f"{network}.pt"))) for network in NETWORKS] == [1] * 5


def test_a_disk_that_fills_while_downloading(server: Server, small_disk: Path) -> None:
    ballast = small_disk / "ballast"

    def fill(done: int) -> bool:
        if done > 200_000 and not ballast.exists():
            ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
        return False

    fetch(server, small_disk, "somebody/old")
    fails(server, small_disk, "cannot be written to .No space left", progress=Recorder(fill))
    ballast.write_bytes(bytes(2_000_000))
    fails(server, small_disk, "are needed on this disk")
    ballast.unlink()
    assert holds(fetch(server, small_disk), NEW)


def test_names_in_a_listing_that_lead_elsewhere_are_left_alone(server: Server, tmp_path: Path) -> None:
    add_repository(server, "a/b", repository(NEW, "../../outside/"))
    with pytest.raises(DownloadError, match="not a THA4 teacher: it has no body_morpher"):
        fetch(server, tmp_path / "teacher", "a/b")
    assert not list(tmp_path.rglob("*.pt"))


# One file: students and characters


def one(server: Server, folder: Path, name: str = "girls/mira.safetensors", revision: str = "main") -> Path:
    repo_id = "somebody/students"
    return download_hub_file(Repository(repo_id, revision, endpoint=server.url()), name, folder)


def test_one_file_lands_under_its_repository_and_is_taken_from_there(server: Server, tmp_path: Path) -> None:
    path = one(server, tmp_path)
    assert path == tmp_path / "somebody--students" / "girls" / "mira.safetensors"
    assert path.read_bytes() == STUDENT
    count = len(server.requests)
    assert one(server, tmp_path) == path
    assert len(server.requests) == count
    assert one(server, tmp_path, "mira.png").read_bytes() == b"\x89PNG"
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"mira.safetensors", "mira.png", ".lock"}


def test_a_file_put_there_by_hand_is_taken(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "somebody--students" / "mira.png"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    assert one(server, tmp_path, "mira.png").read_bytes() == b"mine"
    assert not server.requests


def test_each_revision_has_its_own_file(server: Server, tmp_path: Path) -> None:
    second = save({"face_morpher.weight": torch.ones(3)})
    add_repository(server, "somebody/students", {"girls/mira.safetensors": second}, revision="refs/pr/1")
    path = one(server, tmp_path, revision="refs/pr/1")
    assert path == tmp_path / "somebody--students@refs--pr--1" / "girls" / "mira.safetensors"
    assert path.read_bytes() == second
    assert one(server, tmp_path).read_bytes() == STUDENT
    assert path.read_bytes() == second


def test_a_wrong_file_is_not_kept(server: Server, tmp_path: Path) -> None:
    served = server.files[content("somebody/students", "girls/mira.safetensors")]
    served.body, right = b"not tensors", served.body
    with pytest.raises(DownloadError, match=r"its sha256 is|another number"):
        one(server, tmp_path)
    served.statuses = [404]
    with pytest.raises(DownloadError, match="HTTP 404"):
        one(server, tmp_path)
    add_repository(server, "somebody/students", {"girls/mira.safetensors": b"not tensors"})
    with pytest.raises(WeightsError, match=r"^somebody/students/girls/mira.safetensors: not a whole"):
        one(server, tmp_path)
    assert not list(tmp_path.rglob("mira*"))
    add_repository(server, "somebody/students", {"girls/mira.safetensors": right})
    assert one(server, tmp_path).read_bytes() == STUDENT


def test_a_file_that_the_repository_does_not_have(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"it has no file mora.png at 'main'.*By hand: .*/somebody--students/mora"):
        one(server, tmp_path, "mora.png")


@pytest.mark.parametrize(
    "name", ["../x.png", "a/../../x.png", "/x.png", "", ".", "a\\..\\x.png", "C:x.png", "a//x.png", "x\n.png", ".lock"]
)
def test_names_that_lead_elsewhere_are_refused(server: Server, tmp_path: Path, name: str) -> None:
    with pytest.raises(DownloadError, match="refused as the name of a file"):
        one(server, tmp_path / "students", name)
    with pytest.raises(DownloadError, match="refused"):
        download_hub_file(Repository(f"{name}/b", endpoint=server.url()), "x.png", tmp_path / "students")
    assert not server.requests
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["con", "a/NUL.png", "aux.tar.gz", "com1 .png", "lpt¹/x.png", "dot.", "a /x.png"])
def test_names_that_windows_cannot_have_are_refused(server: Server, tmp_path: Path, name: str) -> None:
    with pytest.raises(DownloadError, match=r"Windows can have none that is named '[^/]+'\. Rename it"):
        one(server, tmp_path / "students", name)
    assert not server.requests
    assert not list(tmp_path.iterdir())
