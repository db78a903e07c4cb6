"""Tracking the face in pictures, with MediaPipe's face landmarker where the user has it and its model file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import MotionError
from ..timeline import Array, check_fps
from .tracked import TrackedFace, euler_angles

MODEL_FILE = "face_landmarker.task"
MODEL_LINK = "https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker#models"


def track(images: Tensor, fps: float, model: Path, tick: Callable[[], None] = lambda: None) -> TrackedFace:
    """The face in pictures `[N, H, W, 3]` (0..1, sRGB) that follow each other at `fps`.

    Pictures in which no face is found are left out. `tick` is called once a picture and may raise to interrupt.
    Raises MotionError where mediapipe or its `model` file is missing, and where there is no face in any picture.
    """
    check_fps(fps)
    times: list[float] = []
    shapes: list[dict[str, float]] = []
    matrices: list[Array] = []
    with _landmarker(model) as landmarker:
        for index, picture in enumerate(images):
            tick()
            found = landmarker.detect_for_video(_mediapipe_image(picture), round(index / fps * 1000))
            if found.face_blendshapes:
                times.append(index / fps)
                shapes.append({shape.category_name: float(shape.score) for shape in found.face_blendshapes[0]})
                matrices.append(np.asarray(found.facial_transformation_matrixes[0], dtype=np.float64))
    if not times:
        raise MotionError("No face was found in any of the pictures. A real, well-lit face that looks ahead is needed.")
    names = sorted({name for frame in shapes for name in frame})
    columns = {name: np.array([frame.get(name, 0.0) for frame in shapes]) for name in names}
    return TrackedFace(np.array(times), columns, euler_angles(np.stack(matrices)))


def _landmarker(model: Path) -> Any:
    try:
        from mediapipe.tasks.python import BaseOptions, vision  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise MotionError(
            "Tracking pictures needs the package mediapipe, which is not installed (pip install mediapipe). "
            "Recordings of other trackers need nothing."
        ) from error
    if not model.is_file():
        raise MotionError(f"{model}: MediaPipe's model is missing. Download {MODEL_FILE} from {MODEL_LINK}.")
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    return vision.FaceLandmarker.create_from_options(options)


def _mediapipe_image(picture: Tensor) -> Any:
    import mediapipe  # type: ignore[import-not-found, unused-ignore]

    pixels = (picture[..., :3].clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous().numpy()
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
