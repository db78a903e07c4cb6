"""The distill monitor in the real page, fed by the events of the real server."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import uuid
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.panels import PATIENCE, Panel, run
from tests.host.comfyui import ComfyUI
from tha4_core.demo import DEMO_STUDENT


def picture() -> str:
    encoded = io.BytesIO()
    Image.new("RGB", (64, 32), (200, 40, 40)).save(encoded, "WEBP")
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def event(panel: Panel, step: int, **changes: Any) -> dict[str, Any]:
    loss = {"step": step, "face": math.exp(-step / 50), "body": 2 * math.exp(-step / 50)}
    seen = {"step": step, "face": 20 + step / 10, "body": 15 + step / 10}
    told = {
        "name": panel.comfy.values(panel.node)["name"],
        "node": str(panel.node),
        "stage": "training",
        "preset": "quick",
        "step": step,
        "steps": 200,
        "examples": step * 8,
        "rate": 12.5,
    }
    more = {"seconds_left": 3725.0, "loss": loss, "psnr": seen if step % 50 == 0 else None, "preview": None}
    return {**told, **more, "state": "running", **changes}


def send(comfy: ComfyPage, sender: int, *events: dict[str, Any]) -> None:
    comfy.set(sender, "events", json.dumps(events))
    run(comfy)


def add(comfy: ComfyPage) -> tuple[Panel, int]:
    """A monitor, and a node that makes the server send events. The monitor's own node does not run."""
    node = comfy.add("THA4DistillStudent", 320, 80)
    comfy.page.evaluate("(id) => { app.graph.getNodeById(id).mode = 2; }", node)
    comfy.set(node, "name", uuid.uuid4().hex)
    return Panel(comfy, node, "tha4_monitor"), comfy.add("SendEvents", 900, 80)


def drawn(panel: Panel, chart: str) -> np.ndarray:
    return panel.picture(f"canvas[data-name='{chart}']")


def test_the_training_is_seen_as_it_goes(comfy: ComfyPage) -> None:
    panel, sender = add(comfy)
    send(comfy, sender, *(event(panel, step) for step in range(0, 101, 10)))
    expect(panel.find(".tha4-monitor-state")).to_have_text("Training · quick · 100 / 200", timeout=PATIENCE)
    expect(panel.find(".tha4-monitor-rate")).to_have_text("800 examples · 12.5 a second · 1:02:05 left")
    expect(panel.find("figcaption").nth(0)).to_contain_text("face 0.135")
    expect(panel.find("figcaption").nth(1)).to_contain_text("body 25.0")
    before = drawn(panel, "loss")
    assert (before[..., 3] > 0).any()
    assert (drawn(panel, "psnr")[..., 3] > 0).any()
    send(comfy, sender, event(panel, 150, preview=picture(), rate=1934.6))
    expect(panel.find(".tha4-monitor-rate")).to_contain_text(" 1930 a second")
    expect(panel.find("img")).to_be_visible(timeout=PATIENCE)
    assert not np.array_equal(drawn(panel, "loss"), before)
    send(comfy, sender, event(panel, 160, state="stopped"))
    expect(panel.find(".tha4-monitor-state")).to_have_text("Stopped · quick · 160 / 200", timeout=PATIENCE)
    expect(panel.find(".tha4-monitor-rate")).to_have_text("Queue again to go on.")


def test_what_was_seen_stays_when_the_node_is_made_anew(comfy: ComfyPage) -> None:
    panel, sender = add(comfy)
    send(comfy, sender, *(event(panel, step, preview=picture()) for step in (0, 50, 100)))
    expect(panel.find("img")).to_be_visible(timeout=PATIENCE)
    before = drawn(panel, "loss")
    comfy.load(comfy.workflow())
    again = Panel(comfy, panel.node, "tha4_monitor")
    expect(again.find("img")).to_be_visible(timeout=PATIENCE)
    comfy.until(lambda: bool((drawn(again, "loss")[..., 3] > 0).sum() > 0.8 * (before[..., 3] > 0).sum()))


