"""Pose Vector in the page: its inputs stay what they were, with the editor upon them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.editor_page import Editor, add_editor
from tests.browser.panels import run
from tests.host.comfyui import ComfyUI
from tha4_core.pose import NAMES

POSE = {"eye_wink_left": 0.5, "mouth_aaa": 0.75, "head_y": -0.25, "breathing": 1}


def test_the_inputs_are_saved_by_name_and_in_order(comfy: ComfyPage) -> None:
    editor = posed(comfy)
    node = comfy.workflow()["nodes"][0]
    assert node["widgets_values"] == [POSE.get(name, 0) for name in NAMES]
    assert comfy.prompt()[str(editor.node)]["inputs"] == dict.fromkeys(NAMES, 0) | POSE


def test_a_saved_workflow_opens_as_it_was(comfy: ComfyPage) -> None:
    editor = posed(comfy)
    saved, picture = comfy.workflow(), editor.picture()
    comfy.clear()
    comfy.load(saved)
    again = Editor(comfy, editor.node).settle()
    assert again.pose() == POSE
    assert np.array_equal(again.picture(), picture)
    assert comfy.workflow()["nodes"] == saved["nodes"]


def test_a_workflow_from_before_the_editor_opens(comfy: ComfyPage) -> None:
    node = {
        "id": 1,
        "type": "THA4PoseVector",
        "pos": [300, 80],
        "size": [240, 1200],
        "flags": {},
        "order": 0,
        "mode": 0,
    }
    node |= {"inputs": [], "outputs": [{"name": "poses", "type": "THA4_POSES", "links": None}], "properties": {}}
    node["widgets_values"] = [POSE.get(name, 0) for name in NAMES]
    comfy.load({"last_node_id": 1, "last_link_id": 0, "nodes": [node], "links": [], "groups": [], "version": 0.4})
    assert Editor(comfy, 1).settle().pose() == POSE


def test_a_copied_node_has_an_editor_of_its_own(comfy: ComfyPage) -> None:
    editor = posed(comfy)
    comfy.page.evaluate(
        "(id) => { app.canvas.selectNode(app.graph.getNodeById(id)); app.canvas.copyToClipboard();"
        " app.canvas.pasteFromClipboard(); }",
        editor.node,
    )
    other = next(node["id"] for node in comfy.workflow()["nodes"] if node["id"] != editor.node)
    comfy.page.evaluate(
        "(id) => { app.graph.getNodeById(id).pos = [800, 80]; app.canvas.setDirty(true, true); }", other
    )
    copy = Editor(comfy, other).settle()
    assert copy.pose() == POSE
    copy.tool("reset")
    assert copy.pose() == {}
    assert editor.pose() == POSE


def test_two_editors_live_side_by_side(comfy: ComfyPage) -> None:
    one, two = add_editor(comfy, 300, 80), add_editor(comfy, 800, 80)
    comfy.drag(one.zone("head"), (0.5, 0.5), (0.1, 0.5))
    comfy.drag(two.zone("head"), (0.5, 0.5), (0.9, 0.5))
    assert one.pose()["head_y"] > 0 > two.pose()["head_y"]
    assert not np.array_equal(one.settle().picture(), two.settle().picture())


def test_a_linked_input_shows_as_driven(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    number = comfy.add("PrimitiveFloat", 40, 500)
    comfy.set(number, "value", 0.5)
    comfy.connect(number, 0, editor.node, "head_y")
    editor.tab("turn")
    expect(editor.slider("head_y")).to_be_disabled()
    expect(editor.slider("head_y")).to_have_value("0.5")  # what drives it
    editor.settle()  # the link has made the node higher
    comfy.drag(editor.zone("head"), (0.5, 0.5), (0.1, 0.3))
    assert comfy.values(editor.node)["head_x"] != 0
    editor.tool("random")
    assert editor.pose()  # one of its numbers may be 0, all of them are not
    assert comfy.values(editor.node)["head_y"] == 0
    assert comfy.prompt()[str(editor.node)]["inputs"]["head_y"] == [str(number), 0]
    comfy.page.evaluate(
        "(id) => { const n = app.graph.getNodeById(id); n.disconnectInput("
        "n.inputs.findIndex((one) => one.name === 'head_y')); }",
        editor.node,
    )
    expect(editor.slider("head_y")).to_be_enabled()


def test_what_a_link_gives_is_known_after_a_run(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    sequence, plot = comfy.add("THA4PoseSequence", 20, 100), comfy.add("THA4PlotPoses", 800, 80)
    comfy.set(sequence, "fps", 1.0)
    comfy.connect(sequence, 1, editor.node, "head_y")
    comfy.connect(editor.node, 0, plot, "poses")
    editor.tab("turn")
    number = editor.find("label:has(input[data-name='head_y']) .tha4-number")
    expect(number).to_have_text("?")
    run(comfy)
    expect(number).to_have_text("1.00")
    expect(editor.slider("head_y")).to_have_value("1")
    comfy.connect(comfy.add("THA4PoseSequence", 20, 600), 1, editor.node, "head_y")  # another one, not yet run
    expect(number).to_have_text("?")


def test_the_numbers_fold_and_unfold(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    height = editor.element.bounding_box()["height"]
    assert rows(comfy, editor) == []
    number = comfy.add("PrimitiveFloat", 40, 500)
    comfy.connect(number, 0, editor.node, "head_y")
    comfy.until(lambda: rows(comfy, editor), ["head_y"])  # a link needs an end that one sees
    editor.find("[data-name='numbers']").click()
    comfy.until(lambda: rows(comfy, editor), list(NAMES))
    editor.find("[data-name='numbers']").click()
    comfy.until(lambda: rows(comfy, editor), ["head_y"])
    comfy.until(lambda: editor.element.bounding_box()["height"], pytest.approx(height, abs=40))


# Notes what our modules make and do not end: timers, listeners of the window and the document, observers, object URLs.
WATCH = """() => {
    const ours = () => new Error().stack.includes("/extensions/tha4/");
    const left = (window.left = new Set());
    const [start, stop, makeURL] = [setInterval.bind(window), clearInterval.bind(window), URL.createObjectURL];
    const { addEventListener: listen, removeEventListener: leave } = EventTarget.prototype;
    window.setInterval = (...given) => {
        const id = start(...given);
        if (ours()) left.add(`interval ${id}`);
        return id;
    };
    window.clearInterval = (id) => {
        left.delete(`interval ${id}`);
        stop(id);
    };
    EventTarget.prototype.addEventListener = function (name, ...given) {
        if ((this === window || this === document) && ours()) left.add(`listener ${name}`);
        return listen.call(this, name, ...given);
    };
    EventTarget.prototype.removeEventListener = function (name, ...given) {
        if ((this === window || this === document) && ours()) left.delete(`listener ${name}`);
        return leave.call(this, name, ...given);
    };
    URL.createObjectURL = (thing) => {
        if (ours()) left.add("object URL");
        return makeURL.call(URL, thing);
    };
    for (const name of ["ResizeObserver", "MutationObserver", "IntersectionObserver"]) {
        const Real = window[name];
        window[name] = class extends Real {
            constructor(...given) {
                super(...given);
                if (ours()) left.add(name);
            }
        };
    }
}"""


def test_a_removed_node_leaves_nothing_behind(comfy: ComfyPage) -> None:
    comfy.page.evaluate(WATCH)
    editor = add_editor(comfy)
    comfy.drag(editor.zone("head"), (0.5, 0.5), (0.1, 0.5))
    kinds = set(comfy.page.evaluate("() => [...window.left].map((one) => one.split(' ')[0])"))
    assert kinds == {"interval", "listener"}
    editor.zone("head").hover()
    comfy.page.mouse.down()  # gone in the middle of a drag
    asked: list[str] = []
    comfy.page.on("request", lambda request: asked.append(request.url))
    comfy.remove(editor.node)
    comfy.page.mouse.move(900, 900, steps=4)
    comfy.page.mouse.up()
    comfy.page.wait_for_timeout(600)
    assert comfy.page.locator(".tha4-editor").count() == 0
    assert [url for url in asked if "/tha4/" in url] == []
    assert comfy.page.evaluate("() => [...window.left]") == []
    comfy.page.keyboard.press("Control+z")  # history goes on: the step that was open has ended
    comfy.page.wait_for_function("() => app.graph.nodes.length === 1")


@pytest.mark.parametrize("kind", ["demo", "published"])
def test_a_run_gives_the_frame_that_was_seen(
    comfy: ComfyPage, web_server: ComfyUI, with_student: str, kind: str
) -> None:
    student = {"demo": "demo", "published": with_student}[kind]
    comfy.page.evaluate("async () => { await app.refreshComboInNodes(); }")
    editor = add_editor(comfy)
    render = comfy.add("THA4StudentRender", 800, 80)
    save = comfy.add("SaveImage", 1200, 80)
    comfy.connect(editor.node, 0, render, "poses")
    comfy.connect(render, 0, save, "images")
    comfy.set(render, "rgba", True)
    load = comfy.add("THA4LoadStudent", 40, 80)
    comfy.set(load, "student", student)
    comfy.connect(load, 0, render, "student")
    comfy.page.evaluate("async () => (await import('/extensions/tha4/js/library.js')).library.load(true)")
    for name, value in POSE.items():
        comfy.set(editor.node, name, value)
    expect(editor.find(".tha4-caption")).to_have_text(student)
    seen = editor.settle().picture().astype(float) / 255
    saved = comfy.run(web_server)["outputs"][str(save)]["images"][0]
    made = np.asarray(Image.open(web_server.file(saved))).astype(float) / 255
    assert np.abs(seen[..., 3] - made[..., 3]).max() <= 2 / 255
    # Beyond its edge the figure's colour means nothing.
    assert np.abs(seen[..., :3] * seen[..., 3:] - made[..., :3] * made[..., 3:]).max() <= 2 / 255


def posed(comfy: ComfyPage) -> Editor:
    editor = add_editor(comfy)
    for name, value in POSE.items():
        comfy.set(editor.node, name, value)
    comfy.page.wait_for_timeout(300)
    return editor.settle()


def rows(comfy: ComfyPage, editor: Editor) -> list[str]:
    """Which of the 45 inputs one sees on the node."""
    if comfy.nodes2:
        names = comfy.page.locator(f"[data-node-id='{editor.node}'] .lg-node-widget").all_inner_texts()
        return [name.split("\n")[0] for name in names if name.split("\n")[0] in NAMES]
    shown = """(id) => {
        const node = app.graph.getNodeById(id);
        return node.widgets.filter((widget) => node.isWidgetVisible(widget)).map((widget) => widget.name);
    }"""
    return [name for name in comfy.page.evaluate(shown, editor.node) if name in NAMES]


def test_without_the_server_the_numbers_remain(comfy: ComfyPage) -> None:
    comfy.page.route("**/tha4/library", lambda route: route.fulfill(status=500))
    comfy.page.evaluate(
        "async () => { await (await import('/extensions/tha4/js/library.js')).library.load(true).catch(() => {}); }"
    )
    node = comfy.add("THA4PoseVector", 300, 80)
    expect(comfy.page.locator(".tha4-editor")).to_contain_text("the server did not say what it can do (500)")
    comfy.set(node, "head_y", 0.5)
    assert comfy.prompt()[str(node)]["inputs"] == dict.fromkeys(NAMES, 0) | {"head_y": 0.5}
    comfy.page.unroute("**/tha4/library")
    comfy.errors.clear()  # the browser notes the 500
