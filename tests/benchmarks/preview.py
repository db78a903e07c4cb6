"""What a long drag in an editor does to the server's memory: a table in Markdown.

    python -m tests.benchmarks.preview [--frames 10000] [--milliseconds 15]

A real ComfyUI is asked for frames of a student at 512 pixels, each a moment after the one before, which is then given
up half-rendered. ComfyUI is the one in THA4_COMFYUI, else in .comfyui. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp

from tests.benchmarks.student import machine
from tests.host.comfyui import PACK, ComfyUI, prepare_base, running
from tha4_core.demo import DEMO_STUDENT

COMFYUI = Path(os.environ.get("THA4_COMFYUI", PACK / ".comfyui")).resolve()
NAME = "dragged.safetensors"
WARM_UP, ROW = 200, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--milliseconds", type=float, default=15.0, help="from one request to the next")
    options = parser.parse_args()
    print(f"Machine: {machine('cpu')}.\n")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        prepare_base(base)
        shutil.copyfile(DEMO_STUDENT, base / "models" / "tha4" / "students" / NAME)
        with running(COMFYUI, base) as server:
            asyncio.run(drag(server, options.frames, options.milliseconds / 1000))


async def drag(server: ComfyUI, frames: int, pause: float) -> None:
    """Ask for frames, and print a row for every ROW of them."""
    dice = random.Random(1)
    async with aiohttp.ClientSession() as session:
        await ask(session, server, dice, WARM_UP, pause)
        first = memory(server)
        print("| frames asked for | given up | rendered | MB in memory | more than at first |")
        print("| ---: | ---: | ---: | ---: | ---: |")
        statuses, start = Counter[int](), time.monotonic()
        for done in range(0, frames, ROW):
            statuses += await ask(session, server, dice, min(ROW, frames - done), pause)
            now = memory(server)
            print(
                f"| {statuses.total():,} | {statuses[204]:,} | {statuses[200]:,} | {now:.0f} | {now - first:+.0f} |",
                flush=True,
            )
        print(f"\n{time.monotonic() - start:.0f} s; other answers: {statuses.total() - statuses[200] - statuses[204]}.")


async def ask(
    session: aiohttp.ClientSession, server: ComfyUI, dice: random.Random, count: int, pause: float
) -> Counter[int]:
    """The statuses of so many requests, each sent a pause after the one before."""

    async def one() -> int:
        pose = {"head_y": dice.uniform(-1, 1), "mouth_aaa": dice.random()}
        body = {"character": {"kind": "student", "name": NAME}, "pose": pose, "size": 512, "client": "drag"}
        async with session.post(f"{server.address}/tha4/frame", json=body) as answer:
            await answer.read()
            return answer.status

    tasks = []
    for _ in range(count):
        tasks.append(asyncio.ensure_future(one()))
        await asyncio.sleep(pause)
    return Counter(await asyncio.gather(*tasks))


def memory(server: ComfyUI) -> float:
    """Megabytes that the server's process has in memory."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
