"""Editors and players whose student is rendered by the page itself, in both renderers of ComfyUI's page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.conftest import VIEW
from tests.browser.editor_page import Editor
from tests.browser.panels import Panel
from tests.host.comfyui import ComfyUI

SIZE = 64  # a GPU that is computed on the CPU needs a minute for 512
FRAME_TIMEOUT = 60_000


@pytest.fixture(scope="module", params=["classic", "nodes2"])
def opened_with_gpu(request: pytest.FixtureRequest, gpu_browser: Browser, web_server: ComfyUI) -> Iterator[ComfyPage]:
    """ComfyUI's page in a browser with a WebGPU adapter, told to use it; one for all tests, for it compiles slowly."""
    settings = {"Comfy.VueNodes.Enabled": request.param == "nodes2"}
    web_server.post("/settings", settings | {"THA4.PreviewRenderer": "page", "THA4.PageSize": SIZE})
    context = gpu_browser.new_context(viewport=VIEW)
    page = ComfyPage(context.new_page(), request.param == "nodes2")
    page.open(web_server.address)
    page.errors.clear()
    yield page
    context.close()
    web_server.post("/settings", {"THA4.PreviewRenderer": "auto", "THA4.PageSize": 512})
    assert page.errors == []


@pytest.fixture
def page(opened_with_gpu: ComfyPage) -> ComfyPage:
    """That page with an empty graph."""
    opened_with_gpu.clear()
    return opened_with_gpu


def settle(editor: Editor, by: str) -> None:
    stage = editor.find(".tha4-stage")
    expect(stage).to_have_attribute("data-by", by, timeout=FRAME_TIMEOUT)
    expect(stage).to_have_attribute("data-resting", "true", timeout=FRAME_TIMEOUT)


def test_dragging_moves_the_page_rendered_student(page: ComfyPage) -> None:
    server_frames: list[str] = []
    editor = Editor(page, page.add("THA4PoseVector", 300, 80))
    settle(editor, "page")
    canvas = editor.find(".tha4-view canvas")
    before = page.picture(canvas)
    page.page.on("request", lambda sent: server_frames.append(sent.url) if "/tha4/frame" in sent.url else None)
    page.drag(editor.zone("head"), (0.5, 0.3), (0.9, 0.3))
    settle(editor, "page")
    assert editor.pose()["head_y"] < -0.1
    after = page.picture(canvas)
    height, width = (min(sides) for sides in zip(before.shape[:2], after.shape[:2], strict=True))
    assert np.abs(after[:height, :width].astype(float) - before[:height, :width]).mean() > 0.5
    assert editor.find(".tha4-stage").get_attribute("data-size") == str(SIZE)
    assert server_frames == []


def test_two_editors_and_one_that_is_removed(page: ComfyPage) -> None:
    first, second = (Editor(page, page.add("THA4PoseVector", x, 80)) for x in (100, 700))
    settle(first, "page")
    settle(second, "page")
    page.remove(first.node)
    second.slide("breathing", 0.7)
    settle(second, "page")
    assert second.pose() == {"breathing": 0.7}


COUNT_MEMORY = """() => {
    const alive = new Map();
    window.gpuMemory = () => [...alive.values()].reduce((sum, size) => sum + size, 0);
    const watch = (makes, name, made, size) => {
        const [create, destroy] = [makes.prototype[name], made.prototype.destroy];
        makes.prototype[name] = function (described) {
            const one = create.call(this, described);
            alive.set(one, size(described));
            return one;
        };
        made.prototype.destroy = function () {
            alive.delete(this);
            destroy.call(this);
        };
    };
    watch(GPUDevice, "createBuffer", GPUBuffer, ({ size }) => size);
    watch(GPUDevice, "createTexture", GPUTexture, ({ size }) => 4 * size[0] * size[1]);
}"""


def test_what_leaves_the_graph_gives_the_gpus_memory_back(page: ComfyPage) -> None:
    page.page.evaluate(COUNT_MEMORY)

    def memory() -> int:
        return int(page.page.evaluate("() => window.gpuMemory()"))

    for leave in (lambda editor: page.remove(editor.node), lambda editor: page.clear()):
        editor = Editor(page, page.add("THA4PoseVector", 300, 80))
        settle(editor, "page")
        assert memory() > 2**21  # its weights alone
        leave(editor)
        page.until(memory, 0)


def test_a_player_plays_in_the_page(page: ComfyPage) -> None:
    player = Panel(page, page.add("THA4PoseSequence", 300, 80), "tha4_player")
    expect(player.element).to_have_attribute("data-by", "page", timeout=FRAME_TIMEOUT)
    player.find("[data-name='play']").click()
    drawn = int(player.element.get_attribute("data-drawn") or 0)
    page.page.wait_for_function(
        f"() => Number(document.querySelector('.tha4-player').dataset.drawn) > {drawn + 2}", timeout=FRAME_TIMEOUT
    )


def test_without_an_adapter_the_server_renders(comfy: ComfyPage) -> None:
    editor = Editor(comfy, comfy.add("THA4PoseVector", 300, 80))
    settle(editor, "server")
