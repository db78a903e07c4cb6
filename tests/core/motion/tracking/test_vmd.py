"""MikuMikuDance motions: a file written by hand from the format's description gives known poses."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tha4_core import pose
from tha4_core.errors import MotionError, THA4Error
from tha4_core.motion.easing import cubic_bezier
from tha4_core.motion.tracking import vmd, vmd_poses
from tha4_core.motion.tracking.vmd_poses import soft_limit

LINEAR = (20, 20, 107, 107)
Rotation = tuple[float, float, float, float]


def _name(text: str, size: int = 15) -> bytes:
    # MikuMikuDance leaves what it likes behind the final 0.
    return (text.encode("cp932") + b"\0")[:size].ljust(size, b"\xfd")


def _about(axis: str, degrees: float) -> Rotation:
    half = np.radians(degrees) / 2
    x, y, z = (float(np.sin(half)) * (axis == a) for a in "xyz")
    return x, y, z, float(np.cos(half))


def bone(name: str, frame: int, rotation: Rotation, curve: tuple[int, int, int, int] = LINEAR) -> bytes:
    """A bone's key. The first row of its curve's bytes is x1 y1 x2 y2 for x, y, z and rotation in turn."""
    first = bytes(v for value in curve for v in (9, 9, 9, value))
    rows = [first[i:] + bytes([1, 0, 0][:i]) for i in range(4)]
    # As newer programs write it: a flag over two bytes of the first row.
    rows[0] = rows[0][:2] + b"\0\0" + rows[0][4:]
    return _name(name) + struct.pack("<I3f4f", frame, 0, 0, 0, *rotation) + b"".join(rows)


def morph(name: str, frame: int, weight: float) -> bytes:
    return _name(name) + struct.pack("<If", frame, weight)


def motion(bones: list[bytes], morphs: list[bytes], old: bool = False) -> bytes:
    magic = b"Vocaloid Motion Data file" if old else b"Vocaloid Motion Data 0002"
    head = magic.ljust(30, b"\0") + _name("初音ミク", 10 if old else 20)
    tables = b"".join(struct.pack("<I", len(rows)) + b"".join(rows) for rows in (bones, morphs))
    return head + tables + struct.pack("<II", 0, 0)


EXAMPLE = motion(
    [
        bone("頭", 30, _about("y", 10)), bone("頭", 0, _about("y", 0)),
        bone("首", 0, _about("x", 7.5)), bone("上半身", 0, _about("z", 15)), bone("左腕", 0, _about("x", 90)),
    ],
    [
        morph("あ", 0, 0.0), morph("あ", 30, 1.0), morph("まばたき", 0, 0.5), morph("ｳｨﾝｸ２右", 15, 1.0),
        morph("困る左", 0, 0.25), morph("にやり", 0, 2.0), morph("ほっぺ", 0, 1.0),
    ],
)  # fmt: skip


def _pose(content: bytes, seconds: float) -> dict[str, float]:
    values = vmd_poses.at(vmd.parse(content), np.array([seconds]))[0]
    return {name: float(v) for name, v in zip(pose.NAMES, values, strict=True) if abs(v) > 1e-9}


@pytest.mark.parametrize("old", [False, True])
def test_a_hand_made_motion(old: bool) -> None:
    content = motion([bone("頭", 0, _about("z", -7.5))], [morph("い", 0, 0.5)], old)
    read = vmd.parse(content)
    assert read.model == "初音ミク"
    assert _pose(content, 0.0) == pytest.approx({"neck_z": -0.5, "mouth_iii": 0.5})


def _limited(x: float) -> float:
    return float(soft_limit(np.array([x]))[0])


def test_morphs_and_bones_become_parameters() -> None:
    still = {"eye_wink_left": 0.5, "eyebrow_troubled_left": 0.25, "mouth_raised_corner_left": 1.0,
             "mouth_raised_corner_right": 1.0, "eye_wink_right": 1.0, "body_z": _limited(1), "head_x": 0.5}  # fmt: skip
    # The neck pitches in the space of a body that tilts by 15 degrees, so a little less of it is seen.
    assert _pose(EXAMPLE, 0.0) == pytest.approx(still, abs=0.02)
    half = _pose(EXAMPLE, 0.5)
    assert half["mouth_aaa"] == pytest.approx(0.5)
    assert half["head_y"] == pytest.approx(0.5, abs=0.01)
    poses = vmd_poses.to_poses(vmd.parse(EXAMPLE))
    assert (len(poses), poses.fps) == (31, 30)
    assert float(vmd_poses.to_poses(vmd.parse(EXAMPLE), turn=0.5).values[0, 39]) == pytest.approx(0.25, abs=0.01)


def test_what_is_left_out_is_told() -> None:
    content = motion(
        [bone("左腕", 0, _about("x", 0)), bone("左腕", 9, _about("x", 30)), bone("右腕", 0, _about("x", 30)),
         bone("頭", 0, _about("x", 3)), bone("右目", 5, _about("x", 3))],
        [morph("ほっぺ", 0, 0.0), morph("ほっぺ", 10, 1.0), morph("ほっぺ", 20, 0.0), morph("涙", 0, 0.0),
         morph("あ", 0, 1.0), morph("ん", 0, 1.0), morph("星目", 29, 1.0)],
    )  # fmt: skip
    assert vmd_poses.to_poses(vmd.parse(content)).notes == (
        "Facial morphs left out: 星目 (30 frames), ほっぺ (20 frames).",
        "Bones left out (a pose turns head, upper body and eyes): 左腕.",
    )
    many = motion([], [morph(f"新{i}", 0, 1.0) for i in range(50)])
    assert "and 42 more" in vmd_poses.to_poses(vmd.parse(many)).notes[0]
    assert vmd_poses.to_poses(vmd.parse(motion([bone("頭", 0, _about("x", 3))], [morph("あ", 0, 1.0)]))).notes == ()


def test_who_bows_looks_down_and_who_leans_with_the_head_held_back_looks_ahead() -> None:
    for bones in (("上半身",), ("上半身", "上半身2"), ("腰", "首"), ("上半身2", "頭")):
        bow = motion([bone(name, 0, _about("x", -40 / len(bones))) for name in bones], [])
        assert _pose(bow, 0)["head_x"] == pytest.approx(_limited(-40 / 15), abs=1e-4)
    for body, head in (("上半身", "頭"), ("上半身2", "首"), ("腰", "頭")):
        lean = motion([bone(body, 0, _about("x", -30)), bone(head, 0, _about("x", 30))], [])
        assert _pose(lean, 0).get("head_x", 0.0) == pytest.approx(0, abs=1e-4)


def test_the_head_turns_and_tilts_on_top_of_the_body() -> None:
    upright = motion([bone("上半身", 0, _about("z", 7.5)), bone("頭", 0, _about("z", -7.5))], [])
    assert _pose(upright, 0) == pytest.approx({"body_z": 0.5, "neck_z": -0.5})


@pytest.mark.parametrize("bones", [("両目",), ("右目", "左目"), ("左目",), ("右目",)])
def test_the_gaze_follows_the_eyes_however_they_are_turned(bones: tuple[str, ...]) -> None:
    down = _pose(motion([bone(name, 0, _about("x", -5)) for name in bones], []), 0)
    assert down == pytest.approx({"iris_rotation_x": -0.5})
    together = motion(
        [bone("両目", 0, _about("x", -3)), *(bone(name, 0, _about("x", -2)) for name in ("右目", "左目"))], []
    )
    assert _pose(together, 0) == pytest.approx({"iris_rotation_x": -0.5})


def test_a_dance_does_not_stick_at_the_end() -> None:
    x = np.linspace(-10, 10, 20_001)
    y = soft_limit(x)
    assert (np.diff(y) > 0).all()
    assert np.abs(y).max() < 1
    assert y[np.abs(x) <= 0.6] == pytest.approx(x[np.abs(x) <= 0.6])
    assert y == pytest.approx(-y[::-1])
    # Neither the slope nor the curvature has a step.
    assert np.abs(np.diff(y, 2)).max() < 3e-6
    assert np.diff(y).max() <= 0.001 + 1e-9


@pytest.mark.parametrize(
    ("name", "column", "low", "high"),
    [("ojigi.vmd", "head_x", -1.0, -0.5), ("mei_look_down.vmd", "iris_rotation_x", -1.0, -0.15)],
)
def test_motions_that_users_bring(cases: Path, name: str, column: str, low: float, high: float) -> None:
    values = vmd_poses.to_poses(vmd.load(cases / name)).values[:, pose.NAMES.index(column)]
    assert low < float(values.min()) < high
    assert float(values[0]) == pytest.approx(0, abs=0.02)


def test_a_leaning_character_looks_ahead(cases: Path) -> None:
    values = vmd_poses.to_poses(vmd.load(cases / "yukiho_mouth1.vmd")).values[:, pose.NAMES.index("head_x")]
    assert values.abs().max() < 0.35


def test_the_face_turns_where_the_model_turns() -> None:
    # The model faces -z, and its left is +x: a turn that takes -z to +x is to its left, which is negative here.
    x, y, z, w = _about("y", -8)
    facing = np.array([-2 * (x * z + y * w), -2 * (y * z - x * w), -(1 - 2 * (x * x + y * y))])
    assert facing[0] > 0
    assert _pose(motion([bone("頭", 0, (x, y, z, w))], []), 0)["head_y"] == pytest.approx(_limited(-0.8))


def test_bezier_curves_shape_the_turn() -> None:
    curve = (100, 10, 120, 40)
    content = motion([bone("頭", 0, _about("z", 0)), bone("頭", 30, _about("z", 15), curve)], [])
    for seconds in (0.1, 0.4, 0.8):
        wanted = cubic_bezier(np.array([seconds]), *(v / 127 for v in curve))[0]
        assert _pose(content, seconds).get("neck_z", 0.0) == pytest.approx(_limited(wanted), abs=1e-5)


def test_the_shorter_way_round() -> None:
    far = tuple(-v for v in _about("z", 10))
    content = motion([bone("頭", 0, _about("z", 0)), bone("頭", 10, far)], [])  # type: ignore[arg-type]
    assert _pose(content, 5 / 30)["neck_z"] == pytest.approx(5 / 15, abs=1e-5)


keys = st.lists(st.tuples(st.integers(0, 90), st.floats(-40, 40), st.sampled_from("xyz")), min_size=1, max_size=6)


@given(
    keys,
    st.lists(
        st.tuples(
            st.sampled_from(["あ", "まばたき", "困る左", "ウィンク", "笑顔", "びっくり"]),
            st.integers(0, 90),
            st.floats(-2, 2),
        ),
        max_size=8,
    ),
)
def test_in_range_and_the_same_at_any_rate(
    turns: list[tuple[int, float, str]], weights: list[tuple[str, int, float]]
) -> None:
    content = motion(
        [bone("頭", frame, _about(axis, angle)) for frame, angle, axis in turns],
        [morph(name, frame, weight) for name, frame, weight in weights],
    )
    read = vmd.parse(content)
    slow, fast = vmd_poses.to_poses(read, 30).values, vmd_poses.to_poses(read, 90).values
    np.testing.assert_allclose(fast[::3][: len(slow)], slow, atol=1e-6)
    assert (pose.limit(slow) == slow).all()


def test_broken_motions_give_clear_errors(tmp_path: Path, mutations: Callable[[bytes], Iterator[bytes]]) -> None:
    path, refused = tmp_path / "dance.vmd", 0
    for content in mutations(EXAMPLE):
        path.write_bytes(content)
        try:
            vmd_poses.to_poses(vmd.load(path), 1)
        except THA4Error as error:
            refused += 1
            assert "dance.vmd" in str(error)  # noqa: PT017
    assert 300 < refused <= 1000


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a .vmd"),
        (b"Vocaloid Motion Data 9999".ljust(60, b"\0"), "unknown version"),
        (b"Vocaloid Motion Data 0002".ljust(50, b"\0"), "ends before their number"),
        (b"Vocaloid Motion Data 0002".ljust(50, b"\0") + b"\xff\xff\xff\xff", "4,294,967,295 keys"),
        (motion([], []), "camera"),
        (motion([bone("頭", 2**31, _about("x", 0))], []), "frame 2,147,483,648"),
        (motion([bone("頭", 0, (float("nan"), 0, 0, 1))], []), "bone 頭: a rotation"),
        (motion([], [morph("あ", 0, float("inf"))]), "morph あ: a weight"),
        (EXAMPLE[:400], "truncated"),
        (motion([], [morph(f"m{i}", 0, 1.0) for i in range(1001)]), "more than 1,000 different names"),
    ],
)
def test_bad_motions_are_named(content: bytes, says: str) -> None:
    with pytest.raises(MotionError, match=says):
        vmd.parse(content, "dance.vmd")


def test_a_file_may_end_after_its_bones() -> None:
    content = motion([bone("頭", 0, (0, 0, 0, 0))], [])[:-12]
    assert not vmd_poses.to_poses(vmd.parse(content)).values.any()
