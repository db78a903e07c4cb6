"""Live sessions in a real ComfyUI: real datagrams in, messages out of the WebSocket, the API for other programs."""

from __future__ import annotations

import asyncio
import io
import json
import math
import socket
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests import trackers
from tests.host.comfyui import ComfyUI

SETTING = "THA4.live.otherPrograms"
Message = dict[str, Any]


class Client:
    """A page (or, without an Origin, a program) of one session."""

    def __init__(self, server: ComfyUI, http: aiohttp.ClientSession, name: str, origin: str | None) -> None:
        self.http, self.name = http, name
        self.base = f"{server.address}/tha4/live/{name}"
        self.headers = {"Origin": origin} if origin else {}
        self.socket: aiohttp.ClientWebSocketResponse | None = None

    async def connect(self) -> Client:
        self.socket = await self.http.ws_connect(f"{self.base}/socket", headers=self.headers, max_msg_size=0)
        return self

    async def close(self) -> None:
        assert self.socket
        await self.socket.close()

    async def send(self, message: Message | str | bytes) -> None:
        assert self.socket
        if isinstance(message, bytes):
            await self.socket.send_bytes(message)
        else:
            await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def next(self, kind: str, where: Callable[[Message], bool] = lambda message: True) -> Message:
        """The next message of a type; others before it are left out."""
        assert self.socket
        async with asyncio.timeout(10):
            while True:
                message: Message = await self.socket.receive_json()
                if message["type"] == kind and where(message):
                    return message

    async def post(self, path: str, body: object = None, **how: Any) -> tuple[int, Message]:
        """The status and the JSON of an answer."""
        how = how or {"json": {} if body is None else body}
        headers = {**self.headers, **how.pop("headers", {})}
        async with self.http.post(f"{self.base}/{path}", headers=headers, **how) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def clients(
    server: ComfyUI, name: str, count: int = 1, origin: str | None = "own"
) -> AsyncIterator[list[Client]]:
    """Pages that are connected to a session."""
    async with aiohttp.ClientSession() as http:
        own = server.address if origin == "own" else origin
        made = [await Client(server, http, name, own).connect() for _ in range(count)]
        yield made
        for client in made:
            await client.close()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def send(data: bytes, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, ("127.0.0.1", port))


def tone(seconds: float = 0.5, rate: int = 16000) -> bytes:
    """A WAV of a voice-like buzz."""
    t = np.arange(int(seconds * rate)) / rate
    wave_ = sum(np.sin(2 * math.pi * 120 * k * t) / k for k in range(1, 20)) * 0.2
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((wave_ * 32767).clip(-32768, 32767).astype("<i2").tobytes())
    return file.getvalue()


@pytest.fixture
def programs_allowed(server: ComfyUI) -> Iterator[None]:
    set_switch(server, True)
    yield
    set_switch(server, False)


def set_switch(server: ComfyUI, on: bool) -> None:
    async def post() -> None:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{server.address}/settings/{SETTING}", json=on) as answer,
        ):
            assert answer.status == 200

    asyncio.run(post())


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


# --- receivers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", list(trackers.EXAMPLES))
def test_datagrams_come_out_of_the_socket(server: ComfyUI, protocol: str) -> None:
    async def test() -> None:
        async with clients(server, f"udp-{protocol}") as (page,):
            assert (await page.next("state"))["receivers"] == []
            port = free_port()
            status, answer = await page.post("receive", {"protocol": protocol, "port": port})
            assert (status, answer["receiver"]["bind"], answer["receiver"]["packets"]) == (200, "127.0.0.1", 0)
            send(b"\xffspoilt", port)
            send(trackers.EXAMPLES[protocol], port)
            face = await page.next("face")
            assert face["found"]
            if protocol != "openseeface":
                assert face["shapes"]["jawOpen"] == 0.4
            state = await page.next("state", lambda state: state["receivers"] and state["receivers"][0]["packets"] == 2)
            assert state["receivers"][0]["left_out"] == 1
            assert "packet" in state["receivers"][0]["error"]
            assert not (await page.next("face"))["found"]  # after a second of silence
            assert await page.post("stop", {"port": port}) == (200, {"stopped": 1})
            assert (await page.next("state", lambda state: not state["receivers"]))["pages"] == 1

    run(test)


def test_mutated_datagrams_leave_the_receiver_alive(server: ComfyUI) -> None:
    async def test() -> None:
        async with clients(server, "mutated") as (page,):
            for protocol, example in trackers.EXAMPLES.items():
                port = free_port()
                await page.post("receive", {"protocol": protocol, "port": port})
                for data in trackers.mutated(example, seed=5, count=200):
                    send(data, port)
                await asyncio.sleep(0.05)
                send(example, port)
                assert (await page.next("face", lambda face: face["found"]))["source"]
                await page.post("stop")

    run(test)


