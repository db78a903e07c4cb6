"""Tracking pictures. MediaPipe's model file cannot be had here: where a tracker is needed, a mock stands in for it."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from tha4_core.errors import MotionError
from tha4_core.motion.tracking import face_tracker, tracked
from tha4_core.pose import NAMES

PICTURES = torch.rand(4, 8, 6, 3)


class MockLandmarker:
    """Sees a blinking face that tilts, and none in the second picture."""

    seen: ClassVar[list[tuple[Any, int]]] = []

    def __enter__(self) -> MockLandmarker:
        self.seen.clear()
        return self

    def __exit__(self, *_: object) -> None: ...

    def detect_for_video(self, image: Any, milliseconds: int) -> SimpleNamespace:
        self.seen.append((image, milliseconds))
        if len(self.seen) == 2:
            return SimpleNamespace(face_blendshapes=[], facial_transformation_matrixes=[])
        angle = math.radians(15)
        matrix = np.eye(4)
        matrix[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        shapes = [SimpleNamespace(category_name="eyeBlinkLeft", score=0.8)]
        return SimpleNamespace(face_blendshapes=[shapes], facial_transformation_matrixes=[matrix])


@pytest.fixture
def mediapipe_mock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A mock of the package mediapipe, and a file in place of its model."""
    package, tasks, python = (
        ModuleType("mediapipe"),
        ModuleType("mediapipe.tasks"),
        ModuleType("mediapipe.tasks.python"),
    )
    package.Image = lambda image_format, data: data  # type: ignore[attr-defined]
    package.ImageFormat = SimpleNamespace(SRGB=1)  # type: ignore[attr-defined]
    python.BaseOptions = SimpleNamespace  # type: ignore[attr-defined]
    python.vision = SimpleNamespace(  # type: ignore[attr-defined]
        FaceLandmarkerOptions=SimpleNamespace,
        RunningMode=SimpleNamespace(VIDEO="VIDEO"),
        FaceLandmarker=SimpleNamespace(create_from_options=lambda options: MockLandmarker()),
    )
    for module in (package, tasks, python):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    model = tmp_path / face_tracker.MODEL_FILE
    model.touch()
    return model


def test_what_the_tracker_sees_becomes_poses(mediapipe_mock: Path) -> None:
    ticks: list[int] = []
    face = face_tracker.track(PICTURES, 10.0, mediapipe_mock, lambda: ticks.append(1))
    assert face.times.tolist() == [0.0, 0.2, 0.3]
    assert [milliseconds for _, milliseconds in MockLandmarker.seen] == [0, 100, 200, 300]
    assert len(ticks) == 4
    np.testing.assert_array_equal(MockLandmarker.seen[0][0], (PICTURES[0] * 255).round().to(torch.uint8).numpy())
    poses = tracked.to_poses(face, 10.0)
    assert poses.values[0, NAMES.index("eye_wink_left")] == pytest.approx(1.0)
    assert abs(poses.values[0, NAMES.index("neck_z")]) == pytest.approx(1.0, abs=1e-4)


def test_an_interrupt_passes_through(mediapipe_mock: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        face_tracker.track(PICTURES, 10.0, mediapipe_mock, interrupt)


def test_no_face_is_told(mediapipe_mock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = SimpleNamespace(face_blendshapes=[], facial_transformation_matrixes=[])
    monkeypatch.setattr(MockLandmarker, "detect_for_video", lambda *_: nothing)
    with pytest.raises(MotionError, match="No face was found"):
        face_tracker.track(PICTURES, 10.0, mediapipe_mock)


def test_a_missing_model_is_named(mediapipe_mock: Path) -> None:
    mediapipe_mock.unlink()
    with pytest.raises(MotionError, match=r"face_landmarker\.task: MediaPipe's model is missing"):
        face_tracker.track(PICTURES, 10.0, mediapipe_mock)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    monkeypatch.setitem(sys.modules, "mediapipe.tasks.python", None)
    with pytest.raises(MotionError, match="pip install mediapipe"):
        face_tracker.track(PICTURES, 10.0, tmp_path / "none")
