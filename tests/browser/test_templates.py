"""The templates and the blueprints in the page: they open without a fault, and no node covers another, run or not."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from tests.browser.comfy_page import ComfyPage
from tests.browser.test_page import WRONG, template
from tests.host.comfyui import PACK, ComfyUI, Prompt, api_form

WORKFLOWS = sorted(path.stem for path in (PACK / "example_workflows").glob("*.json"))
BLUEPRINTS = sorted(path.stem for path in (PACK / "subgraphs").glob("*.json"))
NOT_RUN = ("04", "05", "07", "12", "13", "14", "15")
"""Numbers of the templates that ask for a picture, a model, a camera, or minutes."""
CAMERA = "13 Face in the webcam"
SHORT = {"seconds": 0.5, "fps": 2, "script": "0 neutral\n0.5 smile\n", "loop": False, "length": 0}
BLUEPRINT_SHORT = {"seconds": 0.5, "frames a second": 2, "written timings": "0 a\n0.5 i\n1 a\n", "script": "0 smile\n"}
_SHORTEN = """(values) => {
    for (const node of app.graph.nodes) {
        for (const widget of node.widgets ?? []) if (widget.name in values) widget.value = values[widget.name];
    }
}"""
_BOXES = """(nodes2) => Object.fromEntries(app.graph.nodes.map((node) => {
    const drawn = () => {
        const {x, y, width, height} = document.querySelector(`[data-node-id="${node.id}"]`).getBoundingClientRect();
        return [x, y, width, height].map((length) => length / app.canvas.ds.scale);
    };
    return [`${node.id} ${node.type}`, nodes2 ? drawn() : [...node.getBounding(new Float32Array(4))]];
}))"""
# Seen as a whole: Nodes 2.0 draws only what is on the screen.
_SEE_ALL = """() => {
    const [xs, ys] = [0, 1].map((axis) => app.graph.nodes.map((node) => node.pos[axis]));
    app.canvas.ds.scale = 0.4;
    app.canvas.ds.offset = [200 - Math.min(...xs), 100 - Math.min(...ys)];
    app.canvas.setDirty(true, true);
}"""


def covered(comfy: ComfyPage) -> list[tuple[str, str]]:
    """The pairs of nodes of which one lies on the other."""
    comfy.page.evaluate(_SEE_ALL)
    comfy.page.wait_for_timeout(300)
    boxes: dict[str, list[float]] = comfy.page.evaluate(_BOXES, comfy.nodes2)
    assert all(width > 50 and height > 20 for _, _, width, height in boxes.values())
    return [(one, other) for one, other in combinations(boxes, 2) if _meet(boxes[one], boxes[other])]


def _meet(one: list[float], other: list[float]) -> bool:
    return all(one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2] for axis in (0, 1))


def inputs(prompt: Prompt) -> dict[str, tuple[str, dict[str, Any]]]:
    return {key: (entry["class_type"], entry["inputs"]) for key, entry in prompt.items()}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_template_opens_as_it_was_saved_and_covers_no_node(comfy: ComfyPage, web_server: ComfyUI, name: str) -> None:
    comfy.load(template(name))
    assert comfy.page.evaluate(WRONG) == []
    assert covered(comfy) == []
    if name != CAMERA:  # a prompt takes a picture
        assert inputs(comfy.prompt()) == inputs(api_form(template(name), web_server.get("/object_info")))
    if not name.startswith(NOT_RUN):
        comfy.page.evaluate(_SHORTEN, SHORT)
        comfy.run(web_server)
        assert covered(comfy) == []


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_a_blueprint_is_found_by_its_name_and_runs(comfy: ComfyPage, web_server: ComfyUI, name: str) -> None:
    node = comfy.add_by_search(name)
    save = comfy.add("THA4SaveVideo", 700, 60)
    comfy.connect(node, 0, save, "video")
    for widget in BLUEPRINT_SHORT.keys() & comfy.values(node).keys():
        comfy.set(node, widget, BLUEPRINT_SHORT[widget])
    outputs = comfy.run(web_server)["outputs"]
    assert outputs[str(save)]["images"]
