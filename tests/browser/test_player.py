"""The players in the real page: a motion seen and scrubbed before anything is queued."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.panels import PATIENCE, Panel, run

NOD = "0 head_y=1 head_x=-1 in 1\n"


def add(
    comfy: ComfyPage, node_type: str = "THA4PoseSequence", x: float = 320, y: float = 80, **inputs: object
) -> Panel:
    node = comfy.add(node_type, x, y)
    for name, value in inputs.items():
        comfy.set(node, name, value)
    return Panel(comfy, node, "tha4_player")


def rest(panel: Panel) -> np.ndarray:
    """The picture once it is the one that is wanted."""
    panel.wait("[data-resting='true']")
    return panel.picture()


def test_a_script_is_seen_and_scrubbed_before_anything_is_queued(comfy: ComfyPage) -> None:
    panel = add(comfy, script=NOD, fps=10.0)
    panel.wait("[data-frames='11']")
    before = rest(panel)
    assert before[128, 256, 3] == 255
    comfy.drag(panel.find(".tha4-player-curves"), (0.5, 0.5), (0.999, 0.5))
    expect(panel.find(".tha4-player-time")).to_contain_text("11 / 11")
    after = rest(panel)
    assert np.abs(after.astype(int) - before).max() > 100
    comfy.page.keyboard.press("Home")
    expect(panel.find(".tha4-player-time")).to_contain_text("1 / 11")
    assert np.array_equal(rest(panel), before)


def test_the_caption_is_above_the_picture(comfy: ComfyPage) -> None:
    panel = add(comfy, script=NOD, fps=10.0)
    expect(panel.find(".tha4-player-caption")).to_contain_text("demo", timeout=PATIENCE)
    caption, stage = (panel.find(f".tha4-player-{name}").bounding_box() for name in ("caption", "stage"))
    assert caption["y"] + caption["height"] <= stage["y"]


def test_the_curves_are_drawn_and_follow_the_script(comfy: ComfyPage) -> None:
    panel = add(comfy, script=NOD, fps=10.0)
    panel.wait("[data-frames='11']")
    rest(panel)
    before = panel.picture(".tha4-player-curves")
    assert len(np.unique(before[..., :3].reshape(-1, 3), axis=0)) > 10
    comfy.set(panel.node, "script", "0 neutral\n1 smile\n")
    comfy.until(lambda: np.array_equal(panel.picture(".tha4-player-curves"), before), False)


def test_a_wrong_line_is_told_where_one_looks(comfy: ComfyPage) -> None:
    panel = add(comfy, script="0 neutral\n1 fly\n2 swim")
    expect(panel.find(".tha4-player-problem")).to_contain_text("Line 2", timeout=PATIENCE)
    expect(panel.find(".tha4-player-problem")).to_contain_text("Line 3")
    comfy.set(panel.node, "script", NOD)
    expect(panel.find(".tha4-player-problem")).to_be_hidden(timeout=PATIENCE)


def test_a_frame_that_does_not_come_is_told_beside_the_notes_until_one_comes(comfy: ComfyPage) -> None:
    panel = add(comfy, "THA4LipSync", timings="00:00:00,000 --> 00:00:01,000\n[sighs] a", fps=10.0)
    problem = panel.find(".tha4-player-problem")
    expect(problem).to_have_text("Not spoken: [sighs].", timeout=PATIENCE)
    rest(panel)
    comfy.page.route("**/tha4/frame", lambda route: route.fulfill(status=500, json={"error": "It is broken."}))
    comfy.drag(panel.find(".tha4-player-curves"), (0.2, 0.5), (0.5, 0.5))
    expect(problem).to_have_text("Not spoken: [sighs].\nIt is broken.", timeout=PATIENCE)
    comfy.page.unroute("**/tha4/frame")
    comfy.drag(panel.find(".tha4-player-curves"), (0.5, 0.5), (0.7, 0.5))
    expect(problem).to_have_text("Not spoken: [sighs].", timeout=PATIENCE)
    comfy.errors.clear()  # the browser's own about that answer


def test_the_last_right_motion_stays_while_the_script_is_wrong(comfy: ComfyPage) -> None:
    panel = add(comfy, script=NOD, fps=10.0)
    panel.wait("[data-frames='11']")
    before = rest(panel)
    comfy.set(panel.node, "script", NOD + "2 smi")
    expect(panel.find(".tha4-player-problem")).to_contain_text("Line 2", timeout=PATIENCE)
    panel.wait("[data-frames='11']")
    assert np.array_equal(rest(panel), before)
    comfy.drag(panel.find(".tha4-player-curves"), (0.5, 0.5), (0.999, 0.5))
    expect(panel.find(".tha4-player-time")).to_contain_text("11 / 11")
    assert np.abs(rest(panel).astype(int) - before).max() > 100


def test_what_of_the_timings_is_not_spoken_is_shown(comfy: ComfyPage) -> None:
    panel = add(comfy, "THA4LipSync", timings="00:00:00,000 --> 00:00:01,000\n[sighs] a", fps=10.0)
    expect(panel.find(".tha4-player-problem")).to_have_text("Not spoken: [sighs].", timeout=PATIENCE)
    comfy.set(panel.node, "timings", "0 a\n1 sil")
    expect(panel.find(".tha4-player-problem")).to_be_hidden(timeout=PATIENCE)


def test_it_plays_and_stops(comfy: ComfyPage) -> None:
    panel = add(comfy, "THA4IdleMotion", seconds=4.0)
    panel.wait("[data-frames='96']")
    rest(panel)
    panel.find("[data-name='play']").click()
    expect(panel.find(".tha4-player-time")).not_to_contain_text(" 1 / 96", timeout=PATIENCE)
    comfy.page.wait_for_function("(id) => Number(document.querySelector(`[data-test='${id}']`).dataset.drawn) > 2",
        arg=str(panel.node), timeout=PATIENCE)  # fmt: skip
    panel.find("[data-name='play']").click()
    stopped = panel.find(".tha4-player-time").inner_text()
    rest(panel)
    assert panel.find(".tha4-player-time").inner_text() == stopped


def test_nodes_before_it_count(comfy: ComfyPage) -> None:
    script = add(comfy, x=20, script=NOD, fps=10.0)
    idle = add(comfy, "THA4IdleMotion", 450)
    idle.wait("[data-frames='192']")
    comfy.connect(script.node, 0, idle.node, "poses")
    idle.wait("[data-frames='11']")
    comfy.set(script.node, "fps", 20.0)
    idle.wait("[data-frames='21']")


def test_speech_that_only_a_run_can_hear_is_seen_after_it(comfy: ComfyPage) -> None:
    speech = add(comfy, "THA4LipSync", fps=9.0 if comfy.nodes2 else 8.0)  # what has run before does not run again
    expect(speech.find(".tha4-player-problem")).to_contain_text("nothing to speak", timeout=PATIENCE)
    silence, plot = comfy.add("EmptyAudio", 20, 500), comfy.add("THA4PlotPoses", 800, 80)
    comfy.set(silence, "duration", 2)
    comfy.connect(silence, 0, speech.node, "audio")
    expect(speech.find(".tha4-player-problem")).to_contain_text("once the graph has run", timeout=PATIENCE)
    comfy.connect(speech.node, 0, plot, "poses")
    run(comfy)
    speech.wait(f"[data-frames='{18 if comfy.nodes2 else 16}']")
    expect(speech.find(".tha4-player-caption")).to_contain_text("from the last run", timeout=PATIENCE)


@pytest.mark.parametrize("node_type", ["THA4PoseSequence", "THA4IdleMotion", "THA4LipSync"])
def test_it_is_neither_queued_nor_saved_and_leaves_nothing(comfy: ComfyPage, node_type: str) -> None:
    panel = add(comfy, node_type)
    names = list(comfy.values(panel.node))
    assert "tha4_player" not in names
    assert len(comfy.workflow()["nodes"][0]["widgets_values"]) == len(names)
    assert "tha4_player" not in comfy.prompt()[str(panel.node)]["inputs"]
    if node_type != "THA4LipSync":
        panel.wait("[data-frames]")
        panel.find("[data-name='play']").click()
    comfy.remove(panel.node)
    expect(comfy.page.locator(".tha4-player")).to_have_count(0)
    comfy.page.wait_for_timeout(1500)
    asked: list[str] = []
    comfy.page.on("request", lambda request: asked.append(request.url))
    comfy.page.wait_for_timeout(800)
    assert [url for url in asked if "tha4" in url] == []
