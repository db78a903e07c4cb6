"""Our panels on nodes beside ComfyUI's own panels at the sides of the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.panels import PATIENCE
from tests.host.comfyui import ComfyUI

PANELS = {
    "THA4PoseVector": "tha4_editor",
    "THA4IdleMotion": "tha4_player",
    "THA4LoadCharacter": "tha4_fit",
    "THA4DistillStudent": "tha4_monitor",
}
_WIDTH = """([id, name]) => {
    const { element } = app.graph.getNodeById(id).widgets.find((one) => one.name === name);
    return element.isConnected && Math.round(element.getBoundingClientRect().width);
}"""
_SELECT = """(id) => { app.canvas.deselectAll(); app.canvas.selectNode(app.graph.getNodeById(id)); }"""
_OPEN = "(open) => app.extensionManager.setting.set('Comfy.RightSidePanel.IsOpen', open)"


def widths(comfy: ComfyPage, nodes: dict[str, int]) -> dict[str, int]:
    comfy.page.wait_for_timeout(400)  # the page draws the nodes anew
    return {kind: comfy.page.evaluate(_WIDTH, [node, PANELS[kind]]) for kind, node in nodes.items()}


@pytest.fixture
def nodes(comfy: ComfyPage) -> dict[str, int]:
    """One node of each kind with a panel."""
    placed = {kind: comfy.add(kind, 60 + 430 * i, 60) for i, kind in enumerate(PANELS)}
    comfy.page.wait_for_timeout(1000)
    return placed


def test_panels_keep_their_width_and_are_not_listed(comfy: ComfyPage, nodes: dict[str, int]) -> None:
    before = widths(comfy, nodes)
    assert min(before.values()) > 300
    comfy.page.evaluate(_OPEN, True)
    try:
        for kind, node in nodes.items():
            comfy.page.evaluate(_SELECT, node)
            listed = comfy.page.get_by_test_id("properties-panel")
            expect(listed).to_contain_text(comfy.page.evaluate("(id) => app.graph.getNodeById(id).title", node))
            expect(listed).not_to_contain_text(PANELS[kind])
            assert widths(comfy, nodes) == before
    finally:
        comfy.page.evaluate(_OPEN, False)
    assert widths(comfy, nodes) == before


def test_panels_keep_their_width_beside_the_sidebar(comfy: ComfyPage, nodes: dict[str, int]) -> None:
    before = widths(comfy, nodes)
    for _ in range(2):  # opened, then closed
        comfy.page.locator(".side-bar-button").nth(1).click()
        assert widths(comfy, nodes) == before


def test_a_teacher_without_files_says_so_before_it_runs(comfy: ComfyPage, web_server: ComfyUI) -> None:
    node = comfy.add("THA4LoadTeacher", 320, 80)
    panel = comfy.page.locator(".tha4-teacher:visible")
    expect(panel).to_have_count(0)
    height = comfy.page.evaluate("(id) => app.graph.getNodeById(id).size[1]", node)
    comfy.set(node, "teacher", "THA4")
    expect(panel).to_contain_text("Its files are not in models/tha4/teacher yet (600 MB).", timeout=PATIENCE)
    expect(panel).to_contain_text("Licence: CC BY-NC 4.0, non-commercial use only")
    panel.get_by_role("button").click()
    expect(panel).to_contain_text("They are fetched when the graph runs.")
    expect(panel.get_by_role("button")).to_be_hidden()
    assert comfy.values(node)["auto_download"] is True
    assert "tha4_teacher" not in comfy.prompt()[str(node)]["inputs"]
    comfy.set(node, "teacher", "demo rig")
    expect(panel).to_have_count(0)
    comfy.until(lambda: comfy.page.evaluate("(id) => app.graph.getNodeById(id).size[1]", node) <= height + 5)
