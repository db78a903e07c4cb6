"""The fit editor in the real page: a picture dragged into its frame, and what becomes of the node's inputs."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.panels import PATIENCE, Panel, run
from tests.host.comfyui import ComfyUI
from tha4_core.demo import demo_character

MIDDLE = (0.5, 0.5)


def add(comfy: ComfyPage, x: float = 320, y: float = 80) -> Panel:
    """A new Load Character's editor, with the demo character in it."""
    panel = Panel(comfy, comfy.add("THA4LoadCharacter", x, y), "tha4_fit")
    expect(panel.find(".tha4-good")).to_be_visible(timeout=PATIENCE)
    comfy.page.wait_for_timeout(300)
    return panel


def placed(comfy: ComfyPage, panel: Panel) -> tuple[float, float, float]:
    values = comfy.values(panel.node)
    return values["scale"], values["offset_x"], values["offset_y"]


def figure(picture: np.ndarray) -> tuple[float, float, float]:
    """Where the figure is in the frame: its mean column and row, and its area."""
    alpha = picture[..., 3].astype(float)
    rows, columns = np.indices(alpha.shape)
    return float((alpha * columns).sum() / alpha.sum()), float((alpha * rows).sum() / alpha.sum()), float(alpha.sum())


@pytest.fixture
def input_picture(web_server: ComfyUI) -> str:
    """The demo character, twice as large, in the input folder."""
    picture = Image.fromarray(demo_character().picture.numpy()).resize((1024, 1024))
    picture.save(web_server.base / "input" / "figure.png")
    return "figure.png"


def test_dragging_moves_the_picture_and_tells_what_is_wrong(comfy: ComfyPage) -> None:
    panel = add(comfy)
    before = figure(panel.picture())
    comfy.drag(panel.find("canvas"), MIDDLE, (0.7, 0.6))
    scale, x, y = placed(comfy, panel)
    assert scale == 1
    assert (x, y) == (pytest.approx(102, abs=3), pytest.approx(51, abs=3))
    assert figure(panel.picture())[0] > before[0] + 60
    expect(panel.find("[data-code='head_outside_box']")).to_be_visible(timeout=PATIENCE)
    panel.find("[data-name='reset']").click()
    assert placed(comfy, panel) == (1, 0, 0)
    expect(panel.find(".tha4-good")).to_be_visible(timeout=PATIENCE)


def test_the_wheel_is_the_graphs_until_the_picture_is_touched(comfy: ComfyPage) -> None:
    panel = add(comfy)
    panel.find("canvas").hover()
    comfy.page.mouse.wheel(0, -120)
    comfy.page.wait_for_function("() => app.canvas.ds.scale > 1.01")
    assert placed(comfy, panel) == (1, 0, 0)
    panel.find("canvas").click()
    for _ in range(4):
        comfy.page.mouse.wheel(0, -120)
    comfy.page.wait_for_timeout(600)
    assert placed(comfy, panel)[0] == pytest.approx(1.03**4, abs=0.02)


