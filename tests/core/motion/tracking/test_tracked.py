"""Tracked faces: the published converter's numbers, and recordings in three formats written by hand."""

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tha4_core import pose
from tha4_core.errors import MotionError, THA4Error
from tha4_core.motion.tracking import files as tracking_files
from tha4_core.motion.tracking import tracked
from tha4_core.motion.tracking.tracked import Calibration, TrackedFace, TrackedSettings

REFERENCE = Path(os.environ.get("THA4_REFERENCE", Path(__file__).resolve().parents[5] / "shared"))
SOLVED = [26, 27, 28, 30]
unit = st.floats(0, 1)


def _face(shapes: dict[str, float], head: tuple[float, float, float] = (0, 0, 0), count: int = 1) -> TrackedFace:
    times = np.arange(count) / 30
    return TrackedFace(times, {k: np.full(count, v) for k, v in shapes.items()}, np.tile(np.radians(head), (count, 1)))


def _pose(face: TrackedFace, settings: TrackedSettings = tracked.DEFAULT) -> dict[str, float]:
    values = tracked.convert(face, settings, Calibration())[0]
    return {name: float(value) for name, value in zip(pose.NAMES, values, strict=True) if value}


def test_the_published_converters_numbers() -> None:
    path = REFERENCE / "golden" / "mediapipe_to_pose.json"
    if not path.is_file():
        pytest.skip(f"no golden data at {path}: the conversion of tracked faces is not checked against it")
    text = path.read_text("utf-8")
    wanted = json.loads(text)
    face = tracking_files.parse(text)
    np.testing.assert_allclose(face.head, [w["head_euler_xyz_radians"] for w in wanted], atol=1e-12)
    error = np.abs(tracked.convert(face, tracked.DEFAULT, Calibration()) - [w["pose"] for w in wanted])
    assert error[:, SOLVED].max() < 1e-3
    assert np.delete(error, SOLVED, axis=1).max() < 1e-5


@given(st.lists(st.tuples(unit, unit, unit, unit), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_no_other_mix_of_vowels_is_better(points: list[tuple[float, ...]], dice) -> None:  # type: ignore[no-untyped-def]
    vowels = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0.5, 0.3, 0.25, 0.75], [1, 0.5, 0.5, 0.4]])

    def cost(weights: np.ndarray) -> np.ndarray:
        return np.linalg.norm(weights @ vowels - points, axis=1) + 0.01 * weights.sum(axis=1)

    weights = tracked.mouth_mix(np.array(points))
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
    assert _pose(face, TrackedSettings(brow_down="serious", blink="relaxed", blink_full=0.4)) == {
        "eyebrow_serious_left": 1.0, "eye_relaxed_right": 1.0,
    }  # fmt: skip
    assert _pose(_face({}, (0, 10, 0)), TrackedSettings(body=0.5))["body_y"] == pytest.approx(-0.5)


@pytest.mark.parametrize(
    "wrong",
    [{"brow_down": "sad"}, {"blink": "x"}, {"blink_full": 0}, {"smile_low": 0.7}, {"frown_full": math.nan},
     {"gaze": math.inf}, {"breathing_period": -1}],
)  # fmt: skip
def test_bad_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(MotionError):
        TrackedSettings(**wrong)  # type: ignore[arg-type]


def test_calibration_makes_the_neutral_face_neutral() -> None:
    face = _face({"mouthSmileLeft": 0.3, "mouthSmileRight": 0.3, "browInnerUp": 0.2}, (4.0, -2.0, 1.0), 10)
    calibration = tracked.calibrate(face, shapes=True)
    assert np.abs(tracked.convert(face, tracked.DEFAULT, calibration)).max() < 1e-9
    head_only = tracked.convert(face, tracked.DEFAULT, tracked.calibrate(face, 0.0, 0.2))
    assert np.abs(head_only[:, 39:44]).max() < 1e-9
    assert head_only[0, 34] == pytest.approx(0.3)


