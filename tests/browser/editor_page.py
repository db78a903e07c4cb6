"""A pose editor on the page, as a hand and an eye know it."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from playwright.sync_api import Locator

from tests.browser.comfy_page import ComfyPage

_ELEMENT = "(id) => app.graph.getNodeById(id).widgets.find((w) => w.name === 'tha4_editor').element"


class Editor:
    """The editor of one Pose Vector."""

    def __init__(self, comfy: ComfyPage, node: int) -> None:
        self.comfy, self.node = comfy, node
        comfy.page.evaluate(f"([id]) => {{ ({_ELEMENT})(id).dataset.test = id; }}", [node])
        self.element = comfy.page.locator(f".tha4-editor[data-test='{node}']")
        self.element.locator(".tha4-stage").wait_for(timeout=60_000)

    def settle(self) -> Editor:
        """Wait until the picture is of full size and up to date."""
        self.element.locator(".tha4-stage[data-resting='true']").wait_for(timeout=60_000)
        return self

    def find(self, selector: str) -> Locator:
        return self.element.locator(selector)

    def zone(self, name: str) -> Locator:
        return self.find(f"[data-zone='{name}']")

    def slider(self, name: str) -> Locator:
        return self.find(f"input[data-name='{name}']:visible")

    def tab(self, name: str) -> None:
        self.find(f".tha4-tab[data-name='{name}']").click()

    def tool(self, name: str) -> None:
        self.find(f"[data-tool='{name}']").click()

    def slide(self, name: str, value: float) -> None:
        """Move a slider as a hand does."""
        self.slider(name).fill(str(value))
        self.slider(name).dispatch_event("change")

    def strength(self, value: float) -> None:
        """Set the strength of the expression."""
        self.find(".tha4-presets input").fill(str(value))
        self.find(".tha4-presets input").dispatch_event("change")

    def pose(self) -> dict[str, float]:
        """What is not 0."""
        return {name: value for name, value in self.comfy.values(self.node).items() if value}

    def picture(self) -> np.ndarray:
        """The frame that it shows, uint8 `[512, 512, 4]`."""
        data = self.find("canvas").evaluate("(canvas) => canvas.toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))))


def add_editor(comfy: ComfyPage, x: float = 300, y: float = 80) -> Editor:
    """A new Pose Vector's editor, with its first picture."""
    return Editor(comfy, comfy.add("THA4PoseVector", x, y)).settle()
