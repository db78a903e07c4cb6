"""The teacher in a running ComfyUI, on synthetic weights, and files that a workflow names on the hub."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests import servers
from tests.host.comfyui import PACK, ComfyUI, Prompt, api_form, running
from tests.host.test_graphs import NO_HUB, node, pose_vector, saved, sequence
from tests.recipe import recipe_state_dict, recipe_teacher
from tha4_core.student import Student
from tha4_core.weights import THA3_NETWORKS

LOAD_TEACHER = {"teacher": "THA4", "precision": "auto", "auto_download": False, "repo_id": "", "revision": "main"}


@pytest.fixture(scope="module")
def hub(lambda_00: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A server on loopback that speaks the hub's protocol, with a student and a character."""
    student = tmp_path_factory.mktemp("hub") / "student.safetensors"
    Student.load(lambda_00).save(student)
    files = {"students/lambda.safetensors": student.read_bytes()}
    files["lambda.png"] = (lambda_00 / "character.png").read_bytes()
    with servers.Server() as server:
        servers.add_repository(server, "someone/characters", files)
        yield server


@pytest.fixture(scope="module")
def online(comfyui_folder: Path, base: Path, hub: servers.Server) -> Iterator[ComfyUI]:
    """A ComfyUI whose hub is that server."""
    with pytest.MonkeyPatch.context() as environment, hub:
        environment.setenv("HF_ENDPOINT", hub.url())
        environment.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        with running(comfyui_folder, base) as server:
            yield server


@pytest.fixture(scope="module")
def weights(base: Path) -> Iterator[Path]:
    """The synthetic teacher as five .pt files in models/tha4/teacher."""
    folder = base / "models" / "tha4" / "teacher"
    folder.mkdir(parents=True, exist_ok=True)
    for name, state_dict in recipe_teacher().items():
        torch.save(state_dict, folder / f"{name}.pt")
    yield folder
    for file in folder.glob("*.pt"):
        file.unlink()


def teacher_render(poses: dict[str, Any], debug: bool = False) -> Prompt:
    settings = {"background": "none", "background_color": "#808080", "rgba": True, "debug": debug}
    placing = {"file": "from the image input", "fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0}
    return {
        "1": node("LoadImage", image="lambda_00.png"),
        "2": node("THA4LoadCharacter", image=["1", 0], mask=["1", 1], **placing, **NO_HUB),
        "3": node("THA4LoadTeacher", **LOAD_TEACHER),
        "4": poses,
        "5": node("THA4TeacherRender", character=["2", 0], teacher=["3", 0], poses=["4", 0], **settings),
        "6": node("PreviewImage", images=["5", 0]),
    }


def test_missing_weights_say_where_they_belong_and_how_to_get_them(server: ComfyUI) -> None:
    error = server.queue(teacher_render(pose_vector())).error
    for part in ("body_morpher", "models/tha4/teacher", "auto_download", "dropbox", "CC BY-NC 4.0", "600 MB"):
        assert part in error


def test_three_poses_render_with_progress_previews_and_intermediates(server: ComfyUI, weights: Path) -> None:
    prompt = teacher_render(sequence("0 head_y=0.5 in 0.2", fps=10), debug=True)
    run = server.queue(prompt | {"7": node("PreviewImage", images=["5", 2])})
    assert run.error == ""
    pictures = [Image.open(path) for path in saved(server, run, "6")]
    assert [picture.size for picture in pictures] == [(512, 512)] * 3
    assert pictures[0].mode == "RGBA"
    assert run.previews >= 3
    sheet = Image.open(saved(server, run, "7")[0])
    assert sheet.size == (960, 1116)  # 33 images in six columns
    assert {path.stem for path in weights.iterdir()} == recipe_teacher().keys()  # they are read where they lie


def test_both_systems_side_by_side(server: ComfyUI, weights: Path) -> None:
    folder = weights / "tha3_standard_float"
    folder.mkdir()
    for name in THA3_NETWORKS:
        torch.save(dict(recipe_state_dict(f"tha3_standard/{name}")), folder / f"{name}.pt")
    workflow = json.loads((PACK / "example_workflows" / "15 Compare two teachers.json").read_text())
    prompt = api_form(workflow, server.get("/object_info"))
    sequence_node = next(entry for entry in prompt.values() if entry["class_type"] == "THA4PoseSequence")
    sequence_node["inputs"] |= {"script": "0 head_y=0.5", "fps": 1.0, "loop": False}
    run = server.queue(prompt)
    assert run.error == ""
    shown = [image for output in run.history["outputs"].values() for image in output.get("images", [])]
    picture = Image.open(server.file(next(image for image in shown if image["type"] == "output")))
    assert picture.size == (1032, 512)


def test_debug_output_that_is_off_says_so(server: ComfyUI, weights: Path) -> None:
    prompt = teacher_render(pose_vector()) | {"7": node("PreviewImage", images=["5", 2])}
    assert "switch its debug input on" in server.queue(prompt).error


def test_interrupt_stops_within_a_second(server: ComfyUI, weights: Path) -> None:
    asked: list[float] = []

    def interrupt(event: dict[str, Any]) -> None:
        if event["type"] == "progress" and not asked:
            asked.append(time.monotonic())
            server.post("/interrupt", {})

    run = server.queue(teacher_render(sequence("0 head_y=-1 and head_x=1 in 2", fps=20)), interrupt)
    assert run.interrupted
    # A frame takes many seconds here; the margin is for a machine that does other things besides.
    assert time.monotonic() - asked[0] < 2


def test_a_teacher_of_mixed_up_files_is_told(server: ComfyUI, weights: Path) -> None:
    torch.save(recipe_teacher()["face_morpher"], weights / "eyebrow_decomposer.pt")
    error = server.queue(teacher_render(pose_vector(head_x=0.1))).error
    assert "eyebrow_decomposer.pt" in error


def test_a_student_and_a_character_come_from_the_hub(online: ComfyUI, base: Path) -> None:
    named = {"repo_id": "someone/characters", "revision": "main"}
    placing = {"fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0}
    settings = {"background": "none", "background_color": "#808080", "rgba": False}
    student = named | {"file_name": "students/lambda.safetensors"}
    prompt: Prompt = {
        "1": node("THA4LoadStudent", student="from the hub", **student),
        "2": pose_vector(),
        "3": node("THA4StudentRender", student=["1", 0], poses=["2", 0], **settings),
        "4": node("PreviewImage", images=["3", 0]),
        "5": node("THA4LoadCharacter", file="from the hub", file_name="lambda.png", **placing, **named),
        "6": node("PreviewAny", source=["5", 2]),
    }
    run = online.queue(prompt)
    assert run.error == ""
    assert (base / "models/tha4/students/someone--characters/students/lambda.safetensors").is_file()
    assert (base / "models/tha4/characters/someone--characters/lambda.png").is_file()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"file_name": "none.safetensors"}, "no file none.safetensors"),
        ({"file_name": "../../x.safetensors"}, "refused as the name of a file"),
        ({"file_name": "evil.py"}, "end in .safetensors"),
        ({"repo_id": "no/such"}, "no such repository"),
        ({"repo_id": ""}, "one of them is empty"),
    ],
)
def test_what_the_hub_does_not_have_is_told(online: ComfyUI, changes: dict[str, str], says: str) -> None:
    named = {"repo_id": "someone/characters", "revision": "main", "file_name": "x.safetensors"} | changes
    prompt = {
        "1": node("THA4LoadStudent", student="from the hub", **named),
        "2": node("PreviewAny", source=["1", 0]),
    }
    assert says in online.queue(prompt).error