def test_two_fingers_scale(comfy: ComfyPage) -> None:
    panel = add(comfy)
    box = panel.find("canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = comfy.page.context.new_cdp_session(comfy.page)

    def fingers(kind: str, *apart: float) -> None:
        points = [{"x": x + side * gap, "y": y, "id": i} for gap in apart for i, side in enumerate((-1, 1))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 40)
    for gap in range(42, 61, 2):
        fingers("touchMove", gap)
    fingers("touchEnd")
    comfy.page.wait_for_timeout(300)
    assert placed(comfy, panel) == (pytest.approx(1.5, abs=0.1), pytest.approx(0, abs=1), pytest.approx(0, abs=1))


def test_the_keyboard_moves_and_scales(comfy: ComfyPage) -> None:
    panel = add(comfy)
    panel.find("canvas").focus()
    for key in ("ArrowRight", "Shift+ArrowUp", "+"):
        comfy.page.keyboard.press(key)
    assert placed(comfy, panel) == (1.02, 1, -10)


def test_a_drag_is_one_step_of_the_graphs_history(comfy: ComfyPage) -> None:
    panel = add(comfy)
    comfy.drag(panel.find("canvas"), MIDDLE, (0.6, 0.5))
    first = placed(comfy, panel)
    comfy.drag(panel.find("canvas"), MIDDLE, (0.5, 0.7))
    assert placed(comfy, panel) != first
    comfy.page.keyboard.press("Control+z")
    seen = "([id, y]) => app.graph.getNodeById(id)?.widgets.find((w) => w.name === 'offset_y').value === y"
    comfy.page.wait_for_function(seen, arg=[panel.node, first[2]])
    assert placed(comfy, panel) == first


def test_a_linked_input_is_not_the_hands(comfy: ComfyPage) -> None:
    panel = add(comfy)
    number = comfy.add("PrimitiveFloat", 20, 600)
    comfy.set(number, "value", 25)
    comfy.connect(number, 0, panel.node, "offset_x")
    expect(panel.find(".tha4-fit-readout")).to_contain_text("link", timeout=PATIENCE)
    comfy.drag(panel.find("canvas"), MIDDLE, (0.6, 0.6))
    assert placed(comfy, panel)[1] == 0
    assert placed(comfy, panel)[2] > 0


def test_the_graph_says_which_picture_it_is(comfy: ComfyPage, input_picture: str) -> None:
    panel = add(comfy)
    comfy.page.evaluate("async () => { await app.refreshComboInNodes(); }")
    load = comfy.add("LoadImage", 20, 500)
    comfy.set(load, "image", input_picture)
    comfy.connect(load, 0, panel.node, "image")
    expect(panel.find("[data-code='no_alpha']")).to_be_visible(timeout=PATIENCE)
    comfy.connect(load, 1, panel.node, "mask")
    expect(panel.find(".tha4-good")).to_be_visible(timeout=PATIENCE)
    expect(panel.find("[data-code='size']")).to_contain_text("1024 x 1024")


def test_what_other_nodes_make_is_seen_after_a_run(comfy: ComfyPage, input_picture: str) -> None:
    panel = add(comfy)
    comfy.page.evaluate("async () => { await app.refreshComboInNodes(); }")
    load, flip = comfy.add("LoadImage", 20, 500), comfy.add("ImageFlip", 20, 900)
    comfy.set(load, "image", input_picture)
    comfy.connect(load, 0, flip, "image")
    comfy.connect(flip, 0, panel.node, "image")
    comfy.connect(load, 1, panel.node, "mask")
    expect(panel.find(".tha4-fit-report")).to_contain_text("run the graph once", timeout=PATIENCE)
    comfy.connect(panel.node, 1, comfy.add("PreviewImage", 800, 80), "images")
    comfy.set(panel.node, "offset_y", 10 if comfy.nodes2 else 5)  # what has run before does not run again
    run(comfy)
    expect(panel.find(".tha4-fit-report")).to_contain_text("last run", timeout=PATIENCE)


def test_what_is_queued_and_saved_are_the_inputs_alone(comfy: ComfyPage) -> None:
    panel = add(comfy)
    comfy.drag(panel.find("canvas"), MIDDLE, (0.6, 0.5))
    inputs = comfy.prompt()[str(panel.node)]["inputs"]
    scale, x, y = placed(comfy, panel)
    assert inputs == {
        "file": "demo",
        "fit": "auto",
        "scale": scale,
        "offset_x": x,
        "offset_y": y,
        "repo_id": "",
        "file_name": "",
        "revision": "main",
    }
    saved = comfy.workflow()
    assert saved["nodes"][0]["widgets_values"] == list(inputs.values())
    saved["nodes"][0]["size"] = [210, 200]  # as before there was an editor
    comfy.load(saved)
    loaded = Panel(comfy, panel.node, "tha4_fit")
    assert placed(comfy, loaded) == (scale, x, y)
    assert comfy.page.evaluate("(id) => app.graph.getNodeById(id).size", panel.node)[1] > 500


def test_a_node_that_goes_leaves_nothing(comfy: ComfyPage) -> None:
    panel = add(comfy)
    comfy.page.evaluate("(id) => { window.gone = app.graph.getNodeById(id).widgets.at(-1); }", panel.node)
    comfy.remove(panel.node)
    expect(comfy.page.locator(".tha4-fit")).to_have_count(0)
    asked: list[str] = []
    comfy.page.on("request", lambda request: asked.append(request.url))
    comfy.page.wait_for_timeout(700)
    assert [url for url in asked if "tha4" in url] == []
