"""From tracked faces to poses: the published converter's numbers, settings and calibration."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tha4_core import pose
from tha4_core.errors import MotionError
from tha4_core.motion.tracking import conversion, recordings, vowel_mix
from tha4_core.motion.tracking.conversion import ConversionSettings
from tha4_core.motion.tracking.face import Calibration, TrackedFace, calibrate

SOLVED = [26, 27, 28, 30]
unit = st.floats(0, 1)


def _face(shapes: dict[str, float], head: tuple[float, float, float] = (0, 0, 0), count: int = 1) -> TrackedFace:
    times = np.arange(count) / 30
    return TrackedFace(times, {k: np.full(count, v) for k, v in shapes.items()}, np.tile(np.radians(head), (count, 1)))


def _pose(face: TrackedFace, settings: ConversionSettings = conversion.DEFAULT) -> dict[str, float]:
    values = conversion.convert(face, settings, Calibration())[0]
    return {name: float(value) for name, value in zip(pose.NAMES, values, strict=True) if value}


def test_the_published_converters_numbers(golden: Path) -> None:
    text = (golden / "mediapipe_to_pose.json").read_text("utf-8")
    wanted = json.loads(text)
    face = recordings.parse(text)
    np.testing.assert_allclose(face.head, [w["head_euler_xyz_radians"] for w in wanted], atol=1e-12)
    error = np.abs(conversion.convert(face, conversion.DEFAULT, Calibration()) - [w["pose"] for w in wanted])
    assert error[:, SOLVED].max() < 1e-3
    assert np.delete(error, SOLVED, axis=1).max() < 1e-5


@given(st.lists(st.tuples(unit, unit, unit, unit), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_no_other_mix_of_vowels_is_better(points: list[tuple[float, ...]], dice) -> None:  # type: ignore[no-untyped-def]
    vowels = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0.5, 0.3, 0.25, 0.75], [1, 0.5, 0.5, 0.4]])

    def cost(weights: np.ndarray) -> np.ndarray:
        return np.linalg.norm(weights @ vowels - points, axis=1) + 0.01 * weights.sum(axis=1)

    weights = vowel_mix.mix(np.array(points))
    assert ((weights >= 0) & (weights <= 1)).all()
    for size in (0.001, 0.05, 1.0):
        for _ in range(10):
            other = np.clip(weights + size * (np.array([dice.random() for _ in range(4)]) - 0.5), 0, 1)
            assert (cost(weights) <= cost(other) + 1e-9).all()


def test_sides_and_signs() -> None:
    assert _pose(_face({"eyeBlinkLeft": 0.8})) == {"eye_wink_left": 1.0}
    assert set(_pose(_face({"eyeLookOutRight": 0.5}))) == {"iris_rotation_y"}
    assert _pose(_face({"eyeLookOutRight": 0.6, "eyeLookInLeft": 0.6}))["iris_rotation_y"] == pytest.approx(0.8)
    turned = _pose(_face({}, (7.5, 5.0, -15.0)))
    assert turned == pytest.approx({"head_x": -0.5, "head_y": -0.5, "neck_z": -1, "body_y": -0.5, "body_z": -1})


def test_settings_change_the_conversion() -> None:
    face = _face({"browDownLeft": 0.4, "eyeBlinkRight": 0.4})
    assert _pose(face, ConversionSettings(brow_down="serious", blink="relaxed", blink_full=0.4)) == {
        "eyebrow_serious_left": 1.0, "eye_relaxed_right": 1.0,
    }  # fmt: skip
    assert _pose(face, ConversionSettings(iris_small=0.5))["iris_small_right"] == 0.5
    assert _pose(_face({}, (0, 10, 0)), ConversionSettings(body=0.5))["body_y"] == pytest.approx(-0.5)


@pytest.mark.parametrize(
    "wrong",
    [{"brow_down": "sad"}, {"blink": "x"}, {"blink_full": 0}, {"smile_low": 0.7}, {"frown_full": math.nan},
     {"gaze": math.inf}, {"breathing_period": -1}, {"iris_small": 1.5}],
)  # fmt: skip
def test_bad_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(MotionError):
        ConversionSettings(**wrong)  # type: ignore[arg-type]


def test_calibration_makes_the_neutral_face_neutral() -> None:
    face = _face({"mouthSmileLeft": 0.3, "mouthSmileRight": 0.3, "browInnerUp": 0.2}, (4.0, -2.0, 1.0), 10)
    calibration = calibrate(face, shapes=True)
    assert np.abs(conversion.convert(face, conversion.DEFAULT, calibration)).max() < 1e-9
    head_only = conversion.convert(face, conversion.DEFAULT, calibrate(face, 0.0, 0.2))
    assert np.abs(head_only[:, 39:44]).max() < 1e-9
    assert head_only[0, 34] == pytest.approx(0.3)


def test_a_blink_in_the_neutral_seconds_makes_no_difference() -> None:
    blink = np.append(np.where(np.arange(30) % 10 < 3, 0.9, 0.15), 0.5)
    face = TrackedFace(np.arange(31) / 30, {"eyeBlinkLeft": blink}, np.zeros((31, 3)))
    wink = conversion.convert(face, conversion.DEFAULT, calibrate(face, 0, 0.99, shapes=True))[:, 12]
    assert wink[blink == 0.15].max() == 0
    assert wink[-1] == pytest.approx((0.5 - 0.15) / 0.85 / 0.8)


def test_a_calibrated_gaze_goes_both_ways() -> None:
    down = np.array([0.3, 0.3, 0.3, 0.0, 0.6])
    shapes = {"eyeLookDownLeft": down, "eyeLookDownRight": down}
    face = TrackedFace(np.arange(5) / 30, shapes, np.zeros((5, 3)))
    neutral = calibrate(face, 0, 2 / 30, shapes=True)
    gaze = conversion.convert(face, conversion.DEFAULT, neutral)[:, pose.NAMES.index("iris_rotation_x")]
    assert gaze == pytest.approx([0, 0, 0, 0.4, -0.4])


def test_notes_go_with_the_poses() -> None:
    face = TrackedFace(np.arange(2) / 30, {}, np.zeros((2, 3)), ("one packet was left out.",))
    assert conversion.to_poses(face, 30).notes == ("one packet was left out.",)


def test_uneven_times_become_even() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.06, 200))
    face = TrackedFace(times, {"jawOpen": 0.1 + 0.3 * (times - times[0]) / 10}, np.zeros((200, 3)))
    poses = conversion.to_poses(face, 30, ConversionSettings(breathing_period=4))
    assert len(poses) == pytest.approx((times[-1] - times[0]) * 30, abs=1.5)
    aaa = poses.values[:, 26]
    assert float(aaa.diff().min()) >= -1e-6
    assert poses.values[60, 44] == pytest.approx(1.0)
    assert conversion.to_poses(face).fps == pytest.approx(199 / (times[-1] - times[0]), abs=1e-2)


@given(st.dictionaries(st.sampled_from(["jawOpen", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "eyeBlinkLeft",
       "browDownRight", "cheekSquintLeft", "mouthLowerDownLeft", "eyeLookUpLeft"]), unit),
       st.tuples(*[st.floats(-90, 90)] * 3))  # fmt: skip
def test_everything_stays_in_range(shapes: dict[str, float], head: tuple[float, float, float]) -> None:
    poses = conversion.to_poses(_face(shapes, head, 3))
    assert torch.equal(pose.limit(poses.values), poses.values)
