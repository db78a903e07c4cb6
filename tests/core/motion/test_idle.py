"""Idle motion: a function of time and seed that stays in range, closes its loops, and does what it is set to."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tha4_core import pose
from tha4_core.errors import MotionError
from tha4_core.motion import idle
from tha4_core.motion.idle import IdleSettings
from tha4_core.pose import Poses, make_pose

seeds = st.integers(0, 2**64 - 1)
amounts = st.floats(0, 1)
looks = st.builds(
    IdleSettings,
    blink=amounts, breathing=amounts, gaze=amounts, sway=amounts, expression=amounts, breathing_period=st.floats(2, 8),
)  # fmt: skip
STILL = IdleSettings(blink=0, breathing=0, gaze=0, sway=0, expression=0)
LOWEST = np.array([p.minimum for p in pose.PARAMETERS])
# The quickest things: a lid goes down in 0.07 s, an eye turns by at most 0.9 in 0.08 s.
FASTEST = 25.0


@given(seeds, looks, st.floats(0.5, 60), st.booleans())
def test_stays_in_range(seed: int, settings: IdleSettings, seconds: float, loop: bool) -> None:
    values = idle.at(np.linspace(0, seconds, 200), seed, settings, seconds if loop else None)
    assert (values >= LOWEST - 1e-12).all()
    assert (values <= 1 + 1e-12).all()


@given(seeds, looks, st.sampled_from([24.0, 30.0, 60.0]), st.booleans())
def test_steps_are_bounded(seed: int, settings: IdleSettings, fps: float, loop: bool) -> None:
    values = idle.sample(10, fps, seed, settings, loop).values
    assert float(values.diff(dim=0).abs().max()) <= FASTEST / fps


@given(seeds, looks, st.floats(0.5, 40), st.integers(0, 599))
def test_a_frame_alone_is_the_frame_of_the_batch(seed: int, settings: IdleSettings, loop: float, k: int) -> None:
    for period in (None, loop):
        batch = idle.at(np.arange(600) / 30, seed, settings, period)
        np.testing.assert_allclose(idle.at([k / 30], seed, settings, period)[0], batch[k], atol=1e-9)


@given(seeds, st.sampled_from([12, 24, 25, 30]), st.integers(2, 4), st.booleans())
def test_another_rate_is_the_same_motion(seed: int, fps: int, times: int, loop: bool) -> None:
    slow, fast = (idle.sample(8, rate, seed, loop=loop).values for rate in (fps, fps * times))
    torch.testing.assert_close(slow, fast[::times])


@given(seeds, looks, st.floats(0.5, 40), st.floats(0, 1))
def test_loops_close_and_repeat(seed: int, settings: IdleSettings, loop: float, fraction: float) -> None:
    ends = idle.at([0.0, np.nextafter(loop, 0), loop], seed, settings, loop)
    np.testing.assert_allclose(ends[1:], ends[[0, 0]], atol=1e-6)
    # Either side of the seam it also moves on at the same speed.
    before, after = idle.at([loop - 1e-4, loop - 2e-4, 0.0, 1e-4], seed, settings, loop).reshape(2, 2, -1)
    np.testing.assert_allclose(before[0] - before[1], after[1] - after[0], atol=1e-4)
    np.testing.assert_allclose(*idle.at([fraction * loop, (fraction + 2) * loop], seed, settings, loop), atol=1e-6)


@given(seeds)
def test_is_deterministic_and_seeds_differ(seed: int) -> None:
    first, again = idle.sample(10, 30, seed), idle.sample(10, 30, seed)
    assert torch.equal(first.values, again.values)
    assert not torch.allclose(first.values, idle.sample(10, 30, (seed + 1) % 2**64).values)


BLINKS = IdleSettings(breathing=0, sway=0, expression=0)


def blinks(seed: int, seconds: float, loop: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The moments at which lids begin to close and those at which they are open again, to 5 ms."""
    shut = idle.at(np.arange(0, seconds, 0.005), seed, BLINKS, loop)[:, 12] > 0
    edges = np.flatnonzero(np.diff(shut.astype(int)))
    begins, ends = edges[shut[edges + 1]], edges[~shut[edges + 1]]
    ends = ends[ends > begins[0]]
    return begins[: len(ends)] / 200, ends / 200


@given(st.sampled_from([12, 12.5, 15, 23.976, 24, 25, 29.97, 30, 48, 60]), seeds, st.floats(0, 1))
def test_blinks_are_seen_shut_at_every_rate(fps: float, seed: int, phase: float) -> None:
    begins, ends = blinks(seed, 30)
    frames = (np.arange(30 * fps) + phase) / fps
    shut = idle.at(frames, seed, BLINKS)[:, 12]
    seen = [shut[(frames > begin) & (frames < end)].max(initial=0) for begin, end in zip(begins, ends, strict=True)]
    assert np.mean(np.array(seen) >= 0.9) >= 0.98


