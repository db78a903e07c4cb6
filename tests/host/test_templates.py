"""Every example workflow, queued in the real ComfyUI with its motions made short; and what is said about the set."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.host.comfyui import PACK, ComfyUI, Prompt, api_form
from tests.host.test_graphs import NOD

FOLDER = PACK / "example_workflows"
ELSEWHERE = {
    "compare_teachers": "tests/host/test_teacher.py, where there are weights for it",
    "distill": "tests/host/test_distill.py, with small presets",
}
"""Workflows that other tests queue."""
RENDER_NODES = ("THA4StudentRender", "THA4TeacherRender", "THA4RenderVideo")
SHORT = {"seconds": 0.5, "fps": 2.0, "script": NOD, "loop": False, "teacher": "demo rig", "student": "lambda_00"}
"""Half a second at two frames a second; and what a fresh ComfyUI has not got by what there is here."""


def workflows() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def workflow(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def shortened(prompt: Prompt) -> Prompt:
    for entry in prompt.values():
        given = {key: value for key, value in entry["inputs"].items() if not isinstance(value, list)}
        entry["inputs"] |= {key: value for key, value in SHORT.items() if key in given}
    return prompt


@pytest.mark.parametrize("name", [name for name in workflows() if name not in ELSEWHERE])
def test_it_runs(server: ComfyUI, name: str) -> None:
    run = server.queue(shortened(api_form(workflow(name), server.get("/object_info"))))
    assert run.error == ""
    shown = [image for output in run.history["outputs"].values() for image in output.get("images", [])]
    assert [server.file(image) for image in shown if image["type"] == "output" and server.file(image).is_file()]


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
            if options is not None and not isinstance(value, list) and key != "image":
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


# Two published teachers side by side: their weights can be had neither here nor by a bare machine.
@pytest.mark.parametrize("name", [name for name in workflows() if name != "compare_teachers"])
def test_it_has_a_picture(name: str) -> None:
    assert any((FOLDER / f"{name}{suffix}").is_file() for suffix in (".jpg", ".webp", ".png"))
