"""The widgets on nodes below their inputs, as a hand and an eye know them."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from playwright.sync_api import Locator

from tests.browser.comfy_page import ComfyPage

PATIENCE = 60_000
_ELEMENT = "([id, name]) => app.graph.getNodeById(id).widgets.find((w) => w.name === name).element"


class Panel:
    """The widget of that name on a node."""

    def __init__(self, comfy: ComfyPage, node: int, widget: str) -> None:
        self.comfy, self.node = comfy, node
        comfy.page.evaluate(f"([id, name]) => {{ ({_ELEMENT})([id, name]).dataset.test = id; }}", [node, widget])
        self.element = comfy.page.locator(f".tha4-panel[data-test='{node}']")
        self.element.wait_for(timeout=PATIENCE)

    def find(self, selector: str) -> Locator:
        return self.element.locator(selector)

    def wait(self, data: str) -> None:
        """Wait until the element has a piece of data, as CSS selects it: `[data-frames='24']`."""
        self.comfy.page.locator(f".tha4-panel[data-test='{self.node}']{data}").wait_for(timeout=PATIENCE)

    def picture(self, canvas: str = "canvas >> nth=0") -> np.ndarray:
        """What a canvas of it has on it, uint8 `[H, W, 4]`."""
        data = self.find(canvas).evaluate("(canvas) => canvas.toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))))


def run(comfy: ComfyPage) -> None:
    """Queue the graph as the Run button does, and wait for its end."""
    comfy.page.evaluate(
        """async () => {
            const { api } = await import("/scripts/api.js");
            const done = new Promise((end) => {
                const ended = ({ detail }) => {
                    if (detail !== null && detail?.node !== null) return;
                    api.removeEventListener("executing", ended);
                    end();
                };
                api.addEventListener("executing", ended);
            });
            await app.queuePrompt(0);
            await done;
        }"""
    )
