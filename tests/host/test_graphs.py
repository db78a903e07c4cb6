"""Whole graphs in a running ComfyUI, over HTTP and its websocket."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.host.comfyui import PACK, ComfyUI, Prompt, api_form
from tha4_core.pose import NAMES

NO_HUB = {"repo_id": "", "file_name": "", "revision": "main"}
NOD = "0 head_y=0.8 in 0.5\n0 smile in 0.5\n"


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def student_render(poses: dict[str, Any], student: str = "lambda_00", rgba: bool = False) -> Prompt:
    """Load Student and a node of poses into Student Render, as nodes 1, 2 and 3."""
    settings = {"background": "none", "background_color": "#808080", "rgba": rgba}
    return {
        "1": node("THA4LoadStudent", student=student, **NO_HUB),
        "2": poses,
        "3": node("THA4StudentRender", student=["1", 0], poses=["2", 0], **settings),
    }


def sequence(script: str, fps: float) -> dict[str, Any]:
    return node("THA4PoseSequence", script=script, fps=fps, length=0.0, loop=False)


def pose_vector(**values: float) -> dict[str, Any]:
    return node("THA4PoseVector", **dict.fromkeys(NAMES, 0.0) | values)


def saved(server: ComfyUI, run: Any, node_id: str) -> list[Path]:
    outputs = run.outputs(node_id)
    return [server.file(file) for file in outputs.get("images") or outputs["video"]]


def test_picture_character_pose_student_preview(server: ComfyUI) -> None:
    prompt = student_render(pose_vector(head_y=0.5)) | {
        "4": node("PreviewImage", images=["3", 0]),
        "5": node("LoadImage", image="lambda_00.png"),
        "6": node(
            "THA4LoadCharacter", file="from the image input", fit="auto", scale=1.0, offset_x=0.0, offset_y=0.0,
            **NO_HUB, image=["5", 0], mask=["5", 1],
        ),
        "7": node("PreviewAny", source=["6", 2]),
        "8": node("PreviewImage", images=["6", 1]),
    }  # fmt: skip
    run = server.queue(prompt)
    assert run.error == ""
    assert Image.open(saved(server, run, "4")[0]).size == (512, 512)
    guides = Image.open(saved(server, run, "8")[0]).convert("RGB")
    assert guides.getpixel((192, 128)) == (220, 30, 60)
    assert run.outputs("7")["text"] == [""]


def test_a_batch_becomes_a_video(server: ComfyUI) -> None:
    prompt = student_render(sequence(NOD, fps=4)) | {
        "4": node("CreateVideo", images=["3", 0], fps=["2", 1]),
        "5": node("SaveVideo", video=["4", 0], filename_prefix="nod", format="mp4", codec="h264"),
    }
    run = server.queue(prompt)
    assert run.error == ""
    with av.open(str(saved(server, run, "5")[0])) as video:
        assert sum(1 for _ in video.decode(video=0)) == 3
    assert run.previews >= 3
    assert [event["data"]["max"] for event in run.events if event["type"] == "progress"][-1] == 3


@pytest.mark.parametrize("name", ["01 Quickstart", "06 Fast student"])
def test_example_workflow_gives_a_moving_transparent_picture(server: ComfyUI, name: str) -> None:
    workflow = json.loads((PACK / "example_workflows" / f"{name}.json").read_text())
    prompt = api_form(workflow, server.get("/object_info"))
    by_class = {entry["class_type"]: entry for entry in prompt.values()}
    by_class["THA4PoseSequence"]["inputs"] |= {"script": NOD, "fps": 4.0, "loop": False}
    run = server.queue(prompt)
    assert run.error == ""
    shown = [image for output in run.history["outputs"].values() for image in output.get("images", [])]
    files = [server.file(image) for image in shown if image["type"] == "output"]
    picture = Image.open(next(file for file in files if file.suffix == ".webp"))
    frames = []
    for index in range(picture.n_frames):
        picture.seek(index)
        frames.append(np.asarray(picture.convert("RGBA")).astype(int))
    assert len(frames) == 3
    assert frames[0].shape == (512, 512, 4)
    assert frames[0][0, 0, 3] == 0
    assert frames[0][128, 256, 3] >= 253  # a student paints: 254 is opaque to the eye
    assert np.abs(frames[0] - frames[2])[..., :3].max() > 60


def test_interrupt_stops_at_once_and_comfyui_lives_on(server: ComfyUI) -> None:
    stopped: list[float] = []

    def interrupt(event: dict[str, Any]) -> None:
        if event["type"] == "progress" and not stopped:
            stopped.append(time.monotonic())
            server.post("/interrupt", {})

    prompt = student_render(sequence("0 head_y=1 in 9\n", fps=10)) | {"4": node("PreviewImage", images=["3", 0])}
    run = server.queue(prompt, interrupt)
    assert run.interrupted
    assert time.monotonic() - stopped[0] < 2  # 90 frames were asked for
    again = student_render(pose_vector()) | {"4": node("PreviewImage", images=["3", 0])}
    assert server.queue(again).error == ""


def test_a_new_student_is_listed_without_a_restart(server: ComfyUI, base: Path, lambda_00: Path) -> None:
    def listed() -> list[str]:
        return server.get("/object_info/THA4LoadStudent")["THA4LoadStudent"]["input"]["required"]["student"][1][
            "options"
        ]

    before = listed()
    shutil.copytree(lambda_00, base / "models" / "tha4" / "students" / "another", copy_function=shutil.copyfile)
    assert set(listed()) == {*before, "another"}


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("body_morpher.pt", r"body_morpher\.pt: refused, because it is not a plain file of tensors"),
        ("character_model.yaml", "must name three files"),
    ],
)
def test_a_broken_student_is_reported_in_the_error_panel(
    server: ComfyUI, base: Path, lambda_00: Path, file: str, says: str
) -> None:
    name = f"broken {file}"
    folder = base / "models" / "tha4" / "students" / name
    shutil.copytree(lambda_00, folder, copy_function=shutil.copyfile)
    (folder / file).write_bytes(b"x")
    prompt = student_render(pose_vector(), student=name) | {"4": node("PreviewImage", images=["3", 0])}
    assert re.search(says, server.queue(prompt).error)


def test_a_wrong_script_is_reported_in_the_error_panel(server: ComfyUI) -> None:
    prompt = student_render(sequence("0 neutral\n1 fly", fps=4)) | {"4": node("PreviewImage", images=["3", 0])}
    assert "Line 2" in server.queue(prompt).error


def test_values_out_of_range_are_refused_before_anything_runs(server: ComfyUI) -> None:
    with pytest.raises(RuntimeError, match="head_x"):
        server.queue(student_render(pose_vector(head_x=2.0)) | {"4": node("PreviewImage", images=["3", 0])})


def test_every_input_has_a_tooltip_and_every_node_a_description(server: ComfyUI) -> None:
    ours = {name: info for name, info in server.get("/object_info").items() if name.startswith("THA4")}
    assert len(ours) >= 5
    for name, info in ours.items():
        assert info["description"], name
        for group in ("required", "optional"):
            for key, declared in info["input"].get(group, {}).items():
                assert declared[1].get("tooltip"), f"{name}.{key}"


def test_every_node_has_a_help_page_that_names_its_inputs_and_outputs(server: ComfyUI) -> None:
    ours = {name: info for name, info in server.get("/object_info").items() if name.startswith("THA4")}
    for name, info in ours.items():
        page = (PACK / "web" / "docs" / f"{name}.md").read_text()
        named = [*info["input"].get("required", {}), *info["input"].get("optional", {}), *info["output_name"]]
        assert [entry for entry in named if f"**{entry}**" not in page] == [], name
    assert {path.stem for path in (PACK / "web" / "docs").glob("*.md")} == set(ours)
