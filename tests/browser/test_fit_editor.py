"""The fit editor in the real page: a picture dragged into its frame, and what becomes of the node's inputs."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Route, expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.panels import PATIENCE, Panel, run
from tests.core.picture.doll import figure
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


def figure_of(picture: np.ndarray) -> tuple[float, float, float]:
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
    before = figure_of(panel.picture())
    comfy.drag(panel.find("canvas"), MIDDLE, (0.7, 0.6))
    scale, x, y = placed(comfy, panel)
    assert scale == 1
    assert (x, y) == (pytest.approx(102, abs=3), pytest.approx(51, abs=3))
    assert figure_of(panel.picture())[0] > before[0] + 60
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
    comfy.until(lambda: placed(comfy, panel)[0], pytest.approx(1.03**4, abs=0.02))


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
    expected = pytest.approx(1.5, abs=0.1), pytest.approx(0, abs=1), pytest.approx(0, abs=1)
    comfy.until(lambda: placed(comfy, panel), expected)


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


@pytest.fixture
def doll_file(tmp_path: Path) -> Path:
    """A picture somewhere on this computer, larger than the frame."""
    figure((1024, 1024), 2).save(tmp_path / "Dragged doll.PNG")
    return tmp_path / "Dragged doll.PNG"


def drop(target: Locator, file: Path, *, where: str = "") -> None:
    """Drop a file on an element, or on the page at a point of the graph (`where`: a JavaScript expression)."""
    content = base64.b64encode(file.read_bytes()).decode()
    target.evaluate(
        f"""async (element, [name, content]) => {{
            const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {{ type: "image/png" }}));
            const at = {where or "{}"};
            for (const type of ["dragenter", "dragover", "drop"]) {{
                const event = new DragEvent(type, {{ ...at, dataTransfer: transfer, bubbles: true, cancelable: true }});
                element.dispatchEvent(event);
                await new Promise((done) => setTimeout(done, 60));
            }}
        }}""",
        [file.name, content],
    )


def test_a_picture_is_uploaded_by_the_button(comfy: ComfyPage, web_server: ComfyUI, doll_file: Path) -> None:
    panel = add(comfy)
    comfy.set(panel.node, "offset_x", 40)
    with comfy.page.expect_file_chooser() as chooser:
        panel.find("[data-name='upload']").click()
    chooser.value.set_files(doll_file)
    expect(panel.find("[data-code='size']")).to_contain_text("1024 x 1024", timeout=PATIENCE)
    expect(panel.find(".tha4-good")).to_be_visible()
    assert comfy.values(panel.node)["file"] == "input/Dragged doll.PNG"
    assert placed(comfy, panel) == (1, 0, 0)
    assert (web_server.base / "input" / doll_file.name).read_bytes() == doll_file.read_bytes()
    assert comfy.prompt()[str(panel.node)]["inputs"]["file"] == "input/Dragged doll.PNG"


def test_a_picture_is_dropped_on_the_editor(comfy: ComfyPage, doll_file: Path) -> None:
    panel = add(comfy)
    drop(panel.find("canvas >> nth=0"), doll_file)
    expect(panel.find("[data-code='size']")).to_contain_text("1024 x 1024", timeout=PATIENCE)
    assert comfy.values(panel.node)["file"] == "input/Dragged doll.PNG"
    assert comfy.page.evaluate("() => app.graph.nodes.length") == 1  # ComfyUI made no Load Image of it


def test_a_picture_is_dropped_on_the_rest_of_the_node(comfy: ComfyPage, doll_file: Path) -> None:
    panel = add(comfy)
    if comfy.nodes2:
        drop(comfy.page.locator(f"[data-node-id='{panel.node}'] >> nth=0"), doll_file)
    else:
        middle = "(([x, y]) => ({ clientX: x, clientY: y }))(app.canvasPosToClientPos([400, 70]))"
        drop(comfy.page.locator("#graph-canvas"), doll_file, where=middle)
    expect(panel.find("[data-code='size']")).to_contain_text("1024 x 1024", timeout=PATIENCE)
    assert comfy.values(panel.node)["file"] == "input/Dragged doll.PNG"
    assert comfy.page.evaluate("() => app.graph.nodes.length") == 1


def test_what_is_no_picture_is_not_taken(comfy: ComfyPage, input_picture: str, tmp_path: Path) -> None:
    panel = add(comfy)
    (tmp_path / "notes.txt").write_text("no picture")
    drop(panel.find("canvas >> nth=0"), tmp_path / "notes.txt")
    expect(panel.find("[data-code='upload']")).to_contain_text("PNG", timeout=PATIENCE)
    assert comfy.values(panel.node)["file"] == "demo"
    comfy.set(panel.node, "file", f"input/{input_picture}")
    expect(panel.find("[data-code='upload']")).to_have_count(0, timeout=PATIENCE)  # it was about another picture


def test_an_upload_says_where_it_is_not_used(comfy: ComfyPage, input_picture: str, doll_file: Path) -> None:
    panel = add(comfy)
    comfy.page.evaluate("async () => { await app.refreshComboInNodes(); }")
    load = comfy.add("LoadImage", 20, 500)
    comfy.set(load, "image", input_picture)
    comfy.connect(load, 0, panel.node, "image")
    expect(panel.find("[data-code='no_alpha']")).to_be_visible(timeout=PATIENCE)
    drop(panel.find("canvas >> nth=0"), doll_file)
    expect(panel.find("[data-code='upload']")).to_contain_text("instead of the file", timeout=PATIENCE)


def test_one_click_chooses_between_both_placements(comfy: ComfyPage, web_server: ComfyUI) -> None:
    faceless = Image.fromarray(demo_character().picture.numpy())
    ImageDraw.Draw(faceless).ellipse((192, 66, 320, 200), fill=(40, 130, 160, 255))
    faceless.save(web_server.base / "input" / "faceless.png")
    panel = add(comfy)
    comfy.set(panel.node, "file", "input/faceless.png")
    expect(panel.find("[data-code='unsure']")).to_be_visible(timeout=PATIENCE)
    expect(panel.find(".tha4-good")).to_have_count(0)
    offered = panel.picture("[data-fit='head in box'] canvas")
    panel.find("[data-fit='head in box']").click()
    expect(panel.find("[data-fit]")).to_have_count(0, timeout=PATIENCE)
    expect(panel.element).not_to_have_attribute("data-codes", "looking", timeout=PATIENCE)
    assert comfy.values(panel.node)["fit"] == "head in box"
    assert placed(comfy, panel) == (1, 0, 0)
    column, row, _ = figure_of(panel.picture())
    assert (column / 4, row / 4) == (
        pytest.approx(figure_of(offered)[0], abs=3),
        pytest.approx(figure_of(offered)[1], abs=3),
    )
    comfy.page.keyboard.press("Control+z")
    seen = "(id) => app.graph.getNodeById(id)?.widgets.find((w) => w.name === 'fit').value === 'auto'"
    comfy.page.wait_for_function(seen, arg=panel.node)


def test_nothing_good_is_said_of_a_picture_that_was_not_looked_at(comfy: ComfyPage, input_picture: str) -> None:
    panel = add(comfy)
    answers: list[Route] = []
    comfy.page.route("**/tha4/fit", lambda route: answers.append(route))
    comfy.set(panel.node, "file", f"input/{input_picture}")
    expect(panel.find("[data-code='looking']")).to_be_visible(timeout=PATIENCE)
    expect(panel.find(".tha4-good")).to_have_count(0)
    comfy.page.wait_for_timeout(300)
    for answer in answers:
        answer.continue_()
    comfy.page.unroute("**/tha4/fit")
    expect(panel.find(".tha4-good")).to_be_visible(timeout=PATIENCE)
    expect(panel.find("[data-code='looking']")).to_have_count(0)


def test_the_most_important_finding_is_first_and_whole(comfy: ComfyPage, web_server: ComfyUI) -> None:
    white = Image.new("RGBA", (700, 900), "white")
    white.save(web_server.base / "input" / "white.png")
    panel = add(comfy)
    comfy.set(panel.node, "file", "input/white.png")
    first = panel.find(".tha4-fit-report li >> nth=0")
    expect(first).to_have_attribute("data-code", "no_alpha", timeout=PATIENCE)
    expect(first).to_contain_text("Remove Background")
    line, report = first.bounding_box(), panel.find(".tha4-fit-report").bounding_box()
    assert line is not None
    assert report is not None
    assert line["y"] + line["height"] <= report["y"] + report["height"] + 1


def test_the_picture_is_shown_once(comfy: ComfyPage, input_picture: str) -> None:
    panel = add(comfy)
    comfy.set(panel.node, "file", f"input/{input_picture}")
    comfy.connect(panel.node, 1, comfy.add("PreviewImage", 800, 80), "images")
    run(comfy)
    comfy.page.wait_for_timeout(500)
    assert not comfy.page.evaluate("(id) => app.graph.getNodeById(id).imgs?.length ?? 0", panel.node)
    if comfy.nodes2:
        expect(comfy.page.locator(f"[data-node-id='{panel.node}'] img")).to_have_count(0)


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