def test_uneven_times_become_even() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.06, 200))
    face = TrackedFace(times, {"jawOpen": 0.1 + 0.3 * (times - times[0]) / 10}, np.zeros((200, 3)))
    poses = tracked.to_poses(face, 30, TrackedSettings(breathing_period=4))
    assert len(poses) == pytest.approx((times[-1] - times[0]) * 30, abs=1.5)
    aaa = poses.values[:, 26]
    assert float(aaa.diff().min()) >= -1e-6
    assert poses.values[60, 44] == pytest.approx(1.0)
    assert tracked.to_poses(face).fps == pytest.approx(199 / (times[-1] - times[0]), abs=1e-2)


@given(st.dictionaries(st.sampled_from(["jawOpen", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "eyeBlinkLeft",
       "browDownRight", "cheekSquintLeft", "mouthLowerDownLeft", "eyeLookUpLeft"]), unit),
       st.tuples(*[st.floats(-90, 90)] * 3))  # fmt: skip
def test_everything_stays_in_range(shapes: dict[str, float], head: tuple[float, float, float]) -> None:
    poses = tracked.to_poses(_face(shapes, head, 3))
    assert torch.equal(pose.limit(poses.values), poses.values)


# --- recordings ----------------------------------------------------------------------------------------------------

V2 = ("mouthSmile_R&0|mouthSmile_L&0|eyeBlink_L&80|eyeBlink_R&40|jawOpen&10|browInnerUp&50|trackingStatus&1|"
      "=head#-7.5,5,15,0.01,-0.10,-0.65|rightEye#6.04,2.44,0.25|leftEye#6.03,-1.67,-0.18|")  # fmt: skip
V1 = V2.replace("&", "-")
V2_POSE = {"eyebrow_raised_left": 0.5, "eyebrow_raised_right": 0.5, "eye_wink_left": 1.0, "eye_wink_right": 0.5,
           "head_x": 0.5, "head_y": -0.5, "neck_z": 1.0, "body_y": -0.5, "body_z": 1.0}  # fmt: skip

LIVE_LINK = """Timecode,BlendShapeCount,EyeBlinkLeft,EyeBlinkRight,JawOpen,BrowInnerUp,HeadYaw,HeadPitch,HeadRoll
07:44:57:02.944,61,0.8,0.4,0.1,0.5,0.0872664626,-0.1308996939,0.2617993878
07:44:57:59.944,61,0.8,0.4,0.1,0.5,0.0872664626,-0.1308996939,0.2617993878
07:44:59:02.944,61,0.0,0.4,0.1,0.5,0,0,0
"""


@pytest.mark.parametrize("packet", [V1, V2])
def test_ifacialmocap_packets(packet: str) -> None:
    face = tracking_files.parse("\n".join([packet] * 3), "log.txt")
    assert face.times == pytest.approx([0, 1 / 60, 2 / 60])
    assert _pose(face) == pytest.approx(V2_POSE)
    stamped = tracking_files.parse(f"0.0 {packet}\n0.5\t{packet}\n\n2.0 {packet}\n", "log.txt")
    assert stamped.times == pytest.approx([0, 0.5, 2])


def test_live_link_face() -> None:
    face = tracking_files.parse(LIVE_LINK, "take.csv")
    assert face.times - face.times[0] == pytest.approx([0, 57 / 60, 2])
    assert _pose(face) == pytest.approx(V2_POSE)
    assert tracking_files.parse(LIVE_LINK, "take.csv", 120).times[1] - face.times[0] == pytest.approx(
        59.944 / 120 - 2.944 / 60
    )


def _matrix(x: float, y: float, z: float) -> np.ndarray:
    (cx, cy, cz), (sx, sy, sz) = np.cos([x, y, z]), np.sin([x, y, z])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    whole = np.eye(4)
    whole[:3, :3] = 1.3 * about_z @ about_y @ about_x
    whole[:3, 3] = (1.0, -2.0, -40.0)
    return whole


