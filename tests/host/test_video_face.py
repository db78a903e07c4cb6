"""A face in a video, found by ComfyUI's own nodes, moves a character: the graph of the template, in the real ComfyUI.

The weights of the face detection model cannot be had here. In their place stands a file of the same layout with random
weights, made from ComfyUI's own classes: it finds "faces" anywhere, and what it finds has the real nodes' own form.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.host.comfyui import PACK, ComfyUI, Prompt, api_form
from tests.host.test_motion import tracked_settings
from tha4_core.pose import NAMES

Call = Callable[..., Any]
FRAMES, FPS = 4, 8


@pytest.fixture(scope="module")
def prompt(server: ComfyUI, base: Path, call: Call) -> Prompt:
    """The template's graph, with a small video in the input folder and the stand-in for the model."""
    torch.manual_seed(0)
    (base / "models" / "detection").mkdir(parents=True, exist_ok=True)
    save_file(_random_weights(), base / "models" / "detection" / "faces.safetensors")
    _write_video(base / "input" / "face.mp4")
    prompt = _template(server, "12 Face in a video")
    _of_class(prompt, "LoadVideo")["file"] = "face.mp4"
    return prompt


def _template(server: ComfyUI, name: str) -> Prompt:
    workflow = json.loads((PACK / "example_workflows" / f"{name}.json").read_text(encoding="utf-8"))
    prompt = api_form(workflow, server.get("/object_info"))
    _of_class(prompt, "LoadMediaPipeFaceLandmarker")["model_name"] = "faces.safetensors"
    return prompt


def _random_weights() -> dict[str, torch.Tensor]:
    from comfy_extras.mediapipe.face_landmarker import FaceLandmarker

    weights: dict[str, torch.Tensor] = {}
    for variant in ("short", "full"):
        model = FaceLandmarker(device="cpu", dtype=torch.float32, operations=None, detector_variant=variant)
        for name, value in model.state_dict().items():
            name = name.replace("detector.", f"detector_{variant}.", 1) if name.startswith("detector.") else name
            weights[name] = value.contiguous().clone()
    parts = ("face_oval", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "lips", "irises", "nose")
    weights |= {f"topology.{part}": torch.tensor([[0, 1], [1, 0]], dtype=torch.int32) for part in parts}
    weights["canonical_vertices"] = torch.randn(468, 3)
    weights["procrustes_indices"] = torch.arange(0, 468, 15, dtype=torch.int32)
    weights["procrustes_weights"] = torch.ones(len(weights["procrustes_indices"]))
    return weights


def _write_video(path: Path) -> None:
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as video:
        stream = video.add_stream("h264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for _ in range(FRAMES):
            picture = noise.integers(0, 255, (96, 128, 3), dtype=np.uint8)
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        video.mux(stream.encode())


def _of_class(prompt: Prompt, class_type: str) -> dict[str, Any]:
    return next(entry["inputs"] for entry in prompt.values() if entry["class_type"] == class_type)


def test_a_video_moves_a_character(server: ComfyUI, prompt: Prompt) -> None:
    _of_class(prompt, "MediaPipeFaceLandmarker")["min_confidence"] = 0.0
    tracked = next(key for key, entry in prompt.items() if entry["class_type"] == "THA4TrackedFace")
    run = server.queue(prompt)
    assert run.error == ""
    assert f"{FRAMES} frames, 0.5 s at {FPS} fps." in run.outputs(tracked)["text"][0]


def test_a_video_without_a_face_says_so(server: ComfyUI, prompt: Prompt) -> None:
    _of_class(prompt, "MediaPipeFaceLandmarker")["min_confidence"] = 1.0
    assert "No face was found in any of the pictures" in server.queue(prompt).error


def test_a_picture_of_the_webcam_poses_a_character(server: ComfyUI, base: Path, prompt: Prompt) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(base / "input" / "webcam.png")
    webcam = _template(server, "13 Face in the webcam")
    _of_class(webcam, "WebcamCapture")["image"] = "webcam.png"
    _of_class(webcam, "MediaPipeFaceLandmarker")["min_confidence"] = 0.0
    run = server.queue(webcam)
    assert run.error == ""
    (picture,) = next(output["images"] for output in run.history["outputs"].values() if "images" in output)
    assert server.file(picture).is_file()


def test_face_landmarks_take_the_place_of_the_file(call: Call) -> None:
    face = {
        "bbox_xyxy": np.array([0, 0, 9, 9], dtype=np.float32),
        "blendshapes": {"_neutral": 0.0, "eyeBlinkLeft": 0.8},
        "transformation_matrix": np.eye(4, dtype=np.float32),
        "score": 1.0,
    }
    landmarks = {"frames": [[face], [], [face]], "image_size": (480, 640), "connection_sets": {}}
    poses = call("THA4TrackedFace", **tracked_settings(call) | {"fps": 10.0, "face_landmarks": landmarks})[0]
    assert (len(poses), poses.fps) == (3, 10)
    assert poses.values[:, NAMES.index("eye_wink_left")].tolist() == pytest.approx([1, 1, 1])
    assert "No face in 1 frame" in poses.notes[0]


def test_a_single_picture_keeps_its_head(call: Call) -> None:
    turned = np.array([[0.996, 0, 0.087, 0], [0, 1, 0, 0], [-0.087, 0, 0.996, 0], [0, 0, 0, 1]], dtype=np.float32)
    face = {"blendshapes": {"jawOpen": 0.0}, "transformation_matrix": turned}
    given = tracked_settings(call) | {"face_landmarks": {"frames": [[face]]}}
    assert call("THA4TrackedFace", **given)[0].values[0, NAMES.index("head_y")] == pytest.approx(-0.5, abs=0.01)
