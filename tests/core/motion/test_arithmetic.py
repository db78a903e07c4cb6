"""Arithmetic on motions: its identities, and that nothing ever leaves its range."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tha4_core import pose
from tha4_core.errors import MotionError
from tha4_core.motion import arithmetic, groups, smoothing
from tha4_core.pose import Poses


@st.composite
def motions(draw: st.DrawFn, smallest: int = 1) -> Poses:
    count, seed = draw(st.integers(smallest, 40)), draw(st.integers(0, 1000))
    values = torch.rand(count, 45, generator=torch.Generator().manual_seed(seed))
    low = torch.tensor([p.minimum for p in pose.PARAMETERS])
    return Poses(low + values * (1 - low), draw(st.sampled_from([10.0, 24.0, 30.0, 29.97])))


@given(motions())
def test_mirror_twice_is_identity(poses: Poses) -> None:
    assert torch.equal(arithmetic.mirror(arithmetic.mirror(poses)).values, poses.values)


def test_mirror_swaps_sides_and_turns() -> None:
    one = Poses(
        pose.make_pose({"eye_wink_left": 1, "head_y": 0.5, "head_x": 0.3, "iris_rotation_y": -0.2, "neck_z": 1})
    )
    other = pose.make_pose({"eye_wink_right": 1, "head_y": -0.5, "head_x": 0.3, "iris_rotation_y": 0.2, "neck_z": -1})
    assert torch.equal(arithmetic.mirror(one).values, other)
    assert {pose.NAMES[i] for i in groups.SIDEWAYS} == {"iris_rotation_y", "head_y", "neck_z", "body_y", "body_z"}


@given(motions())
def test_reverse_twice_is_identity(poses: Poses) -> None:
    assert torch.equal(arithmetic.reverse(arithmetic.reverse(poses)).values, poses.values)


@given(motions(), st.floats(0, 1))
def test_blend_of_equals_is_equal(poses: Poses, amount: float) -> None:
    assert torch.equal(arithmetic.blend(poses, poses, amount).values, poses.values)


@given(motions(), motions())
def test_blend_ends(a: Poses, b: Poses) -> None:
    torch.testing.assert_close(arithmetic.blend(a, b, 0).values[: len(a)], a.values)
    if a.fps == b.fps:
        torch.testing.assert_close(arithmetic.blend(a, b, 1).values[: len(b)], b.values)


@given(motions(), motions(), st.floats(-100, 100), st.floats(0, 5))
def test_everything_stays_in_range(a: Poses, b: Poses, amount: float, seconds: float) -> None:
    for made in (
        arithmetic.add(a, b, amount),
        arithmetic.scale(a, amount),
        arithmetic.crossfade(a, b, seconds),
        arithmetic.resample(a, 25),
        smoothing.one_euro(a),
    ):
        assert torch.equal(pose.limit(made.values), made.values)
        assert made.fps == (25 if made.fps == 25 else a.fps)


@given(motions(), motions())
def test_append_and_add_nothing(a: Poses, b: Poses) -> None:
    joined = arithmetic.append(a, b, a)
    assert torch.equal(joined.values[: len(a)], a.values)
    assert torch.equal(joined.values[-len(a) :], a.values)
    assert torch.equal(arithmetic.add(a, b, 0).values[: len(a)], a.values)
    assert torch.equal(arithmetic.crossfade(a, b, 0).values, arithmetic.append(a, b).values)


def test_crossfade_overlaps_and_does_not_jump() -> None:
    a, b = Poses(torch.zeros(30, 45), 30), Poses(torch.ones(30, 45), 30)
    faded = arithmetic.crossfade(a, b, 0.5)
    assert len(faded) == 45
    assert float(faded.values.diff(dim=0).max()) < 0.1


@given(motions())
def test_groups_take_a_motion_apart(poses: Poses) -> None:
    parts = [arithmetic.mask(poses, [group]) for group in groups.GROUPS]
    assert torch.equal(sum(part.values for part in parts), poses.values)  # type: ignore[arg-type]
    assert sorted(i for indices in groups.GROUPS.values() for i in indices) == list(range(45))
    zero = Poses(torch.zeros(1, 45), poses.fps)
    assert torch.equal(arithmetic.replace(poses, zero, ["mouth"]).values[:, 26:37], torch.zeros(len(poses), 11))
    assert torch.equal(arithmetic.replace(zero, poses, list(groups.GROUPS)).values, poses.values)


@given(motions(smallest=2))
def test_resampling_keeps_the_frames_it_shares(poses: Poses) -> None:
    fine = arithmetic.resample(poses, poses.fps * 4)
    torch.testing.assert_close(fine.values[::4], poses.values)
    torch.testing.assert_close(arithmetic.resample(fine, poses.fps).values, poses.values)


@given(motions(smallest=2), st.floats(0.2, 5))
def test_retime_keeps_the_ends(poses: Poses, speed: float) -> None:
    made = arithmetic.retime(poses, speed)
    assert len(made) == max(1, round((len(poses) - 1) / speed) + 1)
    torch.testing.assert_close(made.values[0], poses.values[0])
    if len(made) > 1:
        torch.testing.assert_close(made.values[-1], poses.values[-1])
    torch.testing.assert_close(arithmetic.retime(poses, 1.0).values, poses.values)


def test_limit_narrows() -> None:
    made = arithmetic.limit(Poses(torch.ones(1, 45)), {"eye_wink": (0, 0.5), "head_y": (-0.1, 0.1)})
    assert made.values[0, [12, 13, 40, 26]].tolist() == pytest.approx([0.5, 0.5, 0.1, 1.0])
    with pytest.raises(MotionError, match="above the highest"):
        arithmetic.limit(made, {"eye_wink": (1, 0)})


def _noisy(count: int = 300) -> tuple[torch.Tensor, Poses]:
    clean = torch.zeros(count, 45)
    clean[:, 40] = 0.5 * torch.sin(torch.arange(count) / 30 * 2 * math.pi * 0.5)
    noise = 0.05 * torch.randn(count, generator=torch.Generator().manual_seed(1))
    values = clean.clone()
    values[:, 40] += noise
    return clean, Poses(values, 30)


def test_smoothing_takes_noise_away() -> None:
    clean, noisy = _noisy()
    jitter = float(noisy.values.diff(2, dim=0).std())
    assert float(smoothing.one_euro(noisy).values.diff(2, dim=0).std()) < 0.5 * jitter
    pytest.importorskip("scipy.signal")
    before = float((noisy.values - clean).std())
    assert float((smoothing.savitzky_golay(noisy, 0.5).values - clean).std()) < 0.5 * before


@given(motions(), st.floats(0.01, 3), st.integers(1, 5))
def test_smoothing_keeps_still_what_is_still(poses: Poses, seconds: float, order: int) -> None:
    still = Poses(poses.values[:1].repeat(20, 1), poses.fps)
    torch.testing.assert_close(smoothing.one_euro(still).values, still.values)
    pytest.importorskip("scipy.signal")
    torch.testing.assert_close(smoothing.savitzky_golay(still, seconds, order).values, still.values)
    assert len(smoothing.savitzky_golay(poses, seconds, order)) == len(poses)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: arithmetic.blend(p, p, 2),
        lambda p: arithmetic.retime(p, 0),
        lambda p: arithmetic.retime(p, math.nan),
        lambda p: arithmetic.crossfade(p, p, -1),
        lambda p: arithmetic.scale(p, math.inf),
        lambda p: arithmetic.mask(p, ["ears"]),
        lambda p: arithmetic.resample(p, 0),
        lambda p: smoothing.one_euro(p, 0),
        lambda p: smoothing.savitzky_golay(p, 0),
    ],
)
def test_nonsense_is_refused(wrong: Callable[[Poses], object]) -> None:
    with pytest.raises(MotionError):
        wrong(Poses(torch.zeros(3, 45)))


def test_limits_are_read_from_lines() -> None:
    text = "head_y -0.5 0.5  # half way\n\neye_wink 0 0.25\n"
    assert arithmetic.parse_limits(text) == {"head_y": (-0.5, 0.5), "eye_wink": (0.0, 0.25)}


@pytest.mark.parametrize("text", ["head_y 1", "head_y a b", "head_y 0 nan", "head_y 0 1 2"])
def test_limits_that_cannot_be_read_are_named(text: str) -> None:
    with pytest.raises(MotionError, match="ine 2 of the limits"):
        arithmetic.parse_limits("eye_wink 0 1\n" + text)
