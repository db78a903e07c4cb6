"""What the panels say while the server distils a student and an answer is late."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.editor_page import add_editor
from tests.browser.panels import PATIENCE, Panel
from tests.host.comfyui import ComfyUI
from tests.host.test_distill import distill

BUSY = "busy distilling…"


class Held:
    """Requests to a route that the server gets only when they are let go."""

    def __init__(self, comfy: ComfyPage, path: str) -> None:
        self.comfy, self.path, self.routes = comfy, f"**{path}", list[Route]()
        comfy.page.route(self.path, lambda route: self.routes.append(route))

    def let_go(self) -> None:
        for route in self.routes:
            route.continue_()
        self.comfy.page.unroute(self.path)


@pytest.fixture
def distilling(comfy: ComfyPage, web_server: ComfyUI) -> Iterator[None]:
    """A distillation that runs on the server."""
    name = f"busy {comfy.nodes2}"
    web_server.post("/prompt", {"prompt": distill(name, when_it_exists="restart")})
    yield
    web_server.post("/interrupt", {})
    comfy.page.wait_for_function("""async () => {
        const { queue_running, queue_pending } = await (await fetch("/queue")).json();
        return queue_running.length + queue_pending.length === 0;
    }""")


def late(comfy: ComfyPage, path: str, act: str, node: int, said: Locator) -> None:
    """The panel says that the server is busy until the answer comes."""
    held = Held(comfy, path)
    comfy.page.evaluate(act, node)
    expect(said).to_contain_text(BUSY, timeout=PATIENCE)
    held.let_go()
    expect(said).not_to_contain_text(BUSY, timeout=PATIENCE)


def test_panels_say_that_the_server_is_busy(comfy: ComfyPage, request: pytest.FixtureRequest) -> None:
    editor = add_editor(comfy, 60)
    fit = Panel(comfy, comfy.add("THA4LoadCharacter", 560, 60), "tha4_fit")
    player = Panel(comfy, comfy.add("THA4PoseSequence", 1000, 60), "tha4_player")
    player.wait("[data-frames]")
    request.getfixturevalue("distilling")
    set_ = "(id) => { app.graph.getNodeById(id).widgets.find(({ name }) => name === '%s').value = %s; }"
    late(comfy, "/tha4/frame", set_ % ("head_y", 0.5), editor.node, editor.find(".tha4-caption"))
    late(comfy, "/tha4/fit", set_ % ("offset_x", 40), fit.node, fit.find(".tha4-fit-report"))
    late(comfy, "/tha4/poses", set_ % ("fps", 10), player.node, player.find(".tha4-player-caption"))


def test_a_message_stays_while_a_frame_is_late_and_when_it_comes(
    comfy: ComfyPage, request: pytest.FixtureRequest
) -> None:
    editor = add_editor(comfy)
    held = Held(comfy, "/tha4/frame")
    comfy.page.evaluate("() => navigator.clipboard.writeText('{\"head_y\": 7}')")
    editor.tool("paste")
    said = "Pasted. Brought into their range: head_y."
    expect(editor.find(".tha4-said")).to_have_text(said)
    request.getfixturevalue("distilling")
    expect(editor.find(".tha4-said")).to_have_text(f"{said} · {BUSY}", timeout=PATIENCE)
    held.let_go()
    editor.settle()
    expect(editor.find(".tha4-said")).to_have_text(said)
    comfy.set(editor.node, "head_y", 0.5)
    expect(editor.find(".tha4-said")).to_have_count(0)


def test_a_late_answer_of_a_server_that_does_not_distil_is_waited_for_in_silence(comfy: ComfyPage) -> None:
    editor = add_editor(comfy)
    held = Held(comfy, "/tha4/frame")
    comfy.set(editor.node, "head_y", 0.5)
    comfy.until(lambda: bool(held.routes))
    comfy.page.wait_for_timeout(800)
    expect(editor.find(".tha4-caption")).not_to_contain_text(BUSY)
    held.let_go()
