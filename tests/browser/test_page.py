"""What the page makes of the pack's files: translations, pictures of help, models that a workflow misses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.comfy_page import SETTINGS, ComfyPage
from tests.browser.conftest import VIEW
from tests.host.comfyui import PACK, ComfyUI

WRONG = """() => app.graph.nodes
    .filter((node) => node.has_errors || !LiteGraph.registered_node_types[node.type])
    .map((node) => node.type)"""


def template(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PACK / "example_workflows" / f"{name}.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture
def fresh(browser: Browser, web_server: ComfyUI) -> Iterator[tuple[ComfyUI, Page]]:
    """The server, to change settings of, and a page of its own to open then. The settings are put back."""
    context = browser.new_context(viewport=VIEW)
    yield web_server, context.new_page()
    context.close()
    web_server.post("/settings", SETTINGS)


def test_a_japanese_user_reads_why_a_run_failed(fresh: tuple[ComfyUI, Page]) -> None:
    server, page = fresh
    server.post("/settings", {"Comfy.Locale": "ja"})
    comfy = ComfyPage(page, nodes2=False)
    comfy.open(server.address)
    comfy.clear()
    comfy.connect(comfy.add("THA4LipSync", 320, 80), 0, comfy.add("THA4SavePoses", 800, 80), "poses")
    page.locator("[data-testid='queue-button']").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("話すものがありません。音声をつなぐか、タイミングを書いてください。", timeout=60_000)


CUT_OFF = """(labels) => labels
    .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth + 1).map(({ textContent }) => textContent)"""


def test_a_japanese_user_reads_japanese(fresh: tuple[ComfyUI, Page]) -> None:
    server, page = fresh
    server.post("/settings", {"Comfy.Locale": "ja", "Comfy.VueNodes.Enabled": True})
    comfy = ComfyPage(page, nodes2=True)
    comfy.open(server.address)
    comfy.clear()
    character = comfy.add("THA4LoadCharacter", 320, 80)
    comfy.add("THA4PoseVector", 760, 80)
    for text in (
        "キャラクターを読み込む",
        "拡大率",
        "横の移動",
        "報告",
        "画像は合っています。",
        "パッド",
        "まぶた",
        "口角を上げる",
    ):
        expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=60_000)
    for tab in page.locator(".tha4-tab[data-name]").all():
        tab.click()
        assert page.locator(".tha4-label:visible").evaluate_all(CUT_OFF) == []
    sequence = comfy.add("THA4PoseSequence", 1200, 200)
    comfy.set(sequence, "script", "1 foo")
    expect(page.get_by_text("「foo」という表情やパラメーターはありません。")).to_be_visible()
    comfy.remove(character)
    comfy.connect(comfy.add("THA4LoadPoses", 320, 80), 0, comfy.add("THA4SavePoses", 320, 600), "poses")
    comfy.run(server)
    expect(page.get_by_text(re.compile(r"^\d+ フレーム、[\d.]+ 秒、\d+ fps。$"))).to_be_visible()
    page.evaluate("(id) => app.canvas.selectNode(app.graph.getNodeById(id))", sequence)
    page.get_by_test_id("info-button").click()
    expect(page.get_by_role("heading", name="プレーヤー")).to_be_visible()
    picture = page.get_by_role("img", name="スクリプト、プレーヤー、曲線")
    expect(picture).to_be_visible()
    assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") > 100
    assert comfy.errors == []


def test_what_a_workflow_misses_is_told_with_where_to_get_it(fresh: tuple[ComfyUI, Page]) -> None:
    server, page = fresh
    server.post("/settings", {"Comfy.RightSidePanel.ShowErrorsTab": True, "Comfy.VueNodes.Enabled": False})
    comfy = ComfyPage(page, nodes2=False)
    comfy.open(server.address)
    workflow = template("06 Fast student")
    loader = next(node for node in workflow["nodes"] if node["type"] == "THA4LoadStudent")
    name, url = "someone.safetensors", "https://huggingface.co/someone/characters/resolve/main/someone.safetensors"
    loader["properties"]["models"] = [{"name": name, "url": url, "directory": "tha4_students"}]
    loader["widgets_values"][0] = name
    comfy.load(workflow)
    expect(page.get_by_test_id("error-overlay").get_by_text(f"{name} is missing")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="View details").click()
    expect(page.get_by_test_id("missing-model-download").first).to_be_visible()


def test_pictures_of_the_help_pages_are_served(comfy: ComfyPage) -> None:
    shown = """async (name) => {
        const image = new Image();
        image.src = `/extensions/tha4/docs/${name}.webp`;
        await image.decode();
        return image.naturalWidth;
    }"""
    names = sorted(path.stem for path in (PACK / "web" / "docs").glob("*.md"))
    assert names
    assert all(comfy.page.evaluate(shown, name) > 100 for name in names)