@settings(max_examples=15)
@given(seeds)
def test_blinks_come_12_to_20_times_a_minute(seed: int) -> None:
    assert 12 <= len(blinks(seed, 240)[0]) / 4 <= 20


def test_blinks_vary_and_open_slower_than_they_close() -> None:
    begins, ends = blinks(3, 120)
    assert 0.24 < np.min(ends - begins) < np.median(ends - begins) < 0.36
    assert np.std(ends - begins) > 0.01
    gaps = np.diff(begins)
    assert np.mean((gaps > 1.5) & (gaps < 8)) > 0.8
    assert (gaps < 0.6).any()  # some are double
    shut = idle.at(np.arange(0, 120, 0.001), 3, BLINKS)[:, 12]
    for begin, end in zip(begins, ends, strict=True):
        course = shut[round(begin * 1000) : round(end * 1000)]
        held = np.flatnonzero(course > 0.9999)
        assert held[-1] - held[0] >= 40 or end - begin > 0.36  # the two of a double one may touch
        assert held[0] < 0.8 * (len(course) - held[-1])


def test_blinks_are_rarer_where_that_is_set() -> None:
    calm = idle.sample(600, 100, 3, IdleSettings(blink=0.3)).values[:, 12]
    assert 0.15 < int(((calm[1:] > 0) & (calm[:-1] == 0)).sum()) / 150 < 0.5


@settings(max_examples=20)
@given(seeds)
def test_the_sway_rests_now_and_then(seed: int) -> None:
    only = IdleSettings(**{**vars(STILL), "sway": 1.0})
    sway = idle.at(np.arange(0, 120, 0.05), seed, only)[:, 39:44]
    still = np.abs(np.diff(sway, axis=0)).max(axis=1) < 1e-12
    assert 0.02 < still.mean() < 0.35
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(int))))[::2]
    assert len(runs) >= 4
    assert 0.3 < runs.max() * 0.05 < 2.0


def test_breath_has_its_period() -> None:
    only = IdleSettings(blink=0, gaze=0, sway=0, expression=0, breathing_period=5.0)
    breath = idle.at([0.0, 2.5, 5.0, 7.5], settings=only)[:, 44]
    np.testing.assert_allclose(breath, [0, 1, 0, 1], atol=1e-9)


@pytest.mark.parametrize(
    ("name", "moves"),
    [("blink", {12, 13}), ("breathing", {39, 43, 44}), ("gaze", {37, 38, 39, 40}), ("sway", {39, 40, 41, 42, 43})],
)
def test_each_amount_is_its_own(name: str, moves: set[int]) -> None:
    values = idle.sample(30, 30, 5, IdleSettings(**{**vars(STILL), name: 1.0})).values
    assert set(values.any(dim=0).nonzero().flatten().tolist()) == moves
    assert not idle.sample(30, 30, 5, STILL).values.any()


def test_small_expressions_are_small() -> None:
    values = idle.sample(120, 30, 5, IdleSettings(**{**vars(STILL), "expression": 1.0})).values
    assert 0.1 < float(values.max()) <= 0.4


def test_on_top_of_a_motion() -> None:
    happy = Poses(make_pose({"eye_happy_wink": 1, "head_y": 0.95, "mouth_aaa": 0.7}).repeat(900, 1), 30)
    made = idle.over(happy, 1).values
    assert not made[:, 12:14].any()
    assert (made[:, 26] == happy.values[0, 26]).all()
    assert float(made[:, 40].std()) > 0.01
    neutral = Poses(torch.zeros(900, 45), 30)
    torch.testing.assert_close(idle.over(neutral, 1).values, idle.sample(30, 30, 1).values)


def test_what_is_done_lasts() -> None:
    # The motion of a seed must not change between versions: saved workflows hold on to it.
    expected = [
        [-0.015008, 0.007533, 0.117947, 0.189301, 0.162187, 0.14909, -0.009708],
        [0.025325, -0.002108, -0.110467, 0.164455, 0.049893, 0.175486, 0.030552],
    ]
    np.testing.assert_allclose(idle.at([3.7, 100.3], 42)[:, 37:44], expected, atol=1e-5)
    assert idle.at([100.3], 42, loop=50.0)[0, 44] == pytest.approx((1 - math.cos(2 * math.pi * 0.3 * 12 / 50)) / 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": [-1.0]},
        {"times": [math.nan]},
        {"times": [1e9]},
        {"times": [0.0], "loop": 0.0},
        {"times": [0.0], "seed": -1},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(MotionError):
        idle.at(**wrong)  # type: ignore[arg-type]
    with pytest.raises(MotionError, match="sway is 2"):
        IdleSettings(sway=2)
