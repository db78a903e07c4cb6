"""An hour of live driving in fast-forward: what stays in memory, and what the server does meanwhile. Markdown tables.

    python -m tests.benchmarks.live_hour [--minutes 60] [--frames 200] [--seconds 20]

The engine gets a face, and gives a pose, 60 times a second for so many minutes, as fast as it computes them; faces get
lost, expressions and speech come and go. Then a browser's GPU (on the CPU) draws so many of the poses, at 64 pixels.
Last a ComfyUI (in THA4_COMFYUI, else in .comfyui) is watched for so many seconds without and with a page that listens.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

import aiohttp
from playwright.sync_api import CDPSession, Page, sync_playwright

from tests.benchmarks.live import cpu
from tests.benchmarks.student import machine
from tests.browser.puppet_site import SOFTWARE_GPU, puppet_site
from tests.host.comfyui import PACK, ComfyUI, running
from tha4_core.demo import DEMO_STUDENT
from tha4_core.motion import live

COMFYUI = Path(os.environ.get("THA4_COMFYUI", PACK / ".comfyui")).resolve()
_RATE = 60
_OPEN = """async (library) => {
    const { LiveEngine } = await import("/live/engine.js");
    window.engine = new LiveEngine(library, {});
    window.frame = 0;
    window.wave = (hertz, i) => 0.5 + 0.5 * Math.sin(2 * Math.PI * hertz * frame / 60 + i);
}"""
_DRIVE = """(count) => {
    const began = performance.now();
    const shapes = ["jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp", "mouthSmileLeft", "mouthSmileRight"];
    const track = { fps: 30, names: ["mouth_aaa"], values: Array.from({ length: 90 }, (_, i) => [i % 2]) };
    for (let k = 0; k < count; k += 1, frame += 1) {
        const time = frame / 60;
        const found = frame % 1800 < 1500;
        const named = Object.fromEntries(shapes.map((name, i) => [name, wave(0.3 + i / 10, i)]));
        const angles = [0, 1, 2].map((i) => 20 * wave(0.1 + i / 20, i) - 10);
        engine.receive({ type: "face", found, shapes: named, angles }, time);
        if (frame % 600 === 0) engine.receive({ type: "expression", name: "happy", seconds: 2 }, time);
        if (frame % 900 === 0) engine.receive({ type: "say", id: "1", track }, time);
        if (frame % 60 === 0) engine.receive({ type: "pose", pose: { breathing: 1 }, seconds: 0.5 }, time);
        if (engine.pose(time).some((value) => !Number.isFinite(value))) throw new Error(`frame ${frame}`);
    }
    return (performance.now() - began) / count;
}"""
_COUNT_BUFFERS = """(() => {
    if (!globalThis.GPUDevice) return;
    window.buffers = { alive: 0, created: 0, bytes: 0 };
    const { createBuffer } = GPUDevice.prototype;
    const { destroy } = GPUBuffer.prototype;
    GPUDevice.prototype.createBuffer = function (descriptor) {
        buffers.alive += 1; buffers.created += 1; buffers.bytes += descriptor.size;
        return createBuffer.call(this, descriptor);
    };
    GPUBuffer.prototype.destroy = function () {
        buffers.alive -= 1; buffers.bytes -= this.size;
        return destroy.call(this);
    };
})()"""
_OPEN_PUPPET = """async () => {
    const { Puppet } = await import("/puppet/puppet.js");
    const canvas = document.body.appendChild(document.createElement("canvas"));
    window.puppet = await Puppet.open("/students/demo.safetensors", canvas, { size: 64, onLost: console.error });
}"""
_DRAW = """async (count) => {
    for (let k = 0; k < count; k += 1, frame += 30) await puppet.render(engine.pose(frame / 60), 64);
    return buffers;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    print(f"Machine: {machine('cpu')}.\n")
    with puppet_site({"demo.safetensors": DEMO_STUDENT}) as site, sync_playwright() as playwright:
        options = ("--no-sandbox", *SOFTWARE_GPU)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(options))
        page = browser.new_page()
        page.add_init_script(_COUNT_BUFFERS)
        page.goto(f"{site}/live/engine.js")
        devtools = page.context.new_cdp_session(page)
        _drive(page, devtools, arguments.minutes)
        _draw(page, devtools, arguments.frames)
        browser.close()
    with tempfile.TemporaryDirectory() as base, running(COMFYUI, Path(base)) as server:
        _watch(server, arguments.seconds)


def _drive(page: Page, devtools: CDPSession, minutes: int) -> None:
    page.evaluate(_OPEN, live.library())
    print("| minutes driven | JavaScript heap MB | ms of a frame |\n| ---: | ---: | ---: |")
    for tenth in range(1, 11):
        milliseconds = page.evaluate(_DRIVE, minutes * 60 * _RATE // 10)
        print(f"| {minutes * tenth / 10:g} | {_heap(devtools):.2f} | {milliseconds:.4f} |", flush=True)


def _draw(page: Page, devtools: CDPSession, frames: int) -> None:
    page.evaluate(_OPEN_PUPPET)
    print("\n| frames drawn | GPU buffers | made so far | MB of them | JavaScript heap MB |\n" + "| ---: " * 5 + "|")
    for tenth in range(1, 11):
        found = page.evaluate(_DRAW, frames // 10)
        print(
            f"| {frames * tenth // 10} | {found['alive']} | {found['created']} | {found['bytes'] / 1e6:.2f} "
            f"| {_heap(devtools):.2f} |",
            flush=True,
        )


def _heap(devtools: CDPSession) -> float:
    devtools.send("HeapProfiler.collectGarbage")
    return float(devtools.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def _watch(server: ComfyUI, seconds: float) -> None:
    print(f"\n| the server, for {seconds:g} s | of one core |\n| --- | ---: |")
    time.sleep(5)  # it has just started
    print(f"| no page, before any was there | {_share(server, seconds):.2%} |", flush=True)
    print(f"| a page that listens, nothing to hear | {asyncio.run(_listening(server, seconds)):.2%} |", flush=True)
    print(f"| no page again | {_share(server, seconds):.2%} |", flush=True)


async def _listening(server: ComfyUI, seconds: float) -> float:
    url, headers = f"{server.address}/tha4/live/bench/socket", {"Origin": server.address}
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers):
        return await asyncio.to_thread(_share, server, seconds)


def _share(server: ComfyUI, seconds: float) -> float:
    before, start = cpu(server), time.perf_counter()
    time.sleep(seconds)
    return (cpu(server) - before) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
