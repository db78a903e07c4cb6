"""The pose editor in the real page: frames a second and milliseconds from hand to picture while the head is dragged.

    python -m tests.benchmarks.editor [--student PATH] [--seconds 10] [--nodes2] [--page 64]

The server renders, or with --page the page itself at that size, by a GPU that Chromium computes on the CPU.

Starts a ComfyUI of its own and Debian's Chromium, which draws without a GPU and so takes a good part of the processor
itself. Then, unless the page renders, it runs a graph again and again, in turn alone and while the head is dragged:
what dragging costs a graph that computes on the CPU. Without a student its weights are random, which changes the
picture and not the time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

import tha4_core as tha4
from tests.browser.comfy_page import SETTINGS, ComfyPage
from tests.browser.conftest import ARGUMENTS, COMFYUI, VIEW
from tests.browser.editor_page import Editor
from tests.browser.puppet_site import SOFTWARE_GPU
from tests.host.comfyui import ComfyUI, prepare_base, running
from tha4_core.demo import demo_character

POSES = 8  # of the graph that is run
ROUNDS = 3

_WATCH = """(stage) => {
    window.seen = [];
    const moves = [0];
    addEventListener("pointermove", ({ timeStamp }) => moves.push(timeStamp), { capture: true });
    const note = () => {
        const now = performance.now();
        const began = now - Number(stage.dataset.took);
        const seen = moves.findLast((at) => at <= began + 1); // the hand's place that the frame shows
        window.seen.push([now, now - seen, Number(stage.dataset.size)]);
    };
    new MutationObserver(note).observe(stage, { attributeFilter: ["data-took"] });
}"""


def main() -> None:
    arguments = _arguments()
    program = shutil.which("chromium")
    if program is None:
        sys.exit("chromium is not installed (apt-get install chromium).")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        base = _base(Path(folder), arguments)
        with running(COMFYUI, base) as server:
            browser = playwright.chromium.launch(
                executable_path=program, args=[*ARGUMENTS, *(SOFTWARE_GPU if arguments.page else ())]
            )
            comfy = ComfyPage(browser.new_page(viewport=VIEW), arguments.nodes2)
            comfy.open(server.address)
            editor, save = _graph(comfy)
            _print_dragging(comfy.page, editor, arguments.seconds)
            if not arguments.page:
                _print_cost(comfy, server, editor, save)
            browser.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", type=Path, help="a published folder or a .safetensors")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to drag")
    parser.add_argument("--page", type=int, metavar="SIZE", help="the page renders, at that size")
    parser.add_argument("--nodes2", action="store_true", help="in Nodes 2.0, not on the classic canvas")
    return parser.parse_args()


def _base(base: Path, arguments: argparse.Namespace) -> Path:
    prepare_base(base)
    student = tha4.Student.load(arguments.student) if arguments.student else tha4.Student(demo_character())
    student.save(base / "models" / "tha4" / "students" / "bench.safetensors")
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    renderer = {"THA4.PreviewRenderer": "page", "THA4.PageSize": arguments.page} if arguments.page else {}
    settings.write_text(json.dumps({**SETTINGS, "Comfy.VueNodes.Enabled": arguments.nodes2, **renderer}))
    return base


def _graph(comfy: ComfyPage) -> tuple[Editor, int]:
    comfy.clear()
    pose, render = comfy.add("THA4PoseVector", 300, 80), comfy.add("THA4StudentRender", 800, 80)
    load, save, idle = comfy.add("THA4LoadStudent", 800, 500), comfy.add("PreviewImage", 1200, 80), 0
    comfy.set(load, "student", "bench.safetensors")
    comfy.connect(load, 0, render, "student")
    comfy.connect(pose, 0, render, "poses")
    # A graph of its own to run: the editor's pose changes while it does.
    idle, other = comfy.add("THA4IdleMotion", 800, 700), comfy.add("THA4StudentRender", 1200, 500)
    comfy.set(idle, "seconds", 1)
    comfy.set(idle, "fps", POSES)
    comfy.connect(load, 0, other, "student")
    comfy.connect(idle, 0, other, "poses")
    comfy.connect(other, 0, save, "images")
    return Editor(comfy, pose).settle(), save


def _drag(page: Page, editor: Editor, seconds: float, until: Any = lambda: False) -> None:
    """Move the head in circles, as fast as a hand and sixty times a second."""
    box = editor.zone("head").bounding_box()
    assert box is not None
    x, y, reach = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"] / 3
    page.mouse.move(x, y)
    page.mouse.down()
    end = time.monotonic() + seconds
    for step in itertools.count():
        if time.monotonic() > end or until():
            break
        page.mouse.move(x + reach * math.sin(step / 15), y + reach * math.cos(step / 15) - reach)
        page.wait_for_timeout(16)
    page.mouse.up()


def _print_dragging(page: Page, editor: Editor, seconds: float) -> None:
    editor.find(".tha4-stage").evaluate(_WATCH)
    _drag(page, editor, 3)  # until the size has found itself
    page.evaluate("() => { window.seen.length = 0; }")
    _drag(page, editor, seconds)
    seen = page.evaluate("() => window.seen")
    took = sorted(one[1] for one in seen)
    rate = (len(seen) - 1) / (seen[-1][0] - seen[0][0]) * 1000
    print(f"Machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}.")
    print(f"Dragging: {rate:.1f} frames a second; hand to picture {median(took):.0f} ms at the median,")
    print(f"{took[int(len(took) * 0.9)]:.0f} ms at nine tenths; {median(one[2] for one in seen):.0f} pixels.")


def _print_cost(comfy: ComfyPage, server: ComfyUI, editor: Editor, save: int) -> None:
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for dragging in [False, *[False, True] * ROUNDS]:
        seconds[dragging].append(_run(comfy, server, editor, save, dragging))
    ratio = median(b / a for a, b in zip(seconds[False][1:], seconds[True], strict=True))
    print(f"A graph of {POSES} frames took {ratio:.2f} times as long while the head was dragged.")


def _run(comfy: ComfyPage, server: ComfyUI, editor: Editor, save: int, dragging: bool) -> float:
    """Seconds between the start and the end of one run, as the server's history tells them."""
    prompt = comfy.prompt()
    wanted = {str(save), *_behind(prompt, str(save))}
    prompt = {name: entry for name, entry in prompt.items() if name in wanted}
    next(entry for entry in prompt.values() if entry["class_type"] == "THA4IdleMotion")["inputs"]["seed"] = (
        time.time_ns() % 2**31
    )
    prompt_id = server.post("/prompt", {"prompt": prompt})["prompt_id"]

    def done() -> bool:
        return bool(server.get(f"/history/{prompt_id}"))

    if dragging:
        _drag(comfy.page, editor, 300, done)
    while not done():
        comfy.page.wait_for_timeout(50)
    entry = server.get(f"/history/{prompt_id}")[prompt_id]
    if entry["status"]["status_str"] != "success":
        sys.exit(f"The graph failed: {entry['status']['messages']}")
    messages = dict(entry["status"]["messages"])
    return (messages["execution_success"]["timestamp"] - messages["execution_start"]["timestamp"]) / 1000


def _behind(prompt: dict[str, Any], name: str) -> set[str]:
    inputs = [value[0] for value in prompt[name]["inputs"].values() if isinstance(value, list)]
    return {*inputs, *(further for one in inputs for further in _behind(prompt, one))}


if __name__ == "__main__":
    main()
