"""Recording on the live page: even frames, and from a Pose Sequence's button to a Load Poses that has the file."""

from __future__ import annotations

import base64
from pathlib import Path

import av
import numpy as np
from playwright.sync_api import Page, expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.test_live_page import PATIENCE
from tests.host.comfyui import ComfyUI
from tests.host.test_live import tone
from tha4_core.motion import files

SMALL = """() => localStorage.setItem("tha4.live", JSON.stringify({ size: 64, renderer: "server", idle: 1 }))"""
SAY = """(sound) => {
    const body = Uint8Array.from(atob(sound), (letter) => letter.charCodeAt(0));
    return fetch("live/main/say", { method: "POST", headers: { "Content-Type": "audio/wav" }, body });
}"""
KEEP_SENT = """() => {
    const { fetch } = window;
    window.fetch = async (url, options) => {
        const poses = await options?.body?.get?.("poses")?.arrayBuffer();
        if (poses) window.sent = [...new Float32Array(poses)];
        return fetch(url, options);
    };
}"""
PAGE = "document.getElementById('tha4-live').page"
NODES = """([type, input]) => app.graph.nodes.filter((node) => node.type === type)
    .map((node) => node.widgets.find(({ name }) => name === input).value)"""


def test_frames_are_even_whenever_the_poses_are_seen(modules: Page) -> None:
    times = np.cumsum(np.random.default_rng(2).uniform(0.001, 0.09, 200)) + 100
    frames, capped = modules.evaluate(
        """async (times) => {
            const { PoseTrack } = await import("/live/pose_track.js");
            const pose = (time) => Float32Array.from({ length: 45 }, (_, i) => (time - 100) * (i - 22) / 1000);
            const record = (most) => {
                const track = new PoseTrack(30, times[0], most);
                for (const time of times) track.add(pose(time), time);
                return [...track.values()];
            };
            return [record(10000), record(7)];
        }""",
        times.tolist(),
    )
    found = np.array(frames).reshape(-1, 45)
    assert len(found) == int((times[-1] - times[0]) * 30) + 1
    at = times[0] - 100 + np.arange(len(found)) / 30
    np.testing.assert_allclose(found, at[:, None] * (np.arange(45) - 22) / 1000, atol=1e-6)
    assert len(capped) == 7 * 45


def loudness(path: Path) -> float:
    """The greatest sample of a sound file."""
    with av.open(str(path)) as container:
        to_floats = av.AudioResampler(format="fltp")
        frames = [part for frame in container.decode(audio=0) for part in to_floats.resample(frame)]
    return float(max(np.abs(frame.to_ndarray()).max() for frame in frames))


def test_what_the_live_page_records_comes_into_a_load_poses(comfy: ComfyPage, web_server: ComfyUI) -> None:
    sequence = comfy.add("THA4PoseSequence", 320, 80)
    comfy.page.evaluate(SMALL)
    with comfy.page.context.expect_page() as opening:
        comfy.page.locator(".tha4-player [data-name='record']").click()
    live = opening.value
    expect(live.locator("#tha4-live")).to_have_attribute("data-connected", "true", timeout=PATIENCE)
    live.evaluate(KEEP_SENT)
    record = live.locator("[data-name='record']")
    for count in (1, 2):
        record.click()
        expect(record).to_have_attribute("aria-pressed", "true")
        if count == 1:
            live.evaluate(SAY, base64.b64encode(tone()).decode())
            live.wait_for_function(f"() => {PAGE}.speaker.audio?.ended", timeout=PATIENCE)
        live.wait_for_timeout(1200)
        record.click()
        expect(live.locator(".recorded")).to_contain_text("Load Poses", timeout=PATIENCE)
        file = live.locator(".recorded").get_attribute("data-file")
        comfy.page.wait_for_function(
            f"([what, file]) => ({NODES})(what)[0] === file", arg=[["THA4LoadPoses", "file"], file]
        )
        assert comfy.page.evaluate(NODES, ["THA4LoadPoses", "file"]) == [file]
        poses = files.load(web_server.base / str(file))
        assert np.array_equal(poses.values.numpy().ravel(), live.evaluate("() => sent"))
        assert len(poses) >= 30
        assert poses.values.std(dim=0).max() > 0
    (sound,) = comfy.page.evaluate(NODES, ["LoadAudio", "audio"])
    assert loudness(web_server.base / "input" / sound) > 0.05
    loader = comfy.page.evaluate("() => app.graph.nodes.find(({ type }) => type === 'THA4LoadPoses').id")
    plot = comfy.add("THA4PlotPoses", 900, 80)
    comfy.connect(loader, 0, plot, "poses")
    comfy.remove(sequence)
    comfy.run(web_server)
    live.close()
