"""Take the pictures of panels and pages in README and help anew, from the real page: all, or those that are named.

    python -m tests.browser.help_pictures [THA4PoseVector THA4LoadCharacter live graph puppet ...]

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

from dev import MEDIAPIPE_FOLDER
from tests.browser.comfy_page import SETTINGS, ComfyPage
from tests.browser.conftest import ARGUMENTS, COMFYUI, VIEW
from tests.browser.editor_page import add_editor
from tests.browser.panels import Panel
from tests.browser.puppet_site import SOFTWARE_GPU
from tests.browser.test_page import template
from tests.host.comfyui import PACK, ComfyUI, prepare_base, running
from tha4_core.demo import DEMO_STUDENT
from tha4_core.export import PageOptions, read_mediapipe, to_html
from tha4_core.student import Student

Box = tuple[float, float, float, float]
HELP = PACK / "web" / "docs"
MARGIN, TITLE = 14, 50
SETTLING = 4000
"""Milliseconds in which a panel's last frame comes."""
_BOUNDS = """(ids) => ids.map((id) => {
    const { pos: [x, y], size: [width, height] } = app.graph.getNodeById(id);
    const [left, top] = app.canvas.ds.offset;
    return [x + left, y + top, x + left + width, y + top + height];
})"""


def main() -> None:
    program = shutil.which("chromium")
    if program is None:
        sys.exit("chromium is not installed (apt-get install chromium).")
    wanted = sys.argv[1:] or [*PICTURES, LIVE, GRAPH, PUPPET]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        base = Path(folder)
        prepare_base(base)
        settings = base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(SETTINGS))
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, "--disable-gpu"])
        with running(COMFYUI, base) as server:
            comfy = ComfyPage(browser.new_page(viewport=VIEW), nodes2=False)
            comfy.open(server.address)
            for name in wanted:
                if name == LIVE:
                    take_live(browser.new_page(viewport={"width": 1200, "height": 860}), server.address)
                elif name == GRAPH:
                    server.post("/settings", {"Comfy.VueNodes.Enabled": True})
                    take_graph(ComfyPage(browser.new_page(viewport=VIEW), nodes2=True), server)
                elif name == PUPPET:
                    with_gpu = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *SOFTWARE_GPU])
                    take_puppet(comfy, with_gpu.new_page(viewport={"width": 400, "height": 400}), base)
                else:
                    comfy.clear()
                    nodes = PICTURES[name](comfy)
                    save(seen(comfy, nodes), HELP / f"{name}.webp")


def seen(comfy: ComfyPage, nodes: list[int], scale: float = 1.0) -> Image.Image:
    """What the page shows of nodes, once their panels are at rest."""
    comfy.page.evaluate("() => app.canvas.deselectAll()")
    comfy.zoom(scale)
    comfy.page.mouse.move(20, 990)
    comfy.page.wait_for_timeout(SETTLING)
    boxes: list[Box] = comfy.page.evaluate(_BOUNDS, nodes)
    left, top = (min(box[axis] for box in boxes) for axis in (0, 1))
    right, bottom = (max(box[axis] for box in boxes) for axis in (2, 3))
    box = (left - MARGIN, top - TITLE, right + MARGIN, bottom + MARGIN)
    return clipped(comfy.page, tuple(round(scale * edge) for edge in box))


def take_graph(comfy: ComfyPage, server: ComfyUI) -> None:
    """The pose editor among its neighbours, after a run."""
    comfy.open(server.address)
    workflow = template("08 Pose by hand")
    comfy.load(workflow)
    wanted = ("THA4PoseVector", "THA4LoadTeacher", "THA4LoadCharacter", "THA4TeacherRender")
    nodes = [node["id"] for kind in wanted for node in workflow["nodes"] if node["type"] == kind]
    pose = {
        "head_y": -0.4,
        "neck_z": 0.3,
        "eye_happy_wink_right": 1.0,
        "mouth_aaa": 0.6,
        "mouth_raised_corner_left": 1.0,
    }
    for node, place in zip(nodes, ((40, 60), (520, 60), (520, 280), (920, 60)), strict=True):
        comfy.page.evaluate("([id, place]) => { app.graph.getNodeById(id).pos = place; }", [node, place])
    for name, value in pose.items():
        comfy.set(nodes[0], name, value)
    comfy.run(server)
    comfy.page.evaluate("() => { app.canvas.ds.offset = [60, 100]; }")
    save(seen(comfy, nodes, 0.8), HELP / "pose_editor_graph.webp")


def take_puppet(comfy: ComfyPage, page: Page, base: Path) -> None:
    """The node beside the page that it writes."""
    comfy.clear()
    node = comfy.add("THA4ExportPuppet", 240, 90)
    comfy.set(node, "title", "Demo")
    comfy.set(node, "background", "color")
    comfy.set(node, "webcam", True)
    panel = seen(comfy, [node])
    file = base / "puppet.html"
    options = PageOptions("Demo", "#22262e", idle=False, webcam=read_mediapipe([MEDIAPIPE_FOLDER]))
    file.write_bytes(to_html(Student.load(DEMO_STUDENT), options))
    page.goto(f"{file.as_uri()}?renderer=page")
    page.evaluate("() => puppet.ready")
    page.evaluate("() => { puppet.expression('laugh'); puppet.look(0.3, 0.2); }")
    page.wait_for_timeout(3 * SETTLING)
    shot = clipped(page, (0, 0, 400, 400))
    both = Image.new("RGB", (panel.width + shot.width, max(panel.height, shot.height)), (24, 24, 24))
    both.paste(panel, (0, (both.height - panel.height) // 2))
    both.paste(shot, (panel.width, (both.height - shot.height) // 2))
    save(both, HELP / "THA4ExportPuppet.webp")


def take_live(page: Page, address: str) -> None:
    """The live page as on a fast machine: its frames of full size, and without the last line, which tells the speed."""

    def ask_for_full_size(route: Route) -> None:
        route.continue_(post_data=route.request.post_data_json | {"size": 512})

    page.route("**/tha4/frame", ask_for_full_size)
    page.goto(f"{address}/tha4/live?student=demo&renderer=server")
    page.mouse.move(620, 330)
    page.wait_for_timeout(3 * SETTLING)
    save(clipped(page, (0, 0, 1200, 830)), PACK / "docs" / "live.webp")


def clipped(page: Page, box: Box) -> Image.Image:
    left, top, right, bottom = box
    shot = page.screenshot(timeout=120_000, clip={"x": left, "y": top, "width": right - left, "height": bottom - top})
    return Image.open(io.BytesIO(shot)).convert("RGB")


def save(picture: Image.Image, path: Path) -> None:
    picture.save(path, "WEBP", quality=85, method=6)
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


LIVE, GRAPH, PUPPET = "live", "graph", "puppet"
PICTURES: dict[str, Callable[[ComfyPage], list[int]]] = {
    "THA4PoseVector": pose_vectors,
    "THA4PoseSequence": player("THA4PoseSequence", 0.8, loop=True),
    "THA4LipSync": player("THA4LipSync", 0.3, timings=timings()),
    "THA4TrackedFace": recording,
    "THA4LoadCharacter": characters,
}

if __name__ == "__main__":
    main()
