"""Live receivers in a real ComfyUI: latency from a datagram to the page, then 100,000 datagrams: tables in Markdown.

    python -m tests.benchmarks.live [--seconds 10] [--datagrams 100000] [--address http://127.0.0.1:8188]

Starts a ComfyUI (in THA4_COMFYUI, else in .comfyui), or uses the one at --address. Datagrams go over the loopback
interface at 60 a second for the latency, and as fast as they are read for the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import numpy as np

from tests import trackers
from tests.benchmarks.student import machine
from tests.host.comfyui import PACK, ComfyUI, running

COMFYUI = Path(os.environ.get("THA4_COMFYUI", PACK / ".comfyui")).resolve()
_PORT = 39000
_BATCH = 40
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--datagrams", type=int, default=100_000)
    parser.add_argument("--address", default="")
    parser.add_argument("--pid", type=int, default=0)
    arguments = parser.parse_args()
    print(f"Machine: {machine('cpu')}.\n")
    with _server(arguments.address, arguments.pid) as server:
        asyncio.run(_measure(server, arguments.seconds, arguments.datagrams))


@contextmanager
def _server(address: str, pid: int) -> Iterator[ComfyUI]:
    with tempfile.TemporaryDirectory() as base:
        if address:
            yield ComfyUI(Path(base), int(address.rpartition(":")[2]), pid)
            return
        with running(COMFYUI, Path(base)) as server:
            yield server


async def _measure(server: ComfyUI, seconds: float, datagrams: int) -> None:
    print("| protocol | bytes | latency ms, median | p99 | most | of one core |\n| --- |" + " ---: |" * 5)
    for protocol, example in trackers.EXAMPLES.items():
        await _latency(server, protocol, example, seconds)
    print(
        "\n| datagrams | left out | messages | a second | ms of the processor each | RSS MB |\n" + "| ---: " * 6 + "|"
    )
    await _endurance(server, datagrams)


async def _latency(server: ComfyUI, protocol: str, example: bytes, seconds: float) -> None:
    latencies: list[float] = []
    async with aiohttp.ClientSession() as http, _page(server, http) as page, _receiver(server, http, protocol):
        before, start = cpu(server), time.perf_counter()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(int(seconds * 60)):
                await asyncio.sleep(max(start + number / 60 - time.perf_counter(), 0))
                sent = time.perf_counter()
                sender.sendto(example, ("127.0.0.1", _PORT))
                while (await page.receive_json())["type"] != "face":
                    pass
                latencies.append((time.perf_counter() - sent) * 1000)
        share = (cpu(server) - before) / (time.perf_counter() - start)
    median, p99, most = np.percentile(latencies, [50, 99, 100])
    print(f"| {protocol} | {len(example)} | {median:.2f} | {p99:.2f} | {most:.2f} | {share:.1%} |", flush=True)


async def _endurance(server: ComfyUI, datagrams: int) -> None:
    """Send until the server says that it has had so many, a line for each tenth of them."""
    async with aiohttp.ClientSession() as http, _page(server, http) as page, _receiver(server, http, "ifacialmocap"):
        heard = _Heard()
        reader = asyncio.create_task(heard.read(page))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for tenth in range(1, 11):
                start, used, first = time.perf_counter(), cpu(server), heard.packets
                while heard.packets < tenth * datagrams // 10:
                    for _ in range(_BATCH):
                        sender.sendto(trackers.EXAMPLES["ifacialmocap"], ("127.0.0.1", _PORT))
                    await asyncio.sleep(0.01)
                wall, each = time.perf_counter() - start, (cpu(server) - used) / (heard.packets - first) * 1000
                rate = (heard.packets - first) / wall
                print(f"| {heard.packets:,} | {heard.left_out} | {heard.faces:,} | {rate:.0f} | {each:.3f} "
                      f"| {_memory(server):.1f} |", flush=True)  # fmt: skip
        reader.cancel()


class _Heard:
    """What a page has heard so far."""

    def __init__(self) -> None:
        self.faces = self.packets = self.left_out = 0

    async def read(self, page: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await page.receive_json()
            self.faces += message["type"] == "face"
            if message["type"] == "state" and message["receivers"]:
                self.packets, self.left_out = (message["receivers"][0][name] for name in ("packets", "left_out"))


def _page(server: ComfyUI, http: aiohttp.ClientSession) -> aiohttp.client._WSRequestContextManager:
    return http.ws_connect(f"{server.address}/tha4/live/bench/socket", headers={"Origin": server.address})


@asynccontextmanager
async def _receiver(server: ComfyUI, http: aiohttp.ClientSession, protocol: str) -> AsyncIterator[None]:
    url, headers = f"{server.address}/tha4/live/bench", {"Origin": server.address}
    async with http.post(f"{url}/receive", json={"protocol": protocol, "port": _PORT}, headers=headers) as answer:
        answer.raise_for_status()
    yield
    async with http.post(f"{url}/stop", json={}, headers=headers) as answer:
        answer.raise_for_status()


def cpu(server: ComfyUI) -> float:
    """Seconds of the processor that the server has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(server: ComfyUI) -> float:
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
