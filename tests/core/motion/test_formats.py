"""Any motion file is known by its content, whatever its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import tha4_core as tha4
from tests.core.motion.tracking.test_recordings import LIVE_LINK, V2
from tests.core.motion.tracking.test_vmd import EXAMPLE
from tha4_core.errors import MotionError, THA4Error
from tha4_core.motion import files

POSES = tha4.Poses(torch.rand(8, 45), 24)


@pytest.mark.parametrize("suffix", files.SUFFIXES)
@pytest.mark.parametrize("name", ["same", "motion.dat", "motion.csv"])
def test_poses(tmp_path: Path, suffix: str, name: str) -> None:
    files.save(POSES, tmp_path / f"x{suffix}")
    path = (tmp_path / f"x{suffix}").rename(tmp_path / (f"same{suffix}" if name == "same" else name))
    poses = tha4.motion.load(path)
    assert torch.equal(poses.values, POSES.values)
    assert (poses.fps, poses.notes) == (24, ())
    assert tha4.motion.load(path, fps=48).fps == 48


@pytest.mark.parametrize(
    ("content", "fps", "frames"),
    [
        (EXAMPLE, 30, 31),
        (f"{V2}\n{V2}\n".encode(), 60, 2),
        (LIVE_LINK.encode(), 1, 3),
        (json.dumps([{"blendshapes": {"jawOpen": 0.5}, "time": t} for t in (0, 0.1, 0.2)]).encode(), 10, 3),
        (b"time,head_y\n0,0\n0.5,1\n", 2, 2),
        (LIVE_LINK.encode("utf-16"), 1, 3),
    ],
)
def test_other_programs(tmp_path: Path, content: bytes, fps: float, frames: int) -> None:
    path = tmp_path / "download"
    path.write_bytes(content)
    poses = tha4.motion.load(path)
    assert poses.values.dtype == torch.float32
    assert (poses.fps, len(poses)) == (fps, frames)
    assert isinstance(poses.notes, tuple)
    doubled = tha4.motion.load(path, fps=fps * 2)
    assert doubled.fps == fps * 2
    assert doubled.notes == poses.notes


def test_notes_are_no_part_of_the_motion() -> None:
    poses = tha4.Poses(torch.zeros(1, 45))
    assert poses.notes == ()
    assert "notes" not in files.to_json(tha4.Poses(torch.zeros(1, 45), 30, ("left out",)))


@pytest.mark.parametrize(
    "content", [b"hello", b"\x89PNG\r\n", b"a,b\n1,2\n", b"\xff\xfe\x00", b"PK\x03\x04junk", b"[3"]
)
def test_what_is_no_motion_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing.bin"
    path.write_bytes(content)
    with pytest.raises(THA4Error, match=r"thing\.bin"):
        tha4.motion.load(path)
    path.write_bytes(b"")
    with pytest.raises(MotionError, match="empty"):
        tha4.motion.load(path)
