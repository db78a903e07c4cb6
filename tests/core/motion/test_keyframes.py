"""Key frames: pure functions of time that pass through their keys, never overshoot, and close their loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tha4_core import pose
from tha4_core.errors import MotionError
from tha4_core.motion import easing, keyframes
from tha4_core.motion.keyframes import Key, Keyframes

CALM = [name for name in easing.NAMES if not name.startswith("step")]
IN_RANGE = [name for name in CALM if "back" not in name and "elastic" not in name]
MOUTH = 26


@st.composite
def motions(draw: st.DrawFn, names: list[str] = CALM, loop: bool | None = None) -> Keyframes:
    tracks = {}
    for index in draw(st.lists(st.integers(0, 44), min_size=1, max_size=4, unique=True)):
        gaps = draw(st.lists(st.floats(0.05, 2.0), min_size=1, max_size=6))
        low = pose.PARAMETERS[index].minimum
        times = np.cumsum(gaps)
        tracks[index] = tuple(Key(float(t), draw(st.floats(low, 1.0)), draw(st.sampled_from(names))) for t in times)
    end = max(keys[-1].time for keys in tracks.values())
    return Keyframes(tracks, end + draw(st.floats(0.2, 2.0)), draw(st.booleans()) if loop is None else loop)


@pytest.mark.parametrize("name", easing.EASINGS)
def test_easings_go_from_0_to_1(name: str) -> None:
    x = np.linspace(0, 1, 4001)
    y = easing.ease(name, x)
    assert (y[0], y[-1]) == (0, 1)
    if not name.startswith("step"):
        assert np.abs(np.diff(y)).max() < 0.03
    assert easing.ease(name, np.array([-1.0, 2.0])).tolist() == [0, 1]


def test_easings_are_the_known_curves() -> None:
    half = np.array([0.5])
    known = {"ease": 0.8024, "ease-in": 0.3154, "ease-out": 0.6846, "ease-in-quad": 0.25, "ease-out-cubic": 0.875,
             "ease-in-out-sine": 0.5, "ease-in-sine": 0.2929, "ease-out-bounce": 0.765625}  # fmt: skip
    assert {name: round(float(easing.ease(name, half)[0]), 4) for name in known} == pytest.approx(known, abs=1e-4)
    assert easing.find_name("easeOutQuad") == easing.find_name("EASE_OUT_QUAD") == "ease-out-quad"
    assert easing.find_name("wobble") is None


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(-1, 1)), min_size=2, max_size=8))
def test_spline_is_scipys_pchip(steps: list[tuple[float, float]]) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    times, values = np.cumsum([s[0] for s in steps]), np.array([s[1] for s in steps])
    keys = tuple(Key(float(t), float(v), "spline") for t, v in zip(times, values, strict=True))
    moments = np.linspace(times[0], times[-1], 200)
    ours = keyframes.at(Keyframes({39: keys}, float(times[-1])), moments)[:, 39]
    np.testing.assert_allclose(ours, interpolate.PchipInterpolator(times, values)(moments), atol=1e-9)


@given(motions())
def test_passes_through_its_keys_and_rests_elsewhere(motion: Keyframes) -> None:
    for index, keys in motion.tracks.items():
        values = keyframes.at(motion, [k.time for k in keys])
        np.testing.assert_allclose(values[:, index], [k.value for k in keys], atol=1e-9)
    others = [i for i in range(pose.COUNT) if i not in motion.tracks]
    assert not keyframes.at(motion, [0.3])[:, others].any()


@given(motions(names=IN_RANGE))
def test_never_overshoots(motion: Keyframes) -> None:
    values = keyframes.at(motion, np.linspace(0, motion.length, 500))
    for index, keys in motion.tracks.items():
        wanted = [k.value for k in keys]
        assert min(wanted) - 1e-9 <= values[:, index].min()
        assert values[:, index].max() <= max(wanted) + 1e-9


@given(motions(), st.floats(1, 120), st.data())
def test_a_frame_alone_is_the_frame_of_the_batch(motion: Keyframes, fps: float, data: st.DataObject) -> None:
    batch = keyframes.sample(motion, fps).values
    k = data.draw(st.integers(0, len(batch) - 1))
    alone = pose.limit(torch.from_numpy(keyframes.at(motion, [k / fps])).float())
    np.testing.assert_allclose(alone[0], batch[k], atol=1e-6)


@given(motions(), st.integers(1, 60), st.integers(2, 5))
def test_another_rate_is_the_same_motion(motion: Keyframes, fps: int, times: int) -> None:
    slow, fast = (keyframes.sample(motion, rate).values for rate in (fps, fps * times))
    count = min(len(slow), len(fast[::times]))
    np.testing.assert_allclose(slow[:count], fast[::times][:count], atol=1e-6)


@given(motions(loop=True), st.floats(0, 1))
def test_loops_close_and_repeat(motion: Keyframes, fraction: float) -> None:
    ends = keyframes.at(motion, [0.0, motion.length - 1e-7, motion.length + 1e-7])
    assert np.abs(ends[1:] - ends[0]).max() < 2e-2  # circ and expo arrive steeply
    moment = fraction * motion.length
    np.testing.assert_allclose(*keyframes.at(motion, [moment, moment + 3 * motion.length]), atol=2e-2)


@settings(max_examples=50)
@given(motions(names=["linear", "spline", "ease-in-out", "ease-in-out-sine"]))
def test_steps_are_bounded(motion: Keyframes) -> None:
    # Keys lie at least 0.05 s apart and these curves are at most three times as steep as a straight line.
    values = keyframes.sample(motion, 240).values
    if len(values) > 1:
        assert float(values.diff(dim=0).abs().max()) <= 2 * 3 / 0.05 / 240 + 1e-6


def test_loop_keeps_the_easing_of_a_key_at_its_end() -> None:
    motion = Keyframes({MOUTH: (Key(0, 0), Key(1, 1), Key(2, 0, "linear"))}, 2.0, loop=True)
    assert keyframes.at(motion, [1.75])[0, MOUTH] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("keys", "length", "loop", "says"),
    [
        ((Key(1, 0), Key(1, 1)), 2, False, "in order of time"),
        ((Key(0, float("nan")),), 2, False, "finite"),
        ((Key(0, 0), Key(3, 0)), 2, True, "after the loop's end"),
        ((Key(0, 0), Key(2, 1)), 2, True, "no time between"),
        ((Key(0, 0),), 0, True, "above 0"),
        ((Key(0, 0, "wobble"),), 2, False, "wobble"),
        ((Key(-1, 0),), 2, False, "finite"),
    ],
)
def test_bad_keys_are_named(keys: tuple[Key, ...], length: float, loop: bool, says: str) -> None:
    with pytest.raises(MotionError, match=says):
        Keyframes({MOUTH: keys}, length, loop)


@pytest.mark.parametrize(("fps", "length"), [(0, 1), (float("nan"), 1), (2000, 1), (30, 1e9)])
def test_absurd_rates_and_lengths_are_refused(fps: float, length: float) -> None:
    with pytest.raises(MotionError):
        keyframes.sample(Keyframes({}, length), fps)


def test_through_key_poses() -> None:
    poses = pose.Poses(pose.check_poses(np.eye(45, dtype=np.float32)[[26, 27]]), 30)
    motion = keyframes.through(poses, [0.0, 1.0])
    assert keyframes.sample(motion, 2).values[:, 26:28].tolist() == [[1.0, 0.0], [0.5, 0.5]]
    with pytest.raises(MotionError, match="2 key poses and 1 times"):
        keyframes.through(poses, [0.0])
