"""The pose editor in the real page: what a hand does there, and what becomes of the node's 45 inputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.editor_page import Editor, add_editor
from tha4_core.motion import expressions
from tha4_core.pose import NAMES, PARAMETERS, Poses, make_pose

MIDDLE = (0.5, 0.5)


def middle_column(picture: np.ndarray) -> float:
    """Where the head is: the mean column of what is opaque in its rows."""
    alpha = picture[64:160, :, 3].astype(float)
    return float((alpha.sum(0) * np.arange(512)).sum() / alpha.sum())


def test_dragging_the_head_turns_it(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    before = editor.picture()
    comfy.drag(editor.zone("head"), MIDDLE, (0.1, 0.3))
    pose = editor.pose()
    assert set(pose) == {"head_x", "head_y"}
    assert pose["head_y"] > 0.3
    assert pose["head_x"] > 0.1
    after = editor.settle().picture()
    assert middle_column(after) < middle_column(before) - 1  # it goes with the hand
    assert np.abs(after.astype(int) - before).max() > 50


def test_shift_and_the_wheel_tilt(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    comfy.page.keyboard.down("Shift")
    comfy.drag(editor.zone("head"), MIDDLE, (0.1, 0.5))
    comfy.page.keyboard.up("Shift")
    tilted = editor.pose()
    assert set(tilted) == {"neck_z"}
    assert tilted["neck_z"] > 0.3
    comfy.page.mouse.wheel(0, 120)
    comfy.until(lambda: editor.pose()["neck_z"], pytest.approx(tilted["neck_z"] - 0.05, abs=0.0011))


def test_the_wheel_is_the_graphs_until_the_editor_is_touched(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    editor.zone("head").hover()
    comfy.page.mouse.wheel(0, -120)
    comfy.page.wait_for_function("() => app.canvas.ds.scale > 1.01")
    assert editor.pose() == {}


@pytest.mark.parametrize(
    ("zone", "way", "expected"),
    [
        ("body", (-0.2, 0), {"body_y": 1}),
        ("eyes", (-0.3, -0.6), {"iris_rotation_x": 1, "iris_rotation_y": 1}),
        ("mouth", (0, 1.2), {"mouth_aaa": 1}),
        ("mouth", (0.6, 0), {"mouth_iii": 1}),
    ],
)
def test_parts_of_the_picture_are_handles(comfy: ComfyPage, zone: str, way: tuple[float, float], expected) -> None:
    editor = add_editor(comfy)
    start = 0.15 if zone == "body" else 0.5
    comfy.drag(editor.zone(zone), (0.5, start), (0.5 + way[0], start + way[1]))
    assert {name: int(np.sign(value)) for name, value in editor.pose().items()} == expected


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_drag_means_the_same_at_any_zoom(comfy: ComfyPage, scale: float) -> None:
    editor = add_editor(comfy, 300, 80)
    comfy.drag(editor.zone("head"), MIDDLE, (0.2, 0.4))
    natural = editor.pose()
    editor.tool("reset")
    comfy.zoom(scale)
    comfy.drag(editor.zone("head"), MIDDLE, (0.2, 0.4))
    zoomed = editor.pose()
    assert zoomed == pytest.approx(natural, abs=0.05)


def test_a_finger_drags_too(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    box = editor.zone("head").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = comfy.page.context.new_cdp_session(comfy.page)
    for kind, dx in (("touchStart", 0), ("touchMove", -10), ("touchMove", -40), ("touchEnd", 0)):
        points = [] if kind == "touchEnd" else [{"x": x + dx, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert editor.pose().keys() == {"head_y"}
    assert editor.pose()["head_y"] > 0.1


def test_sliders_go_together_or_alone(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    editor.tab("eyes")
    editor.slide("eye_wink_left", 0.5)
    assert editor.pose() == {"eye_wink_left": 0.5, "eye_wink_right": 0.5}
    editor.find("[data-name='link']").click()
    editor.slide("eye_wink_right", 0.25)
    assert editor.pose() == {"eye_wink_left": 0.5, "eye_wink_right": 0.25}
    comfy.set(editor.node, "eye_wink_left", 0.75)  # from elsewhere
    expect(editor.slider("eye_wink_left")).to_have_value("0.75")
    editor.slider("eye_wink_left").dblclick()
    assert editor.pose()["eye_wink_right"] == 0.25
    assert "eye_wink_left" not in editor.pose()


def test_every_number_has_a_slider(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    seen = set()
    for tab in ("pads", "brows", "eyes", "mouth", "turn"):
        editor.tab(tab)
        seen |= set(editor.find("input[data-name]:visible").evaluate_all("(all) => all.map((one) => one.dataset.name)"))
    assert seen == set(NAMES)


@pytest.mark.parametrize(
    ("pad", "point", "expected"),
    [
        ("gaze", (0.1, 0.1), {"iris_rotation_x": 0.8, "iris_rotation_y": 0.8}),
        ("lids", (0.01, 0.99), {"eye_wink_left": 1, "eye_wink_right": 1}),
        ("brows", (0.99, 0.5), {"eyebrow_angry_left": 1, "eyebrow_angry_right": 1}),
        ("mouth", (0.5, 0.99), {"mouth_aaa": 1}),
    ],
)
def test_a_point_of_a_pad_sets_several(comfy: ComfyPage, pad: str, point, expected) -> None:
    editor = add_editor(comfy)
    comfy.drag(editor.find(f"[data-pad='{pad}']"), MIDDLE, point)
    pose = {name: value for name, value in editor.pose().items() if abs(value) > 0.1}
    assert pose == pytest.approx(expected, abs=0.1)


def test_expressions_are_applied_by_strength(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    comfy.set(editor.node, "head_y", 0.5)
    comfy.set(editor.node, "mouth_aaa", 0.4)
    for name in ("smile", "angry"):
        before = Poses(make_pose(editor.pose()))
        editor.find(".tha4-presets select").select_option(name)
        for strength in (1.0, 0.5, 1.0):
            if strength != 1:
                editor.strength(strength)
            wanted = expressions.apply(before, expressions.find(name), strength).values[0].tolist()
            values = comfy.values(editor.node)
            assert [values[one] for one in NAMES] == pytest.approx(wanted, abs=0.001)
            editor.strength(1.0)


def test_mirror_reset_and_random(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    comfy.set(editor.node, "eye_wink_left", 0.5)
    comfy.set(editor.node, "head_y", 0.3)
    comfy.set(editor.node, "head_x", 0.2)
    editor.tool("mirror")
    assert editor.pose() == {"eye_wink_right": 0.5, "head_y": -0.3, "head_x": 0.2}
    editor.tool("random")
    values = comfy.values(editor.node)
    assert len(editor.pose()) > 3
    assert all(p.minimum <= values[p.name] <= p.maximum for p in PARAMETERS)
    editor.tool("reset")
    assert editor.pose() == {}


def test_copy_and_paste_as_json(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    comfy.set(editor.node, "mouth_aaa", 0.4)
    editor.tool("copy")
    assert json.loads(comfy.page.evaluate("() => navigator.clipboard.readText()")) == {"mouth_aaa": 0.4}
    for text, expected in [
        ('{"eye_wink": 0.5, "head_y": 7}', {"eye_wink_left": 0.5, "eye_wink_right": 0.5, "head_y": 1}),
        (json.dumps([0.1] + [0] * 44), {"eyebrow_troubled_left": 0.1}),
    ]:
        comfy.page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
        editor.tool("paste")
        comfy.until(editor.pose, expected)
    for text, says in [
        ('{"fly": 1}', 'Not pasted. There is no pose parameter named "fly"'),
        ("smile", "Not pasted. This is not a pose"),
        ("[1, 2]", "Not pasted. A pose has 45 numbers, not 2"),
        ('{"head_y": "much"}', "Not pasted. head_y must be a number"),
    ]:
        comfy.page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
        editor.tool("paste")
        expect(editor.find(".tha4-said")).to_contain_text(says)
        assert editor.pose() == {"eyebrow_troubled_left": 0.1}
    number = comfy.add("PrimitiveFloat", 40, 500)
    comfy.connect(number, 0, editor.node, "breathing")
    comfy.page.evaluate("() => navigator.clipboard.writeText('{\"head_y\": 7}')")
    editor.tool("paste")
    expect(editor.find(".tha4-said")).to_have_text(
        "Pasted. Brought into their range: head_y. Left to their links: breathing."
    )
    editor.settle()
    comfy.set(editor.node, "head_y", 0.5)
    expect(editor.find(".tha4-said")).to_have_count(0)
    expect(editor.find(".tha4-caption")).to_contain_text("demo")


def test_a_frame_that_does_not_come_is_told_beside_the_message(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    comfy.page.route("**/tha4/frame", lambda route: route.fulfill(status=500, json={"error": "It is broken."}))
    comfy.page.evaluate("() => navigator.clipboard.writeText('{\"head_y\": 7}')")
    editor.tool("paste")
    expect(editor.find(".tha4-said")).to_have_text("Pasted. Brought into their range: head_y. · It is broken.")
    comfy.page.unroute("**/tha4/frame")
    comfy.set(editor.node, "head_y", 0.5)
    editor.settle()
    expect(editor.find(".tha4-said")).to_have_count(0)
    comfy.errors.clear()  # the browser's own about that answer


def test_nothing_hides_the_head_and_the_pads_need_no_scroll_bar(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    caption, stage = (editor.find(name).bounding_box() for name in (".tha4-caption", ".tha4-stage"))
    assert caption["height"] > 10
    assert caption["y"] + caption["height"] <= stage["y"]
    comfy.zoom(1)
    room = "(panels) => panels.scrollHeight - panels.clientHeight"
    assert editor.find(".tha4-panels").evaluate(room) <= 0
    width = "([id, width]) => { const node = app.graph.getNodeById(id); node.setSize([width, node.size[1]]); }"
    comfy.page.evaluate(width, [editor.node, 800])
    comfy.until(lambda: editor.find(".tha4-panels").evaluate(room) <= 0)


def test_keys(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    editor.find(".tha4-stage").focus()
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Alt+ArrowDown"):
        comfy.page.keyboard.press(key)
    assert editor.pose() == {"head_y": 0.05, "head_x": 0.05, "neck_z": -0.05, "iris_rotation_x": -0.05}
    comfy.page.keyboard.press("m")
    assert editor.pose()["head_y"] == -0.05
    comfy.page.keyboard.press("Control+c")
    comfy.page.keyboard.press("0")
    assert editor.pose() == {}
    comfy.page.keyboard.press("Control+v")
    assert editor.pose()["head_y"] == -0.05
    assert len(comfy.workflow()["nodes"]) == 1  # the page's own paste did not come in between


def test_copy_and_paste_where_their_events_go_to_the_body(comfy: ComfyPage) -> None:
    """As in Firefox; a real one was tried by hand."""
    send = """([kind, text]) => {
        const clipboardData = new DataTransfer();
        clipboardData.setData("text/plain", text);
        document.body.dispatchEvent(new ClipboardEvent(kind, { clipboardData, bubbles: true, cancelable: true }));
        return clipboardData.getData("text/plain");
    }"""
    editor = add_editor(comfy)
    comfy.page.evaluate(send, ["paste", '{"head_y": 0.5}'])
    assert editor.pose() == {}  # the graph has the focus
    editor.find(".tha4-stage").focus()
    comfy.page.evaluate(send, ["paste", '{"head_y": 0.5}'])
    assert editor.pose() == {"head_y": 0.5}
    assert '"head_y"' in comfy.page.evaluate(send, ["copy", ""])


def test_what_scrolls_to_a_tool_leaves_the_picture_where_it_is(comfy: ComfyPage) -> None:
    """As Firefox does; a stage that can be scrolled would keep the head out of sight."""
    editor = add_editor(comfy)
    before = editor.zone("head").bounding_box()
    editor.find("[data-tool='reset']").evaluate("(tool) => tool.scrollIntoView({ block: 'center', inline: 'center' })")
    assert editor.find(".tha4-stage").evaluate("(stage) => [stage.scrollLeft, stage.scrollTop]") == [0, 0]
    assert editor.zone("head").bounding_box() == before


def test_a_drag_is_one_step_of_the_graphs_history(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    editor.tool("reset")
    comfy.drag(editor.zone("head"), MIDDLE, (0.2, 0.4))
    turned = editor.pose()
    comfy.drag(editor.zone("head"), MIDDLE, (0.4, 0.2))
    assert editor.pose() != turned
    undone(comfy, editor, "Control+z", turned)
    undone(comfy, editor, "Control+z", {})
    undone(comfy, editor, "Control+Shift+z", turned)
    editor = Editor(comfy, editor.node).settle()
    editor.tab("turn")
    editor.slide("body_y", 0.5)
    editor.slider("body_y").focus()
    undone(comfy, editor, "Control+z", turned)


def undone(comfy: ComfyPage, editor: Editor, keys: str, pose: dict[str, float]) -> None:
    comfy.page.keyboard.press(keys)
    comfy.page.wait_for_function(
        """([id, pose]) => {
            const node = app.graph.getNodeById(id);
            const values = node?.widgets.filter((w) => w.serialize !== false && w.value) ?? [];
            return node && JSON.stringify(values.map((w) => [w.name, w.value])) === pose;
        }""",
        arg=[editor.node, json.dumps(list(pose.items()), separators=(",", ":"))],
        timeout=30_000,
    )
