"""Poses as files: exact round trips in three formats, and clear errors for broken ones."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from tha4_core import pose
from tha4_core.errors import MotionError, THA4Error
from tha4_core.motion import files, plot
from tha4_core.pose import Poses, make_pose

pytestmark = pytest.mark.usefixtures("windows_files")

some_poses = st.builds(
    lambda values, fps: Poses(pose.limit(torch.from_numpy(values.copy())), fps),
    st_numpy.arrays(np.float32, st.tuples(st.integers(1, 4), st.just(45)), elements=st.floats(-1, 1, width=32)),
    st.floats(0.1, 240),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("poses")


@pytest.mark.parametrize("suffix", files.SUFFIXES)
@given(poses=some_poses)
def test_round_trip_is_exact(folder: Path, suffix: str, poses: Poses) -> None:
    path = folder / f"motion{suffix}"
    files.save(poses, path)
    loaded = files.load(path)
    assert torch.equal(loaded.values, poses.values)
    assert loaded.fps == poses.fps
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_json_is_readable() -> None:
    text = files.to_json(Poses(make_pose({"eye_wink": 0.1, "head_y": -0.25}), 24))
    assert '{"eye_wink_left": 0.1, "eye_wink_right": 0.1, "head_y": -0.25}' in text
    by_hand = '{"format": "tha4-poses", "version": 1, "fps": 24, "poses": [{"eye_wink": 0.1, "head_y": -0.25}, {}]}'
    assert torch.equal(
        files.from_json(by_hand).values, torch.cat([make_pose({"eye_wink": 0.1, "head_y": -0.25}), make_pose({})])
    )


def test_csv_from_other_programs() -> None:
    poses = files.from_csv("time,head_y,eye_wink\n0,0,0\n0.5,0.5,1\n1.0,1,0\n")
    assert (len(poses), poses.fps) == (3, 2.0)
    assert poses.values[1, [40, 12, 13]].tolist() == [0.5, 1, 1]
    # Uneven stamps come to an even rate.
    uneven = files.from_csv("time,head_y\n10,0\n10.1,0.1\n10.4,0.4\n10.3,9\n11,1\n")
    torch.testing.assert_close(uneven.values[:, 40], torch.arange(len(uneven)) / uneven.fps, atol=1e-5, rtol=0)


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_broken_files_give_clear_errors(
    tmp_path: Path, suffix: str, mutations: Callable[[bytes], Iterator[bytes]]
) -> None:
    path = tmp_path / f"motion{suffix}"
    files.save(Poses(torch.rand(3, 45), 30), path)
    refused = 0
    for content in mutations(path.read_bytes()):
        path.write_bytes(content)
        try:
            assert isinstance(files.load(path), Poses)
        except THA4Error as error:
            refused += 1
            assert path.name in str(error)  # noqa: PT017
    assert refused > 500


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "not a file of poses"),
        ('{"format": "tha4-poses"}', "version None"),
        ('{"format": "tha4-poses", "version": 1, "fps": 30, "poses": []}', "0 poses"),
        ('{"format": "tha4-poses", "version": 1, "fps": 30, "poses": [[]]}', "pose 0"),
        ('{"format": "tha4-poses", "version": 1, "fps": 0, "poses": [{}]}', "fps"),
        ('{"format": "tha4-poses", "version": 1, "fps": true, "poses": [{}]}', "fps must be a number"),
        ('{"format": "tha4-poses", "version": 1, "fps": 30, "poses": [{}, {"nose": 1}]}', "pose 1: .*nose"),
        ('{"format": "tha4-poses", "version": 1, "fps": 30, "poses": [{"head_y": 2}]}', "head_y = 2 is outside"),
        ('{"format": "tha4-poses", "version": 1, "fps": 30, "poses": [{"head_y": NaN}]}', "finite"),
    ],
)
def test_bad_json_is_named(text: str, says: str) -> None:
    with pytest.raises(THA4Error, match=says):
        files.from_json(text, "mine.json")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs a line of parameter names"),
        ("head_y\n0\n", "does not say its frame rate"),
        ("# fps = 30\nhead_y,nose\n0,0\n", '"nose"'),
        ("# fps = 30\nhead_y\n0,0\n", "pose 0: 2 numbers for 1 names"),
        ("# fps = 30\nhead_y\n0\nx\n", "pose 1: head_y must be a number"),
        ("# fps = x\nhead_y\n0\n", "fps must be a number"),
    ],
)
def test_bad_csv_is_named(text: str, says: str) -> None:
    with pytest.raises(THA4Error, match=says):
        files.from_csv(text, "mine.csv")


def test_hostile_npz(tmp_path: Path) -> None:
    def write(**arrays: object) -> Path:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        (tmp_path / "x.npz").write_bytes(buffer.getvalue())
        return tmp_path / "x.npz"

    names = np.array(pose.NAMES)
    for arrays, says in (
        ({"values": np.zeros((1, 45))}, "lacks fps, names"),
        ({"values": np.zeros((1, 44)), "fps": 30.0, "names": names}, "44"),
        ({"values": np.zeros((1, 45)), "fps": 30.0, "names": names[::-1]}, "in their order"),
        ({"values": np.array([{}]), "fps": 30.0, "names": names}, "not an .npz"),
        ({"values": np.zeros((1, 45), complex), "fps": 30.0, "names": names}, "floats"),
        ({"values": np.zeros((800_000, 45)), "fps": 30.0, "names": names}, "unpacks to"),
        ({"values": np.zeros((1_000_001, 45), np.float16), "fps": 30.0, "names": names}, "has 1,000,001 poses"),
    ):
        with pytest.raises(THA4Error, match=says):
            files.load(write(**arrays))


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(MotionError, match="cannot be read"):
        files.load(tmp_path / "nowhere.json")
    with pytest.raises(MotionError, match=r"kept in \.json"):
        files.save(Poses(torch.zeros(1, 45)), tmp_path / "x.txt")
    (tmp_path / "latin.json").write_bytes(json.dumps("é", ensure_ascii=False).encode("latin-1"))
    with pytest.raises(MotionError, match="UTF-8"):
        files.load(tmp_path / "latin.json")


@pytest.mark.parametrize("count", [1, 2, 300, 20_000])
def test_plot_shows_what_moves(count: int) -> None:
    values = torch.zeros(count, 45)
    still = plot.plot(Poses(values), 640, 480)
    assert still.shape == (480, 640, 3)
    assert still.dtype == torch.float32
    assert 0 <= float(still.min()) < float(still.max()) <= 1
    values[-count // 2 :, 26] = 1.0
    changed = (plot.plot(Poses(values), 640, 480) != still).any(dim=2).any(dim=1).nonzero().flatten()
    # Only the third of six bands, which is the mouth's.
    assert 480 * 0.3 < int(changed.min()) < int(changed.max()) < 480 * 0.52


def test_plot_has_a_size() -> None:
    with pytest.raises(MotionError, match="10 × 10"):
        plot.plot(Poses(torch.zeros(1, 45)), 10, 10)