def test_two_pages_share_a_session_and_others_hear_nothing(server: ComfyUI) -> None:
    async def test() -> None:
        async with clients(server, "shared", 2) as (one, two), clients(server, "elsewhere") as (other,):
            port = free_port()
            await one.post("receive", {"protocol": "live_link", "port": port})
            send(trackers.live_link(), port)
            assert await one.next("face") == await two.next("face")
            await one.send({"type": "face", "source": "webcam", "shapes": {"jawOpen": 0.5}, "angles": [1, 2, 3]})
            face = await two.next("face", lambda face: face["source"] == "webcam")
            assert (face["shapes"], face["angles"], face["pose"]) == ({"jawOpen": 0.5}, [1, 2, 3], {})
            await other.send({"type": "pose", "pose": {"eye_wink": 1}})
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(other.next("face"), 0.3)

    run(test)


def test_a_phone_is_asked_until_it_sends_and_only_it_is_heard(server: ComfyUI) -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.setblocking(False)
            loop = asyncio.get_running_loop()
            async with clients(server, "phone") as (page,):
                asked = {"protocol": "ifacialmocap", "address": "127.0.0.1", "port": free_port()}
                asked |= {"request_port": phone.getsockname()[1]}
                assert (await page.post("receive", asked))[0] == 200
                first, sender = await loop.sock_recvfrom(phone, 2000)
                assert first == b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719|sendDataVersion=v2"
                assert sender[1] == asked["port"]
                second = await asyncio.wait_for(loop.sock_recv(phone, 2000), 5)
                assert second == b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719"
                phone.sendto(trackers.ifacialmocap(), sender)
                assert (await page.next("face"))["found"]
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                    stranger.bind(("127.0.0.2", 0))
                    stranger.sendto(trackers.ifacialmocap({"jawOpen": 1.0}), sender)
                state = await page.next("state", lambda state: state["receivers"][0]["left_out"] == 1)
                assert "127.0.0.2" in state["receivers"][0]["error"]

    run(test)


def test_vtube_studio_is_asked_each_second(server: ComfyUI) -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.setblocking(False)
            async with clients(server, "vts") as (page,):
                port = free_port()
                await page.post("receive", {"protocol": "vtube_studio", "address": "127.0.0.1", "port": port,
                                            "request_port": phone.getsockname()[1]})  # fmt: skip
                for _ in range(2):
                    data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(phone, 2000), 5)
                    assert json.loads(data) == {"messageType": "iOSTrackingDataRequest", "time": 5, "sentBy": "THA4",
                                                "ports": [port]}  # fmt: skip
                    phone.sendto(trackers.vtube_studio(), ("127.0.0.1", port))

    run(test)


def test_a_port_in_use_is_told(server: ComfyUI) -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            async with clients(server, "taken") as (page,), clients(server, "other") as (other,):
                status, answer = await page.post("receive", {"protocol": "vmc", "port": port})
                assert status == 409
                assert f"port {port}" in answer["error"]
                assert "another program" in answer["error"]
                taken.close()
                for protocol in ("vmc", "vmc", "openseeface"):  # again, and another in its place
                    assert (await page.post("receive", {"protocol": protocol, "port": port}))[0] == 200
                status, answer = await other.post("receive", {"protocol": "vmc", "port": port})
                assert (status, "session taken" in answer["error"]) == (409, True)
                assert await page.post("stop", {"port": port}) == (200, {"stopped": 1})
                assert (await other.post("receive", {"protocol": "vmc", "port": port}))[0] == 200

    run(test)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"protocol": "telepathy"},
        {"protocol": "vmc", "port": 80},
        {"protocol": "vmc", "port": "39539"},
        {"protocol": "vmc", "port": True},
        {"protocol": "vmc", "bind": "8.8.8.8"},
        {"protocol": "vmc", "bind": "example.com"},
        {"protocol": "ifacialmocap", "address": "8.8.8.8"},
        {"protocol": "ifacialmocap", "address": "224.0.0.1"},
        {"protocol": "ifacialmocap", "address": "255.255.255.255"},
        {"protocol": "ifacialmocap", "address": ["127.0.0.1"]},
        {"protocol": "ifacialmocap", "address": "127.0.0.1", "request_port": 53},
    ],
)
def test_what_cannot_be_received_is_told(server: ComfyUI, asked: Message) -> None:
    async def test() -> None:
        async with clients(server, "wrong") as (page,):
            status, answer = await page.post("receive", asked)
            assert status == 400
            assert answer["error"]

    run(test)
