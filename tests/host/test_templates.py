"""Every example workflow and blueprint, queued in the real ComfyUI, its motions made short; and what is said of all."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.host.comfyui import PACK, ComfyUI, Prompt, api_form
from tests.host.test_graphs import NOD

FOLDER, BLUEPRINTS = PACK / "example_workflows", PACK / "subgraphs"
ELSEWHERE = {
    "12 Face in a video": "tests/host/test_video_face.py, with a stand-in for ComfyUI's face detection model",
    "13 Face in the webcam": "tests/host/test_video_face.py, the same",
    "14 Distill a student": "tests/host/test_distill.py, with small presets",
    "15 Compare two teachers": "tests/host/test_teacher.py, where there are weights for it",
}
"""Workflows that other tests queue."""
NO_MODEL = "05 Picture with a background"
"""Its model can be had neither here nor by a bare machine, and is too large for one of random numbers."""
RENDER_NODES = ("THA4StudentRender", "THA4TeacherRender", "THA4RenderVideo")
SHORT = {
    "seconds": 0.5,
    "fps": 2.0,
    "script": NOD,
    "timings": "0 a\n0.5 i\n",
    "loop": False,
    "teacher": "demo rig",
    "student": "lambda_00",
}
"""Half a second at two frames a second; and what a fresh ComfyUI has not got by what there is here."""
WINDOW = 1920, 960
"""The page in a browser on a usual screen, in pixels."""
TITLE = 30
CHOICES = {"image": "mine.png", "bg_removal_name": "mine.safetensors", "model_name": "mine.safetensors"}
"""What a template leaves to the user: nothing is chosen in it, so that nothing is missing when it opens."""


def workflows() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def workflow(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def blueprints() -> list[str]:
    return sorted(path.stem for path in BLUEPRINTS.glob("*.json"))


def blueprint(name: str) -> dict[str, Any]:
    """The only subgraph of a blueprint's file."""
    content = json.loads((BLUEPRINTS / f"{name}.json").read_text(encoding="utf-8"))
    (subgraph,) = content["definitions"]["subgraphs"]
    assert [node["type"] for node in content["nodes"]] == [subgraph["id"]]
    return dict(subgraph)


def inside(subgraph: dict[str, Any]) -> dict[str, Any]:
    """What is in a subgraph as a workflow of its own: without the links to its inputs and outputs."""
    inner = [link for link in subgraph["links"] if min(link["origin_id"], link["target_id"]) >= 0]
    kept = {link["id"] for link in inner}
    nodes = [
        node | {"inputs": [socket for socket in node.get("inputs", []) if socket.get("link") in kept]}
        for node in subgraph["nodes"]
    ]
    return {"nodes": nodes, "links": [[link["id"], link["origin_id"], link["origin_slot"]] for link in inner]}


def shortened(prompt: Prompt) -> Prompt:
    """The prompt with its motions made short, and with the demo character for the user's picture."""
    for entry in prompt.values():
        given = {key: value for key, value in entry["inputs"].items() if not isinstance(value, list)}
        entry["inputs"] |= {key: value for key, value in SHORT.items() if key in given}
        if entry["class_type"] == "THA4LoadCharacter":
            entry["inputs"] = {key: value for key, value in given.items() if key != "file"} | {"file": "demo"}
    return prompt


def _write_interpolator(path: Path) -> None:
    """A small RIFE model of random numbers, from ComfyUI's own class: its weights cannot be had here."""
    from comfy_extras.frame_interpolation_models.ifnet import IFNet

    path.parent.mkdir(parents=True, exist_ok=True)
    weights = IFNet(head_ch=4, channels=(16, 16, 16, 16, 16), dtype=torch.float32).state_dict()
    save_file({key: torch.randn_like(value) * 0.01 for key, value in weights.items()}, path)


@pytest.fixture(scope="module")
def prepared(server: ComfyUI, base: Path, call: object) -> ComfyUI:
    """The server, with stand-ins for what users choose: a picture and two models."""
    shutil.copyfile(base / "input" / "lambda_00.png", base / "input" / "mine.png")
    _write_interpolator(base / "models" / "frame_interpolation" / "mine.safetensors")
    (base / "models" / "background_removal").mkdir(parents=True, exist_ok=True)
    save_file({"none": torch.zeros(1)}, base / "models" / "background_removal" / "mine.safetensors")
    return server


def chosen(prompt: Prompt) -> Prompt:
    """The prompt with what a template leaves to the user chosen."""
    for entry in prompt.values():
        theirs = CHOICES.keys() & {key for key, value in entry["inputs"].items() if value == ""}
        entry["inputs"] |= {key: CHOICES[key] for key in theirs}
    return prompt


@pytest.mark.parametrize("name", [name for name in workflows() if name not in {*ELSEWHERE, NO_MODEL}])
def test_it_runs(prepared: ComfyUI, name: str) -> None:
    run = prepared.queue(shortened(chosen(api_form(workflow(name), prepared.get("/object_info")))))
    assert run.error == ""
    results = run.history["outputs"].values()
    shown = [file for result in results for file in (*result.get("images", []), *result.get("tha4_puppet", []))]
    assert [prepared.file(image) for image in shown if image["type"] == "output" and prepared.file(image).is_file()]


def test_a_graph_whose_model_is_missing_here_is_accepted(prepared: ComfyUI) -> None:
    prompt = chosen(api_form(workflow(NO_MODEL), prepared.get("/object_info")))
    for entry in prompt.values():
        if entry["class_type"] == "THA4LoadTeacher":
            entry["inputs"]["teacher"] = "demo rig"
    run = prepared.queue(prompt)  # raises where the server refuses a part of it
    failed = [event["data"]["node_type"] for event in run.events if event["type"] == "execution_error"]
    assert failed == ["LoadBackgroundRemovalModel"]


