"""What ComfyUI's Detect Face Landmarks (MediaPipe) hands on, made by hand: its model is not here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tha4_core.errors import MotionError
from tha4_core.motion.tracking import conversion, mediapipe
from tha4_core.pose import NAMES


def face(blink: float, box: tuple[float, float, float, float] = (0, 0, 10, 10), turn: float = 0.0) -> dict[str, Any]:
    """A face as the node makes it, with head turned about y in radians; landmarks left short."""
    matrix = np.eye(4, dtype=np.float32)
    matrix[0, [0, 2]], matrix[2, [0, 2]] = (np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))
    return {
        "bbox_xyxy": np.array(box, dtype=np.float32),
        "blendshapes": {"_neutral": 0.0, "eyeBlinkLeft": blink, "eyeBlinkRight": blink},
        "landmarks_xy": np.zeros((478, 2), dtype=np.float32),
        "landmarks_3d": np.zeros((478, 3), dtype=np.float32),
        "presence": 0.9,
        "score": 0.9,
        "transformation_matrix": 5 * matrix,
    }


def landmarks(*frames: list[dict[str, Any]]) -> dict[str, Any]:
    return {"frames": list(frames), "image_size": (480, 640), "connection_sets": {"lips": frozenset({(1, 2)})}}


def test_a_face_in_pictures_becomes_poses() -> None:
    tracked = mediapipe.from_face_landmarks(landmarks([face(0.8, turn=np.radians(5))], [face(0.4)], [face(0.0)]), 25)
    assert tracked.times == pytest.approx([0, 0.04, 0.08])
    poses = conversion.to_poses(tracked, 25)
    assert poses.values[:, NAMES.index("eye_wink_left")].tolist() == pytest.approx([1.0, 0.5, 0.0])
    assert poses.values[0, NAMES.index("head_y")] == pytest.approx(-0.5)
    assert poses.notes == ()


def test_frames_without_a_face_hold_the_face_before() -> None:
    tracked = mediapipe.from_face_landmarks(landmarks([], [face(0.2)], [], [], [face(0.6)]), 30)
    assert tracked.shapes["eyeBlinkLeft"].tolist() == [0.2, 0.2, 0.2, 0.2, 0.6]
    assert "No face in 3 frames" in tracked.notes[0]


def test_the_largest_face_is_followed() -> None:
    small, large = face(0.1, (0, 0, 10, 10)), face(0.5, (50, 0, 80, 30))
    # Later the other face is the larger one, and the order changes.
    frames = landmarks(
        [small, large], [face(0.6, (52, 0, 78, 26)), face(0.2, (0, 0, 40, 40))], [face(0.7, (55, 0, 75, 20))]
    )
    tracked = mediapipe.from_face_landmarks(frames, 30)
    assert tracked.shapes["eyeBlinkLeft"].tolist() == [0.5, 0.6, 0.7]
    assert "Several faces in 2 frames" in tracked.notes[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "must be an object"),
        ([], "must be an object"),
        ({}, "must be an object"),
        (landmarks(), "No face was found"),
        (landmarks([], []), "No face was found"),
        ({"frames": [1]}, "frame 0 must be a list"),
        ({"frames": [[1]]}, "frame 0: a face must be an object"),
        ({"frames": [[face(0.1) | {"bbox_xyxy": [1, 2]}]]}, "four finite numbers"),
        ({"frames": [[face(0.1) | {"blendshapes": {"jawOpen": "x"}}]]}, "frame 0: jawOpen must be a number"),
        ({"frames": [[face(0.1) | {"transformation_matrix": np.zeros((4, 4))}]]}, "frame 0: .*not a rotation"),
    ],
)
def test_bad_landmarks_are_named(given: object, says: str) -> None:
    with pytest.raises(MotionError, match=says):
        mediapipe.from_face_landmarks(given, 30)


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["frames", "blendshapes", "bbox_xyxy", "transformation_matrix", "x"]), inner)
    ),
    max_leaves=12,
)


@given(anything)
def test_anything_else_is_refused(value: object) -> None:
    for wrong in (value, {"frames": value}, {"frames": [[value]]}):
        with pytest.raises(MotionError):
            mediapipe.from_face_landmarks(wrong, 30)
