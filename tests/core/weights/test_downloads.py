"""Fetching weights, from servers that fail in every way that servers and disks do.

After each failure the folder holds the old five files or the new five, never some of each: `whole_set` checks that.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.made_up_teacher import (
    NETWORKS,
    NEW,
    OLD,
    ROOT,
    SHAPES,
    InterruptedByUserError,
    Recorder,
    holds,
    members,
    pt,
    tensors,
    whole_set,
    zipped,
)
from tests.servers import Served, Server
from tha4_core.errors import DownloadError, WeightsError
from tha4_core.weights import (
    THA4_TEACHER,
    Archive,
    Progress,
    download_teacher,
    find_teacher_files,
    read_safetensors,
)

pytestmark = pytest.mark.usefixtures("windows_files")

ZIP = "/tha4-models.zip"


@pytest.fixture(scope="module")
def new_archive() -> bytes:
    return zipped(members(NEW))


@pytest.fixture(scope="module")
def old_archive() -> bytes:
    return zipped(members(OLD))


@pytest.fixture
def server(new_archive: bytes, old_archive: bytes) -> Iterator[Server]:
    with Server() as server:
        server.files[ZIP] = Served(new_archive)
        server.files["/old.zip"] = Served(old_archive)
        yield server


@pytest.fixture
def folder(tmp_path: Path, server: Server) -> Path:
    """A folder that holds the old set, fetched from another address."""
    folder = tmp_path / "models" / "tha4" / "teacher"
    fetch(server, folder, path="/old.zip")
    assert whole_set(folder) == OLD
    return folder


def fetch(server: Server, folder: Path, path: str = ZIP, **more: object) -> dict[str, Path]:
    return download_teacher(folder, SHAPES, sources=[Archive(server.url(path))], **more)  # type: ignore[arg-type]


def fails(server: Server, folder: Path, error: type[Exception], message: str, **more: object) -> str:
    """Fetch, expect this error, and find the old five files as they were."""
    with pytest.raises(error, match=message) as caught:
        fetch(server, folder, **more)
    assert whole_set(folder) == OLD
    assert len(list(folder.rglob("*.safetensors"))) == 5
    return str(caught.value)


# The archive


def test_an_archive_becomes_five_checked_files_and_is_fetched_once(tmp_path: Path, server: Server) -> None:
    progress = Recorder()
    files = fetch(server, tmp_path / "teacher", progress=progress)
    assert holds(files, NEW)
    assert files == find_teacher_files([tmp_path / "empty", tmp_path / "teacher"])
    assert all(path.suffix == ".safetensors" for path in files.values())
    assert "CC BY-NC 4.0" in read_safetensors(files["upscaler"])[1]["licence"]
    left = sorted(path.suffix for path in (tmp_path / "teacher").rglob("*") if path.is_file())
    assert left == sorted(["", *[".safetensors"] * 5])
    size = len(server.files[ZIP].body)
    assert any(total == size and "127.0.0.1" in text and "CC BY-NC" in text for _, total, _, text in progress.calls)
    assert fetch(server, tmp_path / "teacher") == files
    assert server.sent(ZIP) == [size]


def test_a_cut_connection_goes_on_where_it_was(folder: Path, server: Server) -> None:
    size = len(server.files[ZIP].body)
    server.files[ZIP].cuts = [size // 2]
    assert holds(fetch(server, folder), NEW)
    assert whole_set(folder) == NEW
    half, rest = server.sent(ZIP)
    assert half == size // 2
    assert half + rest < size + 64 * 1024  # what was in flight when the line was cut may come again, nothing more


def test_an_interrupt_keeps_the_part_and_the_next_call_fetches_only_the_rest(folder: Path, server: Server) -> None:
    size = len(server.files[ZIP].body)
    server.files[ZIP].silent_after = size // 2
    with pytest.raises(InterruptedByUserError):
        fetch(server, folder, progress=Recorder(lambda done: done > size // 4))
    assert whole_set(folder) == OLD
    part = next(folder.rglob("*.zip.part"))
    had = part.stat().st_size
    assert had > size // 4
    server.files[ZIP].silent_after = None
    server.files[ZIP].go.set()
    assert holds(fetch(server, folder), NEW)
    assert server.sent(ZIP)[-1] == size - had
    assert server.requests[-1].headers["range"] == f"bytes={had}-"


@pytest.mark.parametrize("after", [0, 100_000])
def test_an_interrupt_does_not_wait_for_a_silent_server(
    folder: Path, server: Server, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "timeout", 30)
    server.files[ZIP].silent_after = after
    asked: list[float] = []

    def stop(done: int) -> bool:
        if server.sent(ZIP) and done >= after // 2:
            asked.append(time.monotonic())
        return len(asked) > 3

    with pytest.raises(InterruptedByUserError):
        fetch(server, folder, progress=Recorder(stop))
    assert time.monotonic() - asked[-1] < 1.0
    assert max(later - earlier for earlier, later in itertools.pairwise(asked)) < 1.0
    assert whole_set(folder) == OLD


@pytest.mark.parametrize(("status", "says"), [(404, "does not have it"), (403, "refuses access"), (410, "HTTP 410")])
def test_a_refusal_is_told_at_once_with_the_way_by_hand(folder: Path, server: Server, status: int, says: str) -> None:
    server.files[ZIP].statuses = [status]
    message = fails(server, folder, DownloadError, says)
    for needed in ("tha4-models.zip", str(folder), THA4_TEACHER.link, "600 MB", "CC BY-NC 4.0", *NETWORKS):
        assert needed in message
    assert len(server.sent(ZIP)) == 1


def test_a_busy_server_is_asked_again_and_given_up_in_the_end(folder: Path, server: Server) -> None:
    server.files[ZIP].statuses = [503, 429, 500]
    fails(server, folder, DownloadError, r"busy \(HTTP 500\).*Gave up after 3 tries")
    assert len(server.sent(ZIP)) == 3
    server.files[ZIP].statuses = [503, 429]
    assert holds(fetch(server, folder), NEW)


def test_nobody_answers(folder: Path, server: Server) -> None:
    with Server() as gone:
        url = gone.url(ZIP)
    with pytest.raises(DownloadError, match="no connection to 127"):
        download_teacher(folder, SHAPES, sources=[Archive(url)])
    assert whole_set(folder) == OLD


def test_a_silent_server_is_given_up_after_the_time_out(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "timeout", 0.5)
    server.files[ZIP].silent_after = 0
    fails(server, folder, DownloadError, "Gave up after 3 tries")
    assert len(server.sent(ZIP)) == 3


def test_a_server_that_falls_silent_is_asked_for_the_rest(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "timeout", 0.5)
    monkeypatch.setattr(Progress, "attempts", 9)
    server.files[ZIP].silent_after = 200_000
    threading.Timer(1.5, lambda: setattr(server.files[ZIP], "silent_after", None)).start()
    assert holds(fetch(server, folder), NEW)
    assert any("range" in request.headers for request in server.requests)


def test_a_truncated_archive_is_named_and_deleted(folder: Path, server: Server) -> None:
    whole, server.files[ZIP].body = server.files[ZIP].body, server.files[ZIP].body[:-5000]
    fails(server, folder, WeightsError, "tha4-models.zip.*not a whole ZIP archive")
    server.files[ZIP].body = whole
    assert holds(fetch(server, folder), NEW)


def test_damage_inside_the_archive_is_found(folder: Path, server: Server) -> None:
    body = bytearray(server.files[ZIP].body)
    body[len(body) // 2] ^= 0xFF
    server.files[ZIP].body = bytes(body)
    fails(server, folder, WeightsError, r"\.pt in tha4-models.zip.*cannot be unpacked")


def test_a_web_page_instead_of_the_archive(folder: Path, server: Server) -> None:
    server.files[ZIP].body = b"<html>This link has been disabled.</html>"
    fails(server, folder, WeightsError, "tha4-models.zip: this is a web page")


def test_a_server_that_ignores_ranges_sends_all_of_it_again(folder: Path, server: Server) -> None:
    size = len(server.files[ZIP].body)
    server.files[ZIP].cuts, server.files[ZIP].ranges = [size // 2], False
    progress = Recorder()
    progress.stop = lambda done: "Unpacking" in progress.calls[-1][-1]
    with pytest.raises(InterruptedByUserError):
        fetch(server, folder, progress=progress)
    assert server.sent(ZIP)[-1] == size
    # A ZIP with half of itself in front would open all the same.
    assert next(folder.rglob("*.zip")).read_bytes() == server.files[ZIP].body


def test_a_file_that_changed_between_two_calls_is_found_out_by_its_checksums(folder: Path, server: Server) -> None:
    right, other = server.files[ZIP].body, zipped(members(3))
    server.files[ZIP] = Served(other, silent_after=len(other) // 2)
    with pytest.raises(InterruptedByUserError):
        fetch(server, folder, progress=Recorder(lambda done: done > len(right) // 4))
    assert next(folder.rglob("*.zip.part")).stat().st_size > len(right) // 4
    server.files[ZIP] = Served(right)
    fails(server, folder, WeightsError, "in tha4-models.zip: cannot be unpacked")
    assert holds(fetch(server, folder), NEW)


def test_a_part_longer_than_the_file_starts_anew(folder: Path, server: Server) -> None:
    right = server.files[ZIP].body
    server.files[ZIP] = Served(right + bytes(200_000), silent_after=len(right) + 100_000)
    with pytest.raises(InterruptedByUserError):
        fetch(server, folder, progress=Recorder(lambda done: done > len(right)))
    assert next(folder.rglob("*.zip.part")).stat().st_size > len(right)
    server.files[ZIP] = Served(right)  # the same ETag: the server answers that there is no such range
    assert holds(fetch(server, folder), NEW)
    assert server.sent(ZIP)[-2:] == [0, len(right)]


@pytest.mark.parametrize("name", ["../evil.pt", "tha4/../../evil.pt", "/evil.pt", "..\\evil.pt", "C:/evil.pt"])
def test_names_in_an_archive_that_lead_outside_lead_nowhere(folder: Path, server: Server, name: str) -> None:
    server.files[ZIP].body = zipped({**members(), name: b"evil"})
    assert holds(fetch(server, folder), NEW)
    assert not list(folder.parents[2].rglob("evil*"))


def test_only_the_five_files_are_unpacked(tmp_path: Path, server: Server) -> None:
    server.files[ZIP].body = zipped({**members(), "tha4/setup.py": b"raise SystemExit", "tha4/extra.pt": b"x"})
    fetch(server, tmp_path)
    assert {path.stem for path in tmp_path.rglob("*") if path.is_file()} == {*NETWORKS, ".lock"}


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


def test_a_file_with_program_code_is_refused_and_not_run(folder: Path, server: Server, tmp_path: Path) -> None:
    server.files[ZIP].body = zipped({**members(), "tha4/upscaler.pt": pt({"weight": Evil(tmp_path / "ran")})})
    fails(server, folder, WeightsError, r"^upscaler.pt in tha4-models.zip: refused")
    assert not (tmp_path / "ran").exists()
    assert not list(folder.rglob("*.zip.part"))


def test_wrong_architectures_are_named_key_by_key(folder: Path, server: Server) -> None:
    good = tensors(NEW, "upscaler")
    short = {key: value for key, value in good.items() if "bias" not in key}
    for wrong, says in (
        ({**good, "upscaler.bias": torch.zeros(3)}, r"upscaler.bias has the shape \[3\]"),
        (short, "1 keys are missing, the first is upscaler.bias"),
        ({**good, "other": torch.zeros(1)}, "do not belong here, the first is other"),
        ({**good, "upscaler.bias": good["upscaler.bias"] / 0}, "not finite"),
        (tensors(NEW, "face_morpher"), "another network"),
    ):
        server.files[ZIP].body = zipped({**members(), "tha4/upscaler.pt": pt(wrong)})
        fails(server, folder, WeightsError, f"^upscaler.pt in tha4-models.zip: .*{says}")


def test_an_archive_with_four_of_the_five(folder: Path, server: Server) -> None:
    server.files[ZIP].body = zipped({name: body for name, body in members().items() if "upscaler" not in name})
    fails(server, folder, WeightsError, "it has no upscaler")


def test_a_bomb_is_not_unpacked(folder: Path, server: Server) -> None:
    server.files[ZIP].body = zipped({**members(), "tha4/upscaler.pt": bytes(20_000_000)})
    fails(server, folder, WeightsError, "upscaler.pt in tha4-models.zip: unpacked it would be 20000000 bytes")


# The disk


@pytest.fixture
def disk(small_disk: Path, server: Server) -> Path:
    """A file system of 3 MB with the old set on it."""
    fetch(server, small_disk, path="/old.zip")
    return small_disk


def test_a_disk_too_small_is_found_before_fetching(disk: Path, server: Server) -> None:
    (disk / "ballast").write_bytes(bytes(1_500_000))
    fails(server, disk, DownloadError, "are needed on this disk")
    assert not list(disk.rglob("*.zip.part"))
    (disk / "ballast").unlink()


def test_a_disk_that_fills_while_fetching_keeps_the_part(disk: Path, server: Server) -> None:
    ballast, size = disk / "ballast", len(server.files[ZIP].body)
    server.files[ZIP].silent_after = size // 2

    def fill(done: int) -> bool:
        if done > size // 4 and not ballast.exists():
            ballast.write_bytes(bytes(shutil.disk_usage(disk).free))
            server.files[ZIP].go.set()
        return False

    fails(server, disk, DownloadError, "cannot be written", progress=Recorder(fill))
    had = next(disk.rglob("*.zip.part")).stat().st_size
    assert had > size // 4
    ballast.unlink()
    assert holds(fetch(server, disk), NEW)
    assert server.sent(ZIP)[-1] <= size - size // 4


def test_a_disk_that_fills_while_converting_keeps_the_archive(disk: Path, server: Server) -> None:
    ballast = disk / "ballast"

    class Filler(Recorder):
        def __call__(self, done: int, total: int | None, rate: float, text: str) -> None:
            if "upscaler" in text and not ballast.exists():
                ballast.write_bytes(bytes(shutil.disk_usage(disk).free))

    fails(server, disk, DownloadError, "cannot be written", progress=Filler())
    ballast.unlink()
    before = len(server.sent(ZIP))
    assert holds(fetch(server, disk), NEW)
    assert len(server.sent(ZIP)) == before


# Other processes


PRELUDE = """
import os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests import made_up_teacher as t
from tha4_core.weights import Archive, download_teacher
url, folder = sys.argv[1], Path(sys.argv[2])
def fetch(progress=t.Recorder()):
    return download_teacher(folder, t.SHAPES, sources=[Archive(url)], progress=progress)