@pytest.mark.parametrize("name", blueprints())
def test_a_blueprint_runs(prepared: ComfyUI, name: str) -> None:
    prompt = api_form(inside(blueprint(name)), prepared.get("/object_info"))
    (video,) = [key for key, entry in prompt.items() if entry["class_type"] == "THA4RenderVideo"]
    save = {"video": [video, 0], "filename_prefix": "blueprint", "format": "webp", "quality": 75}
    run = prepared.queue(shortened(prompt | {"save": {"class_type": "THA4SaveVideo", "inputs": save}}))
    assert run.error == ""
    assert prepared.file(run.outputs("save")["images"][0]).is_file()


def test_every_node_is_in_one(server: ComfyUI) -> None:
    used = {node["type"] for name in workflows() for node in workflow(name)["nodes"]}
    assert {name for name in server.get("/object_info") if name.startswith("THA4")} - used == set()


@pytest.mark.parametrize("name", workflows())
def test_it_opens_with_what_every_comfyui_has(server: ComfyUI, name: str) -> None:
    known = {key: info["python_module"] for key, info in server.get("/object_info").items()}
    types = {node["type"] for node in workflow(name)["nodes"]} - {"MarkdownNote"}
    others = {node for node in types if not known[node].startswith(("nodes", "comfy_extras", "custom_nodes.tha4"))}
    assert others == set()


@pytest.mark.parametrize("name", workflows())
def test_no_value_is_one_that_a_fresh_comfyui_would_refuse(server: ComfyUI, name: str) -> None:
    info = server.get("/object_info")
    for entry in api_form(workflow(name), info).values():
        declared = info[entry["class_type"]]["input"]
        for key, value in entry["inputs"].items():
            kind, *settings = (declared.get("required", {}) | declared.get("optional", {}))[key]
            options = kind if isinstance(kind, list) else (settings[0] if settings else {}).get("options")
            theirs = value == "" and (key in CHOICES or entry["class_type"] == "LoadVideo")
            if options is not None and not isinstance(value, list) and not theirs:
                assert value in options, f"{entry['class_type']}.{key}"


@pytest.mark.parametrize("name", workflows())
def test_no_frame_is_rendered_twice(server: ComfyUI, name: str) -> None:
    prompt = api_form(workflow(name), server.get("/object_info"))
    models = ("student", "teacher", "character", "poses")
    renders = {key: entry["inputs"] for key, entry in prompt.items() if entry["class_type"] in RENDER_NODES}
    frames = [[inputs.get(name) for name in models] for inputs in renders.values()]
    assert [one for one in frames if frames.count(one) > 1] == []
    # Every node that takes a video renders its frames.
    videos = [key for key in renders if prompt[key]["class_type"] == "THA4RenderVideo"]
    links = [value for entry in prompt.values() for value in entry["inputs"].values() if isinstance(value, list)]
    assert [key for key in videos if links.count([key, 0]) != 1] == []


@pytest.mark.parametrize("name", workflows())
def test_it_has_a_square_picture(name: str) -> None:
    with Image.open(FOLDER / f"{name}.jpg") as picture:
        assert picture.width == picture.height >= 512


@pytest.mark.parametrize("name", workflows())
def test_its_note_has_a_title(name: str) -> None:
    notes = [node for node in workflow(name)["nodes"] if node["type"] == "MarkdownNote"]
    assert [note["title"] for note in notes] == [name.split(" ", 1)[1]]


@pytest.mark.parametrize("name", workflows())
def test_its_titles_can_be_read_when_it_opens(name: str) -> None:
    """The page shows a whole graph in three quarters of the window, and no texts of nodes below a scale of 8/14."""
    boxes = [(*node["pos"], *node["size"]) for node in workflow(name)["nodes"]]
    width = max(x + w for x, _, w, _ in boxes) - min(x for x, *_ in boxes)
    height = max(y + h for _, y, _, h in boxes) - min(y for _, y, *_ in boxes) + TITLE
    assert min(0.75 * WINDOW[0] / width, 0.75 * WINDOW[1] / height) > 8 / 14


@pytest.mark.parametrize("name", workflows())
def test_app_mode_has_its_inputs_and_an_output(name: str) -> None:
    nodes = {node["id"]: node for node in workflow(name)["nodes"]}
    app = workflow(name)["extra"]["linearData"]
    assert {nodes[node]["type"] for node in app["outputs"]} <= {
        "THA4SaveVideo",
        "THA4ExportPuppet",
        "SaveImage",
        "SaveAnimatedWEBP",
    }
    assert app["outputs"]
    assert app["inputs"]
    for node, widget in app["inputs"]:
        assert widget in [socket["name"] for socket in nodes[node]["inputs"] if "widget" in socket]


def test_the_quickstart_is_the_first() -> None:
    assert workflows()[0] == "01 Quickstart"


@pytest.mark.parametrize("name", blueprints())
def test_a_blueprint_is_named_in_words(name: str) -> None:
    subgraph = blueprint(name)
    assert subgraph["name"] == name
    assert subgraph["description"]
    shown = [socket.get("label") or socket["name"] for socket in subgraph["inputs"] + subgraph["outputs"]]
    assert all(re.fullmatch("[a-z][a-z ]+", label) for label in shown), shown
