"""ComfyUI's page in a real browser: its graph, and what a hand does to it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from tests.host.comfyui import ComfyUI

SETTINGS: dict[str, Any] = {
    "Comfy.TutorialCompleted": True,
    "Comfy.InstalledVersion": version("comfyui-frontend-package"),
    "Comfy.Workflow.Persist": False,
    "Comfy.Locale": "en",
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.EnableTooltips": False,
    "Comfy.Notification.ShowVersionUpdates": False,
    "Comfy.RightSidePanel.ShowErrorsTab": False,
}
"""A page without a tour, a minimap or news on it."""

OPENING = 120_000
"""Milliseconds in which the page must have come up."""
_PATIENCE = 60.0  # seconds

_READY = "() => window.app?.extensionManager && window.app.graph && !document.querySelector('#splash-loader')"
_EMPTY = """async () => {
    const id = crypto.randomUUID();
    await app.loadGraphData({id, last_node_id: 0, last_link_id: 0, nodes: [], links: [], groups: [], version: 0.4});
    app.canvas.ds.scale = 1; app.canvas.ds.offset = [0, 0]; app.canvas.setDirty(true, true);
}"""
_ADD = """([type, x, y]) => {
    const node = LiteGraph.createNode(type);
    node.pos = [x, y];
    app.graph.add(node);
    return node.id;
}"""
_CONNECT = """([from, slot, to, input]) => {
    const target = app.graph.getNodeById(to);
    app.graph.getNodeById(from).connect(slot, target, target.inputs.findIndex((one) => one.name === input));
}"""
_VALUES = """(id) => Object.fromEntries(
    app.graph.getNodeById(id).widgets.filter((w) => w.serialize !== false).map((w) => [w.name, w.value]))"""
_SET = """([id, name, value]) => {
    const widget = app.graph.getNodeById(id).widgets.find((w) => w.name === name);
    widget.value = value;
    widget.callback?.(value);
}"""


@dataclass
class ComfyPage:
    """A page that shows ComfyUI; `nodes2` says with which renderer."""

    page: Page
    nodes2: bool
    errors: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Load the page and wait until it can be used."""
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(f"{error}\n{error.stack}"))
        self.page.goto(address, timeout=OPENING)
        self.page.wait_for_function(_READY, timeout=OPENING)

    def _note(self, message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        if message.type == "error" and ("tha4" in where.lower() or "tha4" in message.text.lower()):
            self.errors.append(f"{message.text} ({where})")

    def clear(self) -> None:
        """An empty graph, seen at its natural size."""
        self.page.evaluate(_EMPTY)

    def add(self, node_type: str, x: float = 60, y: float = 60) -> int:
        """Add a node; returns its id."""
        return int(self.page.evaluate(_ADD, [node_type, x, y]))

    def add_by_search(self, name: str) -> int | str:
        """Add what the node search finds first under a name, as a user does; returns its id."""
        self.page.evaluate("() => app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
        box = self.page.get_by_placeholder("Add a node")
        box.fill(name)
        expect(self.page.get_by_role("option").filter(has_text=name).first).to_be_visible()
        box.press("Enter")
        self.page.mouse.click(700, 300)  # where the node that hangs on the pointer goes
        self.page.wait_for_function("() => app.graph.nodes.length > 0")
        return self.page.evaluate("() => app.graph.nodes.at(-1).id")

    def connect(self, source: int | str, slot: int, target: int, name: str) -> None:
        """Link an output, by its number, to an input, by its name."""
        self.page.evaluate(_CONNECT, [source, slot, target, name])

    def remove(self, node: int) -> None:
        self.page.evaluate("(id) => app.graph.remove(app.graph.getNodeById(id))", node)

    def values(self, node: int | str) -> dict[str, Any]:
        """What a node's widgets say, by name."""
        return self.page.evaluate(_VALUES, node)

    def set(self, node: int | str, name: str, value: Any) -> None:
        """Set a widget as code of the page would."""
        self.page.evaluate(_SET, [node, name, value])

    def prompt(self) -> dict[str, Any]:
        """What the page would queue, in API form."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def workflow(self) -> dict[str, Any]:
        """The workflow as the page saves it."""
        return self.page.evaluate("() => app.graph.serialize()")

    def load(self, workflow: dict[str, Any]) -> None:
        self.page.evaluate("async (workflow) => { await app.loadGraphData(workflow); }", workflow)

    def run(self, server: ComfyUI) -> dict[str, Any]:
        """Press the button, wait for the end, and return what the history says of it."""
        before = set(server.get("/history"))
        self.page.locator("[data-testid='queue-button']").click()
        for _ in range(600):
            done = {name: entry for name, entry in server.get("/history").items() if name not in before}
            if done:
                entry: dict[str, Any] = next(iter(done.values()))
                assert entry["status"]["status_str"] == "success", entry["status"]
                return entry
            self.page.wait_for_timeout(100)
        raise TimeoutError("The queue did not come to its end in a minute.")

    def until(self, seen: Callable[[], object], expected: object = True) -> None:
        """Wait until what a function sees is as expected; if it never is, the test fails."""
        deadline = time.monotonic() + _PATIENCE
        while seen() != expected and time.monotonic() < deadline:
            self.page.wait_for_timeout(100)
        assert seen() == expected

    def zoom(self, scale: float) -> None:
        """See the graph at another scale."""
        self.page.evaluate("(s) => { app.canvas.ds.scale = s; app.canvas.setDirty(true, true); }", scale)
        self.page.wait_for_timeout(200)

    def drag(self, target: Locator, start: tuple[float, float], end: tuple[float, float], steps: int = 6) -> None:
        """Drag inside an element, from one point to another, both as fractions of its size."""
        box = target.bounding_box()
        assert box is not None
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        self.page.mouse.move(*points[1], steps=steps)
        self.page.mouse.up()

    def picture(self, target: Locator) -> np.ndarray:
        """What the screen shows of an element, uint8 `[H, W, 3]`."""
        return np.asarray(Image.open(io.BytesIO(target.screenshot())).convert("RGB"))
