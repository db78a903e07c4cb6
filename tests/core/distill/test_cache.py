"""The cache of the teacher's frames: exact, repaired where it is damaged, shared, and kept within its limits."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tha4_core.demo import DemoRig, demo_character
from tha4_core.distill import Job, distill, sample_poses, target_cache
from tha4_core.distill.cache_folders import evict, in_use
from tha4_core.distill.target_cache import TargetCache, TargetsInMemory, compute_targets
from tha4_core.errors import DistillError
from tha4_core.pose import COUNT
from tha4_core.teacher import Targets

Make = Callable[..., Job]
POSES = sample_poses(4, 3)


class Counting(DemoRig):
    """The rig; it remembers the poses that it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def targets(self, character: object, poses: Tensor) -> Targets:
        self.shown.extend(poses)
        return super().targets(character, poses)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch, windows_files: None) -> None:
    monkeypatch.setattr(target_cache, "CHUNK", 2)


@pytest.fixture
def teacher() -> Counting:
    return Counting()


def fill(folder: Path, teacher: Counting, tick: Callable[[int], None] = lambda done: None) -> None:
    compute_targets(folder, demo_character(), teacher, POSES, tick)


def chunks(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.f16"))


def test_a_pose_is_learned_by_its_numbers(rig: nn.Module, tmp_path: Path) -> None:
    """The frames on disk are the teacher's, whatever the chunk."""
    poses = torch.cat([torch.zeros(1, COUNT), POSES])
    compute_targets(tmp_path / "frames", demo_character(), rig, poses, lambda done: None)
    with TargetCache(tmp_path / "frames", poses) as held:
        for index in (0, len(poses) - 1):
            targets = rig.targets(demo_character(), poses[index : index + 1])
            torch.testing.assert_close(held.frame(index), targets.frame[0].movedim(0, -1), atol=1e-3, rtol=0)
            part = held.grid_change(index, slice(3, 9), slice(100, 101))
            torch.testing.assert_close(part, targets.grid_change[0, :, 3:9, 100:101].movedim(0, -1), atol=1e-3, rtol=0)
            torch.testing.assert_close(held.face(index), targets.face[0].movedim(0, -1), atol=1e-3, rtol=0)


def test_targets_in_memory_are_those_on_disk(rig: nn.Module, tmp_path: Path) -> None:
    compute_targets(tmp_path, demo_character(), rig, POSES, lambda done: None)
    in_memory = TargetsInMemory(demo_character(), rig, POSES)
    with TargetCache(tmp_path, POSES) as held:
        for index in (0, 3, 0):
            assert torch.equal(in_memory.frame(index), held.frame(index))
            assert torch.equal(in_memory.face(index), held.face(index))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "cut by its checksum": lambda content: content[:-4],
    "empty": lambda content: b"",
    "zeroed": lambda content: bytes(len(content)),
    "zeroed in part": lambda content: content[:8192] + bytes(4096) + content[12288:],
    "a bit": lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
    "longer": lambda content: content + b"x",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_chunk_is_computed_anew(tmp_path: Path, teacher: Counting, damage: Callable[[bytes], bytes]) -> None:
    fill(tmp_path, teacher)
    second = chunks(tmp_path)[1]
    whole = second.read_bytes()
    second.write_bytes(damage(whole))
    teacher.shown.clear()
    fill(tmp_path, teacher)
    assert second.read_bytes() == whole
    assert torch.equal(torch.stack(teacher.shown), POSES[2:])


def test_two_at_once_share_the_work(tmp_path: Path) -> None:
    """Each waits for what the other computes; a chunk whose process ends before it is written is taken over."""
    first, second = Counting(), Counting()
    begun, go_on = threading.Event(), threading.Event()

    def stop_soon(done: int) -> None:
        begun.set()
        go_on.wait(60)
        raise InterruptedError

    def compute_and_stop() -> None:
        with pytest.raises(InterruptedError):
            fill(tmp_path, first, stop_soon)

    def while_it_has_the_chunk(done: int) -> None:
        if len(chunks(tmp_path)) == 1:  # the other one is there, and this process waits
            assert [path.name for path in chunks(tmp_path)] == ["000002.f16"]
            go_on.set()

    thread = threading.Thread(target=compute_and_stop)
    thread.start()
    begun.wait(60)
    fill(tmp_path, second, while_it_has_the_chunk)
    thread.join()
    assert go_on.is_set()
    assert first.shown == []
    assert torch.equal(torch.stack(second.shown), POSES[[2, 3, 0, 1]])
    assert len(chunks(tmp_path)) == 2


def test_frames_that_are_there_need_no_room(job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    made = job(poses=sample_poses(5, 99), name="roomless")
    free = 10**8
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    with pytest.raises(DistillError, match=r"frames for 1 pose need 0\.0 GB, and 0\.1 GB are free. Free some disk"):
        distill(made)
    free = 10**12
    distill(made)
    made.path.unlink()
    free = 0
    distill(made)


def test_a_disk_that_fills_up_is_told_as_that(
    tmp_path: Path, small_disk: Path, teacher: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**12))  # others may fill it meanwhile
    with pytest.raises(DistillError, match=r"frames could not be written \(No space left.*Free some disk space"):
        fill(small_disk / "frames", teacher)
    assert not list(small_disk.rglob("*.part"))


def test_an_error_that_is_not_the_disks_fullness_is_not_told_as_that(
    tmp_path: Path, teacher: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)  # stands in for a disk that breaks
    with pytest.raises(
        DistillError, match=r"Input/output error\)\. Make sure that files can be written there"
    ) as error:
        fill(tmp_path, teacher)
    assert "space" not in str(error.value)


def folders_of(root: Path, *names: str) -> None:
    """Folders of 1000 bytes, the first used longest ago."""
    for age, name in enumerate(reversed(names)):
        (root / name).mkdir(parents=True)
        (root / name / "000000.f16").write_bytes(bytes(1000))
        os.utime(root / name, (1e9 - age, 1e9 - age))


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def test_the_least_recently_used_frames_go_first(tmp_path: Path) -> None:
    folders_of(tmp_path, "oldest", "older", "new")
    evict(tmp_path, 2500, 0)
    assert names(tmp_path) == ["new", "older"]
    with in_use(tmp_path / "older", lambda: None):
        evict(tmp_path, 0, 0)
        assert names(tmp_path) == ["older"]
    evict(tmp_path, 0, 0)
    assert names(tmp_path) == []


def test_frames_that_nobody_uses_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders_of(tmp_path, "oldest", "older", "new")
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5000))
    evict(tmp_path, 10**9, 10_000)  # all of it would not be enough
    assert len(names(tmp_path)) == 3
    evict(tmp_path, 10**9, 5500)
    assert names(tmp_path) == ["new", "older"]


def test_leftovers_of_kills_are_deleted_where_nobody_writes(tmp_path: Path) -> None:
    folders_of(tmp_path, "free", "used")
    for folder in tmp_path.iterdir():
        for name in ("000002.part", "000002.lock", "in-use-00000000.lock"):
            (folder / name).touch()
    with in_use(tmp_path / "used", lambda: None):
        evict(tmp_path, 10**9, 0)
        assert [path.name for path in (tmp_path / "free").iterdir()] == ["000000.f16"]
        assert (tmp_path / "used" / "000002.part").is_file()
        assert not (tmp_path / "used" / "in-use-00000000.lock").exists()


def test_frames_that_cannot_be_deleted_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folders_of(tmp_path, "open", "free")

    def rmtree(folder: Path, delete: Callable[[Path], None] = shutil.rmtree) -> None:
        if folder.name == "open":  # as on Windows, where somebody has a file of it open
            raise PermissionError(13, "used by another process")
        delete(folder)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    evict(tmp_path, 0, 0)
    assert names(tmp_path) == ["open"]
    assert "cannot be deleted now (used by another process)" in caplog.text