def test_a_training_that_starts_anew_starts_its_curves_anew(comfy: ComfyPage) -> None:
    panel, sender = add(comfy)
    send(comfy, sender, *(event(panel, step) for step in range(0, 200, 10)))
    expect(panel.find(".tha4-monitor-state")).to_contain_text("190 / 200", timeout=PATIENCE)
    long = drawn(panel, "loss")
    send(comfy, sender, event(panel, 0), event(panel, 10))
    expect(panel.find(".tha4-monitor-state")).to_contain_text("10 / 200", timeout=PATIENCE)
    half = long.shape[1] // 2
    coloured = lambda chart: (chart[:, half:, :3].max(-1).astype(int) - chart[:, half:, :3].min(-1) > 60).sum()  # noqa: E731
    assert coloured(long) > 20
    comfy.until(lambda: int(coloured(drawn(panel, "loss"))), 0)


def test_what_the_teacher_shows_first_is_no_point_of_the_curves(comfy: ComfyPage) -> None:
    panel, sender = add(comfy)
    send(comfy, sender, event(panel, 900, steps=1000, stage="teacher", loss=None, psnr=None))
    expect(panel.find(".tha4-monitor-state")).to_have_text(
        "The teacher shows its frames · quick · 900 / 1000", timeout=PATIENCE
    )
    expect(panel.find(".tha4-monitor-rate")).to_contain_text("1:02:05 left")
    loss = {"step": 10, "face": 0.5, "body": 0.5}
    send(comfy, sender, event(panel, 12, stage="training", loss=loss, psnr=None))
    expect(panel.find("figcaption").nth(0)).to_contain_text("face 0.500", timeout=PATIENCE)


def test_a_training_that_starts_before_its_pace_is_known(comfy: ComfyPage) -> None:
    panel, sender = add(comfy)
    first = event(panel, 0, steps=308, stage="teacher", loss=None, psnr=None, rate=0, seconds_left=None)
    send(comfy, sender, first)
    expect(panel.find(".tha4-monitor-rate")).to_contain_text("time left: not known yet", timeout=PATIENCE)


def test_events_of_other_names_and_pictures_from_elsewhere_are_not_shown(comfy: ComfyPage) -> None:
    panel, sender = add(comfy)
    other = event(panel, 20, name="another")  # of a node of the same number in another graph
    send(comfy, sender, event(panel, 10, preview="https://elsewhere.example/x.webp"), other)
    expect(panel.find(".tha4-monitor-state")).to_contain_text("10 / 200", timeout=PATIENCE)
    expect(panel.find("img")).to_be_hidden()


def test_another_page_and_a_server_that_was_started_anew_know_what_the_files_say(
    comfy: ComfyPage, web_server: ComfyUI
) -> None:
    name = f"trained_{comfy.nodes2}"
    file = web_server.base / "models" / "tha4" / "students" / f"{name}.safetensors"
    file.write_bytes(DEMO_STUDENT.read_bytes())
    panel, sender = add(comfy)
    expect(panel.find(".tha4-monitor-state")).to_have_text("Nothing has run yet.", timeout=PATIENCE)
    comfy.set(panel.node, "name", name)
    expect(panel.find(".tha4-monitor-state")).to_contain_text("Finished · ", timeout=PATIENCE)
    expect(panel.find("figcaption").nth(1)).to_contain_text(re.compile(r"body \d"))
    comfy.until(lambda: bool((drawn(panel, "psnr")[..., 3] > 0).any()))
    file.unlink()
    send(comfy, sender, event(panel, 10, name="another"))  # whatever runs next
    expect(panel.find(".tha4-monitor-state")).to_have_text("Gone", timeout=PATIENCE)
    expect(panel.find(".tha4-monitor-rate")).to_contain_text("not there any more")
    comfy.set(panel.node, "name", "../elsewhere")
    expect(panel.find(".tha4-monitor-rate")).to_contain_text("cannot be a student's name", timeout=PATIENCE)


def test_a_node_that_goes_leaves_nothing(comfy: ComfyPage) -> None:
    panel, sender = add(comfy)
    last = event(panel, 30)
    comfy.remove(panel.node)
    send(comfy, sender, last)
    expect(comfy.page.locator(".tha4-monitor")).to_have_count(0)
