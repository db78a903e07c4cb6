"""What Save Video with Alpha shows of a file, in both renderers of the page."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.panels import PATIENCE, run

SIZE = 256


def test_every_format_is_seen_on_the_node(comfy: ComfyPage) -> None:
    """In an order in which each format follows one of the other kind."""
    render, save = video_graph(comfy)
    words = comfy.page.get_by_text(re.compile("Browsers cannot play ProRes"))

    shown = saved(comfy, save, "mov", "video")
    expect_checkerboard(shown, True)
    expect(words).to_be_visible()

    shown = saved(comfy, save, "webp", "img")
    expect_checkerboard(shown, True)
    expect(words).to_have_count(0)
    expect(comfy.page.locator("video")).to_have_count(0)

    shown = saved(comfy, save, "webm", "video")
    expect_checkerboard(shown, True)
    expect(comfy.page.locator("img[src*='.webp']")).to_have_count(0)

    comfy.set(render, "background", "color")
    shown = saved(comfy, save, "webm", "video")
    expect_checkerboard(shown, False)
    expect(comfy.page.get_by_text(re.compile("Not transparent: Render Video has a background"))).to_be_visible()


def video_graph(comfy: ComfyPage) -> tuple[int, int]:
    """A video of two frames; returns its Render Video and its Save Video with Alpha."""
    student, poses = comfy.add("THA4LoadStudent", 20, 80), comfy.add("THA4PoseVector", 20, 300)
    render, save = comfy.add("THA4RenderVideo", 500, 80), comfy.add("THA4SaveVideo", 900, 80)
    comfy.connect(student, 0, render, "student")
    comfy.connect(poses, 0, render, "poses")
    comfy.connect(render, 0, save, "video")
    comfy.set(render, "size", SIZE)
    return render, save


def saved(comfy: ComfyPage, node: int, kind: str, tag: str) -> Locator:
    """The element that shows the file that a run in that format has saved, once it has loaded."""
    comfy.set(node, "format", kind)
    before = comfy.page.locator(f"{tag}[src*='/view?']").evaluate_all("(all) => all.map((one) => one.src)")
    run(comfy)
    comfy.page.wait_for_function(
        """([tag, size, before]) => {
            const found = document.querySelector(`${tag}[src*='/view?']`);
            return found && !before.includes(found.src) && (found.videoWidth ?? found.naturalWidth) === size;
        }""",
        arg=[tag, SIZE, before],
        timeout=PATIENCE,
    )
    shown = comfy.page.locator(f"{tag}[src*='/view?']")
    expect(shown).to_be_visible()
    expect(comfy.page.get_by_text("Video failed to load")).to_have_count(0)
    return shown


def expect_checkerboard(shown: Locator, there: bool) -> None:
    expect(shown).to_have_css("background-image", re.compile("conic-gradient" if there else "none"))
