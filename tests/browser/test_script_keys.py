"""A script's keys as marks over its curves, and poses that are put into it by hand."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.editor_page import add_editor
from tests.browser.panels import PATIENCE, Panel

SCRIPT = "0 smile  # at once\n+0.5 sad\n# turn\n2.0   head_y=1  in 2  # slowly\n"
FPS = 10.0


def add(comfy: ComfyPage, script: str = SCRIPT, x: float = 320) -> Panel:
    node = comfy.add("THA4PoseSequence", x, 80)
    comfy.set(node, "script", script)
    comfy.set(node, "fps", FPS)
    return Panel(comfy, node, "tha4_player")


def drag_mark(panel: Panel, line: int, share: float) -> None:
    """Drag the mark of a line by a share of the width of the curves."""
    page = panel.comfy.page
    mark, curves = panel.find(f".tha4-player-key[data-line='{line}']"), panel.find(".tha4-player-curves")
    box, width = mark.bounding_box(), (curves.bounding_box() or {})["width"]
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + share * width, y, steps=4)
    page.mouse.up()


def script(panel: Panel) -> str:
    return str(panel.comfy.values(panel.node)["script"])


def go_to(panel: Panel, presses: int) -> None:
    panel.find(".tha4-player-curves").focus()
    panel.comfy.page.keyboard.press("Home")
    for _ in range(presses):
        panel.comfy.page.keyboard.press("ArrowRight")


def test_a_mark_is_dragged_and_only_its_number_changes(comfy: ComfyPage) -> None:
    panel = add(comfy)
    panel.wait("[data-frames='41']")
    assert panel.find(".tha4-player-key").count() == 3
    drag_mark(panel, 4, 0.25)
    lines = script(panel).split("\n")
    assert lines[:3] == SCRIPT.split("\n")[:3]
    assert 2.9 < float(lines[3].split()[0]) < 3.1
    assert lines[3].endswith("   head_y=1  in 2  # slowly")
    panel.wait("[data-frames='51']")


def test_what_counts_from_a_line_goes_along_and_keys_stay_in_order(comfy: ComfyPage) -> None:
    panel = add(comfy)
    panel.wait("[data-frames='41']")
    drag_mark(panel, 2, 0.9)
    assert script(panel).split("\n")[1] == "+2.0 sad"  # not past the next key
    expect(panel.find(".tha4-player-problem")).to_be_hidden()


def test_a_drag_is_one_step_of_the_graphs_history(comfy: ComfyPage) -> None:
    panel = add(comfy)
    panel.wait("[data-frames='41']")
    drag_mark(panel, 4, 0.25)
    first = script(panel)
    assert first != SCRIPT
    panel.wait("[data-frames]:not([data-frames='41'])")
    drag_mark(panel, 4, -0.1)
    assert script(panel) != first
    comfy.page.keyboard.press("Control+z")
    seen = "([id, text]) => app.graph.getNodeById(id)?.widgets.find((w) => w.name === 'script').value === text"
    comfy.page.wait_for_function(seen, arg=[panel.node, first], timeout=PATIENCE)


def test_a_click_on_a_mark_goes_there(comfy: ComfyPage) -> None:
    panel = add(comfy)
    panel.wait("[data-frames='41']")
    panel.find(".tha4-player-key[data-line='4']").click()
    expect(panel.find(".tha4-player-time")).to_contain_text("21 / 41")
    assert script(panel) == SCRIPT


def test_the_player_puts_the_pose_of_the_pose_vector_into_the_script(comfy: ComfyPage) -> None:
    editor = add_editor(comfy, 900)
    for name, value in {"head_y": -0.5, "eye_wink_left": 1.0, "mouth_aaa": 0.25}.items():
        comfy.set(editor.node, name, value)
    panel = add(comfy, "0 smile\n+1 sad\nhold 2\n4 neutral in 1\n")
    panel.wait("[data-frames='51']")
    go_to(panel, 15)
    panel.find("[data-name='key']").click()
    pose = "neutral and eye_wink_left=1 and mouth_aaa=0.25 and head_y=-0.5 spline"
    assert script(panel) == f"0 smile\n+1 sad\n1.5 {pose}\nhold 1.5\n4 neutral in 1\n"
    expect(panel.find(".tha4-player-key")).to_have_count(4, timeout=PATIENCE)
    assert comfy.page.evaluate(
        """async ([id]) => {
            const { api } = await import("/scripts/api.js");
            const { output } = await app.graphToPrompt();
            const body = JSON.stringify({ graph: output, node: String(id), client: "test" });
            const headers = { "Content-Type": "application/json" };
            const answer = await (await api.fetchApi("/tha4/poses", { method: "POST", headers, body })).json();
            const then = Object.entries(answer.curves).map(([name, curve]) => [name, curve[15]]);
            return Object.fromEntries(then.filter(([, value]) => value));
        }""",
        [panel.node],
    ) == {"head_y": -500, "eye_wink_left": 1000, "mouth_aaa": 250}
    comfy.set(editor.node, "head_y", 0)
    panel.find("[data-name='key']").click()  # again at the same moment: in its place
    assert script(panel).count("spline") == 1
    assert "head_y" not in script(panel)


def test_the_pose_editor_puts_its_pose_into_the_script(comfy: ComfyPage) -> None:
    editor = add_editor(comfy, 900)
    comfy.set(editor.node, "breathing", 0.5)
    comfy.page.wait_for_timeout(300)
    editor.settle().tool("script")
    expect(editor.find(".tha4-caption")).to_contain_text("Add a Pose Sequence")
    panel = add(comfy, "0 smile in 1\n")
    panel.wait("[data-frames='11']")
    go_to(panel, 10)
    editor.tool("script")
    assert script(panel) == "0 smile in 1\n1 neutral and breathing=0.5 spline\n"


def test_without_a_pose_or_with_a_wrong_script_it_says_so(comfy: ComfyPage) -> None:
    panel = add(comfy, "0 smile in 1\n")
    panel.wait("[data-frames='11']")
    panel.find("[data-name='key']").click()
    expect(panel.find(".tha4-player-problem")).to_contain_text("Add a Pose Vector")
    comfy.add("THA4PoseVector", 900, 80)
    comfy.set(panel.node, "script", "0 smile in 1\n2 swim")
    expect(panel.find(".tha4-player-problem")).to_contain_text("Line 2", timeout=PATIENCE)
    drag_mark(panel, 1, 0.3)
    panel.find("[data-name='key']").click()
    expect(panel.find(".tha4-player-problem")).to_contain_text("Mend the script")
    assert script(panel) == "0 smile in 1\n2 swim"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0.50 a", "1.75 a"),
        ("0:01.5  a # 1.5", "0:02.75  a # 1.5"),
        ("1s, a", "2.25s, a"),
        ("300 ms a", "1550 ms a"),
        ("1:59:59 a", "2:00:00.25 a"),
        ("+ 0.5 a", "+ 1.75 a"),
        ("１．５　a", "2.75　a"),
        ("at 2 a", "at 3.25 a"),
    ],
)
def test_a_time_stays_written_as_it_was(comfy: ComfyPage, line: str, expected: str) -> None:
    later = """async (line) => (await import("/extensions/tha4/js/player/script.js")).withLater(line, 1, 1.25)"""
    assert comfy.page.evaluate(later, line) == expected