"""


def start(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once_fetch_once(folder: Path, server: Server) -> None:
    code = """
def tell(done, total, rate, text):
    print(text, flush=True)
assert t.holds(fetch(tell), t.NEW)
"""
    server.files[ZIP].silent_after = 100_000
    with start(code, server.url(ZIP), folder) as first:
        while "Downloading" not in (first.stdout.readline() if first.stdout else "Downloading"):
            assert first.poll() is None
        with start(code, server.url(ZIP), folder) as second:
            assert second.stdout is not None
            for _ in range(3):
                assert "Waiting" in second.stdout.readline()
            server.files[ZIP].go.set()
            assert second.communicate(timeout=60)
        first.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(server.sent(ZIP)) == 1
    assert whole_set(folder) == NEW


def test_two_threads_at_once_fetch_once(folder: Path, server: Server) -> None:
    found: list[dict[str, Path]] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(server, folder))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 3
    assert found[0] == found[1] == found[2]
    assert len(server.sent(ZIP)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that dies at a chosen step is made by fork")
def test_a_crash_at_any_step_leaves_the_old_or_the_new_set(folder: Path, server: Server) -> None:
    """The process dies, without any clean-up, before its n-th change of the file system, for every n."""
    code = """
import filelock, requests, shutil  # once, and not in each child
EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.truncate"}
def run(steps):
    left = [steps]
    def die(event, arguments):
        if event in EVENTS:
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)
    sys.addaudithook(die)
    fetch()
    os._exit(0)
