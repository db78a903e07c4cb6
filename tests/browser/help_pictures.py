"""Take the pictures of panels in the help pages anew, from the real page: all, or those that are named.

    python -m tests.browser.help_pictures [THA4PoseVector THA4LoadCharacter live ...]

Starts a ComfyUI of its own and Debian's Chromium. Only the demo character is seen. Look at what it has taken.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, Route, sync_playwright

from tests.browser.comfy_page import SETTINGS, ComfyPage
from tests.browser.conftest import ARGUMENTS, COMFYUI, VIEW
from tests.browser.editor_page import add_editor
from tests.browser.panels import Panel
from tests.browser.test_page import template
from tests.host.comfyui import PACK, prepare_base, running

Box = tuple[float, float, float, float]
MARGIN, TITLE = 14, 50
SETTLING = 4000
"""Milliseconds in which a panel's last frame comes."""
_BOUNDS = """(ids) => ids.map((id) => {
    const { pos: [x, y], size: [width, height] } = app.graph.getNodeById(id);
    return [x, y, x + width, y + height];
})"""


def main() -> None:
    program = shutil.which("chromium")
    if program is None:
        sys.exit("chromium is not installed (apt-get install chromium).")
    wanted = sys.argv[1:] or [*PICTURES, LIVE]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        base = Path(folder)
        prepare_base(base)
        settings = base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(SETTINGS))
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, "--disable-gpu"])
        with running(COMFYUI, base) as server:
            if wanted != [LIVE]:
                comfy = ComfyPage(browser.new_page(viewport=VIEW), nodes2=False)
                comfy.open(server.address)
            for name in wanted:
                if name == LIVE:
                    take_live(browser.new_page(viewport={"width": 1200, "height": 860}), server.address)
                else:
                    take(comfy, name)


def take(comfy: ComfyPage, name: str) -> None:
    """Lay out the nodes of a picture, and save what is seen of them."""
    comfy.clear()
    nodes = PICTURES[name](comfy)
    comfy.page.evaluate("() => app.canvas.deselectAll()")
    comfy.page.mouse.move(20, 990)
    comfy.page.wait_for_timeout(SETTLING)
    boxes: list[Box] = comfy.page.evaluate(_BOUNDS, nodes)
    left, top = (min(box[axis] for box in boxes) for axis in (0, 1))
    right, bottom = (max(box[axis] for box in boxes) for axis in (2, 3))
    save(
        comfy.page,
        PACK / "web" / "docs" / f"{name}.webp",
        (left - MARGIN, top - TITLE, right + MARGIN, bottom + MARGIN),
    )


def take_live(page: Page, address: str) -> None:
    """The live page as on a fast machine: its frames of full size, and without the last line, which tells the speed."""

    def ask_for_full_size(route: Route) -> None:
        route.continue_(post_data=route.request.post_data_json | {"size": 512})

    page.route("**/tha4/frame", ask_for_full_size)
    page.goto(f"{address}/tha4/live?student=demo&renderer=server")
    page.mouse.move(620, 330)
    page.wait_for_timeout(3 * SETTLING)
    save(page, PACK / "docs" / "live.webp", (0, 0, 1200, 830))


def save(page: Page, path: Path, box: Box) -> None:
    left, top, right, bottom = box
    seen = page.screenshot(clip={"x": left, "y": top, "width": right - left, "height": bottom - top})
    Image.open(io.BytesIO(seen)).convert("RGB").save(path, "WEBP", quality=85, method=6)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB")


def rendered(comfy: ComfyPage, node: int) -> None:
    """Have the demo student show a node's poses, beyond what is seen."""
    student, render = comfy.add("THA4LoadStudent", 3000, 90), comfy.add("THA4StudentRender", 3400, 90)
    comfy.connect(student, 0, render, "student")
    comfy.connect(node, 0, render, "poses")


def pose_vectors(comfy: ComfyPage) -> list[int]:
    poses = (
        ("pads", {"head_y": 0.3, "neck_z": 0.2, "iris_rotation_y": 0.3, "mouth_raised_corner_left": 1.0}),
        ("mouth", {"eye_happy_wink_right": 1.0, "mouth_aaa": 0.7, "head_y": -0.2}),
    )
    editors = [add_editor(comfy, x, 130) for x in (240, 680)]
    for editor, (tab, pose) in zip(editors, poses, strict=True):
        rendered(comfy, editor.node)
        editor.tab(tab)
        for name, value in pose.items():
            comfy.set(editor.node, name, value)
    comfy.page.wait_for_timeout(SETTLING)
    return [editor.settle().node for editor in editors]


def player(node_type: str, at: float, **values: object) -> Callable[[ComfyPage], list[int]]:
    """A node whose player shows its motion at this fraction of it."""

    def lay_out(comfy: ComfyPage) -> list[int]:
        node = comfy.add(node_type, 240, 90)
        for name, value in values.items():
            comfy.set(node, name, value)
        show(comfy, node, at)
        return [node]

    return lay_out


def show(comfy: ComfyPage, node: int, at: float) -> None:
    """Have a node's player show its motion at this fraction of it."""
    rendered(comfy, node)
    panel = Panel(comfy, node, "tha4_player")
    panel.wait("[data-frames]")
    curves = panel.find(".tha4-player-curves")
    box = curves.bounding_box()
    assert box is not None
    curves.click(position={"x": at * box["width"], "y": box["height"] / 2})


def recording(comfy: ComfyPage) -> list[int]:
    tracked, idle = comfy.add("THA4TrackedFace", 240, 90), comfy.add("THA4IdleMotion", 680, 90)
    comfy.connect(tracked, 0, idle, "poses")
    show(comfy, idle, 0.4)
    return [tracked, idle]


def characters(comfy: ComfyPage) -> list[int]:
    fits, moved = comfy.add("THA4LoadCharacter", 240, 90), comfy.add("THA4LoadCharacter", 640, 90)
    comfy.set(moved, "offset_x", 110)
    comfy.set(moved, "offset_y", 70)
    return [fits, moved]


def timings() -> str:
    (node,) = [node for node in template("03 Talking character")["nodes"] if node["type"] == "THA4LipSync"]
    return next(value for value in node["widgets_values"] if isinstance(value, str) and value)


LIVE = "live"
PICTURES: dict[str, Callable[[ComfyPage], list[int]]] = {
    "THA4PoseVector": pose_vectors,
    "THA4PoseSequence": player("THA4PoseSequence", 0.8, loop=True),
    "THA4LipSync": player("THA4LipSync", 0.3, timings=timings()),
    "THA4TrackedFace": recording,
    "THA4LoadCharacter": characters,
}

if __name__ == "__main__":
    main()