def test_mediapipe_results_of_both_tasks() -> None:
    matrix = _matrix(*np.radians([-7.5, 5, 15]))
    shapes = {"_neutral": 0.0, "eyeBlinkLeft": 0.8, "eyeBlinkRight": 0.4, "jawOpen": 0.1, "browInnerUp": 0.5}
    python = {
        "face_blendshapes": [[{"category_name": k, "score": v, "index": 0} for k, v in shapes.items()]],
        "facial_transformation_matrixes": [matrix.tolist()], "timestamp_ms": 100,
    }  # fmt: skip
    javascript = {
        "faceBlendshapes": [{"categories": [{"categoryName": k, "score": v} for k, v in shapes.items()]}],
        "facialTransformationMatrixes": [{"rows": 4, "columns": 4, "data": matrix.T.flatten().tolist()}], "time": 0.2,
    }  # fmt: skip
    plain = {"blendshapes": shapes, "matrix": matrix.flatten().tolist(), "time": 0.4}
    nobody = {"faceBlendshapes": [], "facialTransformationMatrixes": [], "time": 0.3}
    text = json.dumps({"fps": 30, "frames": [python, javascript, nobody, plain]})
    face = tracking_files.parse(text)
    assert face.times == pytest.approx([0.1, 0.2, 0.4])
    np.testing.assert_allclose(np.degrees(face.head), [[-7.5, 5, 15]] * 3)
    assert _pose(face) == pytest.approx(V2_POSE)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.txt", f"0.0 {V1}\n0.5 {V1}\n1.0 {V2}\n"),
        ("take.csv", LIVE_LINK),
        ("faces.json", json.dumps([{"blendshapes": {"jawOpen": 0.5}, "matrix": np.eye(4).tolist(), "time": 0.5}] * 3)),
    ],
)
def test_broken_recordings_give_clear_errors(
    tmp_path: Path, name: str, text: str, mutations: Callable[[bytes], Iterator[bytes]]
) -> None:
    path, refused = tmp_path / name, 0
    for content in mutations(text.encode()):
        path.write_bytes(content)
        try:
            tracked.to_poses(tracking_files.load(path), 30)
        except THA4Error:
            refused += 1
    assert 200 < refused <= 1000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "none of"),
        ("a&1|b&2", "line 1: an iFacialMocap packet"),
        ("jawOpen&1|=head#1,2|", "three angles"),
        ("jawOpen&1|=head#1,2,x|", "head must be a number"),
        ("jawOpen&1|nonsense|=head#1,2,3|", "nonsense"),
        ("Timecode,JawOpen\n", "frames below"),
        ("Timecode,JawOpen\n1:2,0", "line 2: the time code"),
        ("Timecode,JawOpen\n00:00:00:00,0,0", "3 values for 2 names"),
        ("Timecode,JawOpen\n00:00:00:00,nan", "finite"),
        ("[]", "no tracked face"),
        ("[1]", "frame 0 must be an object"),
        ('{"fps": "x"}', "fps must be a number"),
        ('[{"blendshapes": {"jawOpen": "x"}}]', "jawOpen must be a number"),
        ('[{"blendshapes": {"jawOpen": 1}, "matrix": [[1,2],[3,4]]}]', "4 × 4"),
        ('[{"blendshapes": {"jawOpen": 1}, "matrix": [[0,0,0],[0,0,0],[0,0,0]]}]', "not a rotation"),
        ('[{"blendshapes": [[[[1]]]]}]', "categoryName"),
    ],
)
def test_bad_recordings_are_named(text: str, says: str) -> None:
    with pytest.raises(MotionError, match=says):
        tracking_files.parse(text, "mine")


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MotionError, match=r"\.mp4"):
        tracking_files.load(tmp_path / "x.mp4")