def die_at(steps):
    shutil.rmtree(folder)
    shutil.copytree(start, folder)
    child = os.fork()
    if not child:
        run(steps)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
start, seen, littered = folder.with_name("start"), [], 0
shutil.copytree(folder, start)
for steps in range(200):
    status = die_at(steps)
    seen.append(t.whole_set(folder))
    half_done = len(list(folder.glob("set-*"))) == 1 and len(list(folder.rglob("*.safetensors"))) > 5
    littered = steps if half_done else littered
    if status == 0:
        break
    assert status == 9, status
die_at(littered)
assert littered and len(list(folder.rglob("*.safetensors"))) > 5
assert t.holds(fetch(), t.NEW) and len(list(folder.rglob("*.safetensors"))) == 5
print(seen)
"""
    with start(code, server.url(ZIP), folder) as process:
        output, _ = process.communicate(timeout=80)
    assert process.returncode == 0
    seen = [int(digit) for digit in re.findall(r"\d", output)]
    assert seen.count(OLD) > 10
    assert seen.count(NEW) > 1
    assert seen == sorted(seen)


def test_an_interrupt_at_any_report_leaves_the_old_or_the_new_set(folder: Path, server: Server) -> None:
    for calls in range(200):
        progress = Recorder()
        progress.stop = lambda done, progress=progress, calls=calls: len(progress.calls) > calls
        try:
            fetch(server, folder, progress=progress)
            break
        except InterruptedByUserError:
            assert whole_set(folder) == OLD
    assert calls >= 8
    assert whole_set(folder) == NEW


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
def test_a_limit_on_file_sizes_is_a_full_disk_too(folder: Path, server: Server) -> None:
    code = """
import resource
from tha4_core.errors import DownloadError
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    fetch()
except DownloadError as error:
    print(error)
"""
    with start(code, server.url(ZIP), folder) as process:
        output, _ = process.communicate(timeout=60)
    assert "cannot be written" in output
    assert next(folder.rglob("*.zip.part")).stat().st_size == 200_000
    assert whole_set(folder) == OLD


def test_importing_the_core_loads_no_client() -> None:
    code = """
import sys, tha4_core, tha4_core.weights.downloads
print([name for name in ("requests", "huggingface_hub", "httpx", "filelock", "urllib3") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
