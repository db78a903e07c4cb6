"""Recordings of tracked faces: what each program writes, written by hand; broken ones; and those that users bring."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tha4_core import motion, pose
from tha4_core.errors import MotionError, THA4Error
from tha4_core.motion.tracking import conversion, recordings
from tha4_core.motion.tracking.face import Calibration, TrackedFace, calibrate


def _pose(face: TrackedFace) -> dict[str, float]:
    values = conversion.convert(face, conversion.DEFAULT, Calibration())[0]
    return {name: float(value) for name, value in zip(pose.NAMES, values, strict=True) if value}


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
    face = recordings.parse("\n".join([packet] * 3), "log.txt")
    assert face.times == pytest.approx([0, 1 / 60, 2 / 60])
    assert _pose(face) == pytest.approx(V2_POSE)
    stamped = recordings.parse(f"0.0 {packet}\n0.5\t{packet}\n\n2.0 {packet}\n", "log.txt")
    assert stamped.times == pytest.approx([0, 0.5, 2])


def test_live_link_face() -> None:
    face = recordings.parse(LIVE_LINK, "take.csv")
    assert face.times - face.times[0] == pytest.approx([0, 57 / 60, 2])
    assert _pose(face) == pytest.approx(V2_POSE)
    assert recordings.parse(LIVE_LINK, "take.csv", 120).times[1] == pytest.approx(57 / 120)


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
        "facial_transformation_matrixes": [matrix.tolist()], "time": 0.1,
    }  # fmt: skip
    javascript = {
        "faceBlendshapes": [{"categories": [{"categoryName": k, "score": v} for k, v in shapes.items()]}],
        "facialTransformationMatrixes": [{"rows": 4, "columns": 4, "data": matrix.T.flatten().tolist()}], "time": 0.2,
    }  # fmt: skip
    plain = {"blendshapes": shapes, "matrix": matrix.flatten().tolist(), "time": 0.4}
    nobody = {"faceBlendshapes": [], "facialTransformationMatrixes": [], "time": 0.3}
    text = json.dumps({"fps": 30, "frames": [python, javascript, nobody, plain]})
    face = recordings.parse(text)
    assert face.times - face.times[0] == pytest.approx([0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(np.degrees(face.head), [[-7.5, 5, 15]] * 4)
    assert _pose(face) == pytest.approx(V2_POSE)
    assert face.notes == ("No face in 1 frame: the face before them is held.",)


def _mediapipe(jaw: float, **more: object) -> dict[str, Any]:
    return {"blendshapes": {"jawOpen": jaw}, "matrix": np.eye(4).tolist(), **more}


SHAPES = [{"categoryName": "jawOpen", "score": 0.25, "index": 0}]
MATRICES = [{"rows": 4, "columns": 4, "data": _matrix(0.1, 0, 0).T.flatten().tolist()}]
WRAPPED: list[dict[str, Any]] = [
    {"results": {"faceBlendshapes": [SHAPES], "facialTransformationMatrixes": MATRICES}},
    {"faceLandmarkerResult": {"faceBlendshapes": [{"categories": SHAPES}], "facialTransformationMatrixes": MATRICES}},
    {"faceBlendshapes": [{"categories": SHAPES}] * 3,
     "facialTransformationMatrixes": [_matrix(0.1, 0, 0).tolist()] * 3},
    {"image": {"path": "x"}, "faces": [{"face": 0, "blendshapes": [{"category_name": "jawOpen", "score": 0.25}],
                                        "facial_transformation_matrix": _matrix(0.1, 0, 0).tolist()}]},
    {"blendshape_params": {"jawOpen": 0.25}, "xform_matrix": _matrix(0.1, 0, 0).tolist()},
    {"matrix": _matrix(0.1, 0, 0).tolist(), "payload": {"face": {"blendShapes": {"jawOpen": 0.25}}}},
]  # fmt: skip


@pytest.mark.parametrize("frame", WRAPPED)
def test_results_are_found_however_they_are_wrapped(frame: dict[str, Any]) -> None:
    for text in (json.dumps(frame), json.dumps([frame]), json.dumps({"data": [frame] * 2}), json.dumps(frame) + "\n"):
        face = recordings.parse(text)
        assert face.shapes["jawOpen"][0] == 0.25
        assert face.head[0] == pytest.approx([0.1, 0, 0])
    several = recordings.parse("\n".join([json.dumps(frame)] * 3))
    assert several.times == pytest.approx([0, 1 / 30, 2 / 30])


@pytest.mark.parametrize(
    ("scale", "start", "said"),
    [(1, 0, ""), (1, 1.7e9, ""), (1e3, 1000.5, "milliseconds"), (1e3, 1.7e12, "milliseconds"),
     (1e6, 1.7e15, "microseconds"), (1e9, 1.7e18, "nanoseconds"), (30, 1, "frame numbers")],
)  # fmt: skip
def test_times_are_told_from_their_steps(scale: float, start: float, said: str) -> None:
    times = [start + round(i / 30 * scale, 3) for i in range(90)]
    logs = [
        json.dumps([_mediapipe(0.5, timestamp=time) for time in times]),
        "\n".join(f"{time:.6f} {V1}" for time in times),
    ]
    for text in logs:
        face = recordings.parse(text, fps=30)
        assert face.times[-1] - face.times[0] == pytest.approx(89 / 30, abs=1e-3)
        assert said in " ".join(face.notes)
        assert not [note for note in face.notes if "times" in note and not said]


@given(st.sampled_from([1.0, 1e3, 1e6, 1e9]), st.floats(0.6, 240), st.integers(2, 50))
def test_any_usual_rate_is_understood_in_any_unit(units: float, rate: float, count: int) -> None:
    times = [5 * units + i / rate * units + 0.123 for i in range(count)]
    face = recordings.parse(json.dumps([_mediapipe(0.5, timestamp=time) for time in times]))
    assert face.times[-1] - face.times[0] == pytest.approx((count - 1) / rate, rel=1e-3)


def test_a_unit_in_the_name_of_a_time_counts() -> None:
    face = recordings.parse(json.dumps([_mediapipe(0.5, timestamp_ms=time) for time in (0, 1, 2)]))
    assert face.times == pytest.approx([0, 0.001, 0.002])


def test_times_as_texts() -> None:
    for texts in (("1000.5", "1033.8", "1067.1"), ("2026-11-26T10:00:00.000Z", "2026-11-26T10:00:00.033Z")):
        face = recordings.parse(json.dumps([_mediapipe(0.5, timestamp=text) for text in texts]))
        assert face.times[1] == pytest.approx(0.033, abs=1e-3)


def test_frames_by_their_numbers() -> None:
    assert len(recordings.parse(json.dumps({str(i): _mediapipe(0.5) for i in range(3)}))) == 3


def test_times_that_do_not_rise_are_left_out_and_told() -> None:
    face = recordings.parse(json.dumps([_mediapipe(0.5, time=time) for time in (0, 0.1, 0.05, 0.2)]))
    assert "1 frame was left out" in face.notes[-1]
    assert len(conversion.to_poses(face, 10)) == 3


def test_packets_over_tcp() -> None:
    face = recordings.parse(f"{V1}___iFacialMocap{V1}___iFacialMocap{V1}")
    assert len(face) == 3
    assert _pose(face) == pytest.approx(V2_POSE)


def test_broken_frames_are_left_out_and_counted() -> None:
    good = json.dumps(_mediapipe(0.5))
    for text, broken in (
        (f"{V1}\n{V1[:60]}\n{V1}", 1),
        (f"{V1}\n{V1.partition('=head')[0]}\n{V1}", 1),
        (f"{V1}\n{V1.partition('=head')[0]}browDown_\n{V1[10:50]}|\n{V1}", 2),
        (f"{LIVE_LINK}07:44:59:04.9,61,0.8\n", 1),
        (f"{LIVE_LINK}07:44:x,61,0.0,0.4,0.1,0.5,0,0,0\n07:44:59:04.9,61,0.8,nan,0.1,0.5,0,0,0\n", 2),
        (f"[{good}, 7, {good}]", 1),
        (json.dumps([_mediapipe(0.5), _mediapipe("x"), _mediapipe(0.5) | {"matrix": [[0] * 3] * 3}]), 2),  # type: ignore[arg-type]
        (f"{good}\n{good[:30]}\n{good}", 1),
    ):
        notes = recordings.parse(text, "mine").notes
        assert notes[0].startswith(f"{broken} "), notes
        assert "left out" in notes[0]
        assert "mine" in notes[0] or "head" in notes[0]


def test_a_lost_face_is_held() -> None:
    nobody = {"faceBlendshapes": [], "facialTransformationMatrixes": []}
    face = recordings.parse(json.dumps([nobody, _mediapipe(0.2), nobody, nobody, _mediapipe(0.8)]))
    assert face.shapes["jawOpen"].tolist() == [0.2, 0.2, 0.2, 0.2, 0.8]
    assert "No face in 3 frames" in face.notes[0]
    no_face = LIVE_LINK + "07:44:59:04.9,0\n07:44:59:06.9,0,,,,,,,\n"
    face = recordings.parse(no_face)
    assert face.shapes["eyeBlinkRight"].tolist() == [0.4] * 5
    assert "No face in 2 frames" in face.notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "jawOpen&10|eyeBlink_L&0|\n" * 3,
        "Timecode,BlendShapeCount,JawOpen\n00:00:00:00,61,0.5\n00:00:00:01,61,0.5\n",
        "Timecode,BlendShapeCount,JawOpen,HeadYaw,HeadPitch,HeadRoll\n00:00:00:00,61,0.5,0,0,0\n",
        json.dumps([{"blendshapes": {"jawOpen": 0.5}}]),
    ],
)
def test_a_recording_without_a_head_says_so(text: str) -> None:
    face = recordings.parse(text)
    assert not face.head.any()
    assert [note for note in face.notes if "holds no head" in note]


def test_live_link_past_midnight() -> None:
    lines = ["Timecode,BlendShapeCount,JawOpen", "23:59:59:58,61,0", "00:00:00:00,61,0.5", "00:00:00:02,61,1"]
    face = recordings.parse("\n".join(lines))
    assert face.times - face.times[0] == pytest.approx([0, 2 / 60, 4 / 60])


def test_several_faces_are_told() -> None:
    two = {"faceBlendshapes": [{"categories": SHAPES}, {"categories": []}]}
    assert any("Several faces in 1 frame" in note for note in recordings.parse(json.dumps([two])).notes)


@pytest.mark.parametrize(
    ("name", "frames", "seconds", "said"),
    [
        ("A_timestamp_results.json", 90, 2.94, ["milliseconds"]),
        ("B_timestamp_ms_flat.json", 90, 2.97, ["milliseconds"]),
        ("C_faceLandmarkerResult.json", 90, 2.97, ["no head", "no times"]),
        ("D_faces.json", 90, 2.97, ["no times"]),
        ("E_published_save.json", 1, 0, []),
        ("F_published_list.json", 90, 2.97, ["no times"]),
        ("G.jsonl", 90, 2.97, ["no head"]),
        ("J_ifm_tcp_oneline.txt", 2, 1 / 60, ["no times"]),
        ("K_ifm_lost.txt", 2, 1 / 60, ["1 packet was left out", "no times"]),
        ("livelink_resting.csv", 1199, 39.96, ["no head"]),
    ],
)
def test_recordings_that_users_bring(cases: Path, name: str, frames: int, seconds: float, said: list[str]) -> None:
    face = recordings.load(cases / name)
    assert len(face) == frames
    assert face.times[-1] - face.times[0] == pytest.approx(seconds, abs=0.01)
    assert len(face.notes) == len(said)
    assert all(text in note for text, note in zip(said, face.notes, strict=True))
    assert motion.load(cases / name).notes == face.notes


def test_a_face_at_rest_is_at_rest(cases: Path) -> None:
    face = recordings.load(cases / "livelink_resting.csv")
    values = conversion.convert(face, conversion.DEFAULT, calibrate(face, 0, 1, shapes=True))
    resting = np.abs(values[face.times - face.times[0] <= 1])
    assert resting[:, :26].max() < 0.05
    assert resting[:, 37:39].max() < 0.05
    raw = conversion.convert(face, conversion.DEFAULT, Calibration())[0]
    assert raw[pose.NAMES.index("iris_rotation_x")] < -0.3


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
    path, refused, noted = tmp_path / name, 0, 0
    for content in mutations(text.encode()):
        path.write_bytes(content)
        try:
            poses = conversion.to_poses(recordings.load(path), 30)
        except THA4Error:
            refused += 1
        else:
            noted += any("left out" in note for note in poses.notes)
    assert refused + noted > 200
    assert noted > 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "none of"),
        ("|trackingStatus|", "'trackingStatus' is not a blend shape"),
        ("|=head#1,2,3|", "line 1: an iFacialMocap packet"),
        ("jawOpen&1|=head#1,2|", "three angles"),
        ("jawOpen&1|=head#1,2,x|", "head must be a number"),
        ("jawOpen&1|nonsense|=head#1,2,3|", "nonsense"),
        ("Timecode,JawOpen\n", "frames below"),
        ("Timecode,JawOpen\n1:2,0", "line 2: the time code"),
        ("Timecode,JawOpen\n00:00:00:00,0,0", "3 values for 2 names"),
        ("Timecode,JawOpen\n00:00:00:00,nan", "finite"),
        ("[]", "no tracked face"),
        ("[1]", "frame 0 must be an object"),
        ('[{"blendshapes": {"jawOpen": 1}, "time": "x"}]', "time must be a number"),
        ('{"fps": "x"}', "fps must be a number"),
        ('[{"blendshapes": {"jawOpen": "x"}}]', "jawOpen must be a number"),
        ('[{"blendshapes": {"jawOpen": 1}, "matrix": [[1,2],[3,4]]}]', "4 × 4"),
        ('[{"blendshapes": {"jawOpen": 1}, "matrix": [[0,0,0],[0,0,0],[0,0,0]]}]', "not a rotation"),
        ('[{"blendshapes": [[[[1]]]]}]', "categoryName"),
    ],
)
def test_bad_recordings_are_named(text: str, says: str) -> None:
    with pytest.raises(MotionError, match=says):
        recordings.parse(text, "mine")
