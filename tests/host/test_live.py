"""Live sessions in a real ComfyUI: real datagrams in, messages out of the WebSocket, the API for other programs."""

from __future__ import annotations

import asyncio
import io
import json
import math
import re
import shutil
import socket
import sys
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests import trackers
from tests.host.comfyui import PACK, ComfyUI
from tests.host.pack import pack_module
from tha4_core.pose import NAMES

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
        while True:
            message: Message = await self.socket.receive_json(timeout=10)
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
            assert await page.post("stop", {"port": port}) == (200, {"stopped": 1})
            assert (await page.next("state", lambda state: not state["receivers"]))["pages"] == 1

    run(test)


def test_a_tracker_that_falls_silent_has_lost_the_face(server: ComfyUI) -> None:
    async def test() -> None:
        async with clients(server, "silent") as (page,):
            port = free_port()
            await page.post("receive", {"protocol": "openseeface", "port": port})
            send(trackers.openseeface(), port)
            assert (await page.next("face"))["found"]
            assert await page.next("face") == {"type": "face", "source": "OpenSeeFace", "found": False}

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
            with pytest.raises(asyncio.TimeoutError):
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


# --- the routes in a server of their own, whose settings can be set ---------------------------------------------------


class Application:
    """A server with the live routes alone, and a client of it."""

    def __init__(self, server: TestServer, http: aiohttp.ClientSession) -> None:
        self.server, self.http, self.allowed = server, http, False
        self.origin = f"http://{server.host}:{server.port}"

    async def connect(self, name: str, origin: str | None = "own") -> aiohttp.ClientWebSocketResponse:
        headers = {"Origin": self.origin if origin == "own" else origin} if origin else {}
        return await self.http.ws_connect(f"{self.origin}/tha4/live/{name}/socket", headers=headers, max_msg_size=0)

    async def post(self, path: str, body: object = None, **how: Any) -> tuple[int, Message]:
        how = {"headers": {"Origin": self.origin}, **({} if "data" in how else {"json": body}), **how}
        async with self.http.post(f"{self.origin}/tha4/live/{path}", **how) as answer:
            return answer.status, await answer.json()


Live = Callable[[Callable[[Application], Awaitable[None]]], None]


@pytest.fixture
def live(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Live:
    """Runs a test against the routes of the pack in this process. ComfyUI's settings and its stop are stood in for."""
    routes, host = pack_module("nodes.page.live.routes"), pack_module("nodes.host")

    async def serve(test: Callable[[Application], Awaitable[None]]) -> None:
        app, table, at_end = web.Application(), web.RouteTableDef(), []
        monkeypatch.setattr(host, "on_shutdown", at_end.append)
        routes.register(table)
        app.add_routes(table)
        app.on_shutdown.extend(at_end)
        async with TestServer(app) as server, aiohttp.ClientSession() as http:
            application = Application(server, http)
            monkeypatch.setattr(host, "setting", lambda request, name: name == SETTING and application.allowed)
            await test(application)

    return lambda test: asyncio.run(serve(test))


async def received(page: aiohttp.ClientWebSocketResponse, kind: str) -> Message:
    """The next message of a type; others before it are left out."""
    while True:
        message: Message = await page.receive_json(timeout=10)
        if message["type"] == kind:
            return message


def is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def test_receivers_close_some_time_after_the_last_page(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_module("nodes.page.live.sessions"), "GRACE", 0.2)

    async def test(app: Application) -> None:
        page, port = await app.connect("main"), free_port()
        assert (await app.post("main/receive", {"protocol": "vmc", "port": port}))[0] == 200
        await page.close()
        await asyncio.sleep(0.05)
        assert is_taken(port)
        page = await app.connect("main")  # the page loads anew
        await asyncio.sleep(0.3)
        assert is_taken(port)
        await page.close()
        await asyncio.sleep(0.4)
        assert not is_taken(port)

    live(test)


def test_a_server_that_stops_closes_ports_and_sockets(live: Live) -> None:
    async def test(app: Application) -> None:
        page, port = await app.connect("main"), free_port()
        await app.post("main/receive", {"protocol": "vmc", "port": port})
        stopping = asyncio.create_task(app.server.close())
        async for _ in page:
            pass
        assert page.close_code == 1001
        await stopping
        assert not is_taken(port)

    live(test)


def test_nothing_listens_and_no_timer_runs_without_a_page(live: Live) -> None:
    async def test(app: Application) -> None:
        assert (await app.post("main/pose", {"pose": {"eye_wink": 1}})) == (200, {"pages": 0})
        page, port = await app.connect("main"), free_port()
        await app.post("main/receive", {"protocol": "vmc", "port": port})
        for _ in range(2):
            send(trackers.vmc(), port)
        await received(page, "face")
        await app.post("main/stop", {})
        await page.close()
        await asyncio.sleep(0.1)
        timers = [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert not [timer for timer in timers if ".page.live" in timer._callback.__module__]

    live(test)


def test_faces_are_relayed_120_times_a_second_and_the_newest_counts(live: Live) -> None:
    async def test(app: Application) -> None:
        page, port = await app.connect("main"), free_port()
        await app.post("main/receive", {"protocol": "live_link", "port": port})
        for number in range(100):
            send(trackers.live_link({"jawOpen": (number + 1) / 100}), port)
        jaws = []
        while not jaws or jaws[-1] < 1:
            message = await page.receive_json(timeout=5)
            if message["type"] == "face":
                jaws.append(message["shapes"]["jawOpen"])
        assert jaws == sorted(jaws)
        assert len(jaws) < 50
        await page.close()

    live(test)


def test_a_page_that_reads_slowly_gets_the_newest_and_no_backlog(live: Live) -> None:
    async def test(app: Application) -> None:
        slow, quick, source = [await app.connect("main") for _ in range(3)]
        # A client that does not read answers no pings either.
        for number in range(200):
            await source.send_json({"type": "face", "source": "webcam", "shapes": {"jawOpen": number / 1000}})
            if number % 20 == 0:
                await asyncio.sleep(0.02)
            while (
                number % 20 == 0
                and (await quick.receive_json(timeout=5)).get("shapes", {}).get("jawOpen") != number / 1000
            ):
                pass
        jaws = []
        while not jaws or jaws[-1] < 0.199:
            message = await slow.receive_json(timeout=5)
            if message["type"] == "face":
                jaws.append(message["shapes"]["jawOpen"])
        assert len(jaws) < 40
        for page in (slow, quick, source):
            await page.close()

    live(test)


# --- messages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ("nonsense", "JSON"),
        ("[1]", "object"),
        ("[" * 100_000, "JSON"),
        ('{"type": "face", "shapes": {"jawOpen": NaN}}', "shapes"),
        ({}, "type"),
        ({"type": ["face"]}, "type"),
        ({"type": "state"}, "type"),
        ({"type": "face", "shapes": [1]}, "shapes"),
        ({"type": "face", "shapes": {f"x{i}": 1 for i in range(101)}}, "shapes"),
        ({"type": "face", "shapes": {}, "angles": [1, 2]}, "angles"),
        ({"type": "face", "angles": [1, 2, 1e9]}, "angle"),
        ({"type": "face", "source": 3}, "source"),
        ({"type": "face", "found": 1}, "found"),
        ({"type": "face", "pose": {"mouth_xyz": 1}}, "mouth_xyz"),
        ({"type": "pose", "pose": {"mouth_aaa": 2}}, "mouth_aaa"),
        ({"type": "pose", "pose": {"mouth_aaa": "1"}}, "mouth_aaa"),
        ({"type": "pose", "pose": {}, "seconds": -1}, "seconds"),
        ({"type": "pose", "pose": {}, "seconds": True}, "seconds"),
        ({"type": "expression", "name": "hapy"}, "happy"),
        ({"type": "expression", "name": 3}, "name"),
        ({"type": "expression", "name": "happy", "strength": 2}, "strength"),
        ({"type": "look", "x": 2, "y": 0}, "x"),
        ({"type": "look", "x": 1}, "y"),
        ({"type": "speech", "pose": {"mouth_aaa": -1}}, "mouth_aaa"),
        ({"type": "say"}, "say"),
        ({"type": "say", "id": "x", "track": []}, "track"),
        ({"type": "say", "id": "x", "track": {"fps": 30, "names": ["x"], "values": [[1]]}}, "names"),
        ({"type": "say", "id": "x", "track": {"fps": 30, "names": ["mouth_aaa"], "values": [[1], [1, 2]]}}, "values"),
        ({"type": "say", "id": "x", "track": {"fps": 0, "names": ["mouth_aaa"], "values": [[1]]}}, "fps"),
        ({"type": "say", "id": "x", "track": {"fps": 9, "names": [], "values": [[]]}, "audio": "//evil"}, "audio"),
        ({"type": "say", "timings": 3}, "say"),
        ({"type": "say", "timings": "no timing"}, "timings"),
        (b"no sound", "sound"),
    ],
)
def test_wrong_messages_are_answered_and_not_relayed(live: Live, message: object, wrong: str) -> None:
    async def test(app: Application) -> None:
        page, other = await app.connect("main"), await app.connect("main")
        await (page.send_bytes(message) if isinstance(message, bytes) else page.send_str(
            message if isinstance(message, str) else json.dumps(message)))  # fmt: skip
        answer = await received(page, "error")
        assert wrong in answer["error"]
        await page.send_json({"type": "expression", "name": None})
        seen = await other.receive_json(timeout=5)
        while seen["type"] == "state":
            seen = await other.receive_json(timeout=5)
        assert seen == {"type": "expression", "name": None, "seconds": None, "strength": 1.0}
        await page.close()
        await other.close()

    live(test)


def test_messages_are_written_anew(live: Live) -> None:
    async def test(app: Application) -> None:
        page, other = await app.connect("main"), await app.connect("main")
        await page.send_json(
            {"type": "pose", "pose": {"eye_wink": 1, "head_x": -0.5}, "seconds": 2, "evil": "<script>"}
        )
        assert await received(other, "pose") == {
            "type": "pose", "pose": {"eye_wink_left": 1, "eye_wink_right": 1, "head_x": -0.5}, "seconds": 2
        }  # fmt: skip
        await page.send_json({"type": "expression", "name": "微笑み", "strength": 0.5})
        assert (await received(other, "expression"))["name"] == "smile"
        track = {"fps": 25, "names": ["mouth_aaa", "head_x"], "values": [[0.12345, -3], [1, 0]]}
        await page.send_json({"type": "say", "id": "mine", "track": track})
        assert await received(other, "say") == {"type": "say", "id": "mine", "audio": None, "track": {
            "fps": 25, "names": ["mouth_aaa", "head_x"], "values": [[0.123, -1], [1, 0]]}}  # fmt: skip
        for message in ({"type": "speech", "pose": {"mouth_aaa": 0.5}}, {"type": "look", "x": 0.5, "y": -1.0},
                        {"type": "look", "x": None, "y": None}, {"type": "calibrate"}):  # fmt: skip
            await page.send_json(message)
            assert await received(other, str(message["type"])) == message
        await other.send_json({"type": "expression", "name": None})
        assert (await page.receive_json(timeout=5))["type"] == "state"
        while (message := await page.receive_json(timeout=5))["type"] == "state":
            pass
        assert message["type"] == "expression"  # and nothing of its own
        await page.close()
        await other.close()

    live(test)


def test_more_messages_than_a_second_can_have_are_left_out(live: Live) -> None:
    async def test(app: Application) -> None:
        page = await app.connect("main")
        for _ in range(400):
            await page.send_json({"type": "expression", "name": None})
        assert "240 messages a second" in (await received(page, "error"))["error"]
        await page.close()

    live(test)


def test_sessions_and_connections_have_limits(live: Live) -> None:
    async def test(app: Application) -> None:
        pages = [await app.connect("main") for _ in range(16)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await app.connect("main")
        assert refused.value.status == 503
        pages += [await app.connect(f"s{number}") for number in range(15)]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await app.connect("one-more")
        for page in pages:
            await page.close()
        await asyncio.sleep(0.05)
        await (await app.connect("one-more")).close()

    live(test)


@pytest.mark.parametrize("name", ["a b", "x" * 65, "é"])
def test_names_of_sessions(live: Live, name: str) -> None:
    async def test(app: Application) -> None:
        assert (await app.post(f"{name}/pose", {"pose": {}}))[0] == 400

    live(test)


# --- the API for other programs ---------------------------------------------------------------------------------------


def test_other_programs_are_refused_until_they_are_switched_on(server: ComfyUI) -> None:
    async def test() -> None:
        async with aiohttp.ClientSession() as http, clients(server, "switch") as (page,):
            assert (await page.next("state"))["open"] is False
            program = Client(server, http, "switch", None)
            for path in ("pose", "expression", "say", "receive", "stop"):
                status, answer = await program.post(path, {})
                assert status == 403
                assert SETTING in answer["error"]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await program.connect()
            assert refused.value.status == 403

    run(test)


def test_other_programs_drive_a_page_once_they_are_switched_on(server: ComfyUI, programs_allowed: None) -> None:
    async def test() -> None:
        async with clients(server, "open", 2) as (page, obs), clients(server, "open", origin=None) as (program,):
            assert (await page.next("state"))["open"] is True
            assert (await page.next("state", lambda state: state["pages"] == 2))["type"] == "state"
            assert await program.post("pose", {"pose": {"mouth_aaa": 1}, "seconds": 0.5}) == (200, {"pages": 2})
            for one in (page, obs, program):
                assert (await one.next("pose"))["pose"] == {"mouth_aaa": 1}
            assert await program.post("expression", {"name": "happy"}) == (200, {"pages": 2})
            assert (await obs.next("expression"))["name"] == "happy"
            await program.send({"type": "pose", "pose": {}})
            assert (await page.next("pose"))["pose"] == {}

    run(test)


def test_a_program_is_cut_off_when_it_is_switched_off(live: Live) -> None:
    async def test(app: Application) -> None:
        app.allowed = True
        program = await app.connect("main", origin=None)
        app.allowed = False
        await asyncio.sleep(1.1)
        await program.send_json({"type": "pose", "pose": {}})
        async for _ in program:
            pass
        assert program.close_code == 1008

    live(test)


@pytest.mark.parametrize(
    ("headers", "off", "on"),
    [
        ({"Origin": "own"}, 200, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200, 200),
        ({}, 403, 200),
        ({"Sec-Fetch-Site": "none"}, 403, 200),
        ({"Origin": "http://localhost:8000"}, 403, 200),
        ({"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-site"}, 403, 200),
        ({"Origin": "http://[::1]:8000", "Sec-Fetch-Site": "cross-site"}, 403, 200),
        ({"Origin": "https://example.com"}, 403, 403),
        ({"Origin": "http://localhost.example.com"}, 403, 403),
        ({"Origin": "null"}, 403, 403),
        ({"Origin": "http://["}, 403, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403, 403),
    ],
)
def test_whose_requests_are_taken(live: Live, headers: dict[str, str], off: int, on: int) -> None:
    async def test(app: Application) -> None:
        sent = {name: app.origin if value == "own" else value for name, value in headers.items()}
        for app.allowed, wanted in ((False, off), (True, on)):
            status, answer = await app.post("main/pose", {"pose": {}}, headers=sent)
            assert status == wanted
            if off != on and wanted == 403:
                assert SETTING in answer["error"]

    live(test)


def test_say_with_a_sound(server: ComfyUI) -> None:
    async def test() -> None:
        async with clients(server, "say", 2) as (page, other):
            sound = tone(0.5)
            form = aiohttp.FormData({"text": "Hello"})
            form.add_field("audio", sound, filename="hello.wav", content_type="audio/wav")
            for how in ({"data": sound, "headers": {"Content-Type": "audio/wav"}}, {"data": form}):
                status, answer = await page.post("say", **how)
                assert (status, answer["pages"], answer["seconds"], answer["notes"]) == (200, 2, 0.5, [])
                message = await other.next("say")
                check_track(message["track"], 15)
                assert message["id"] == answer["id"]
                async with page.http.get(server.address + message["audio"]) as got:
                    assert (await got.read(), got.content_type) == (sound, "audio/wav")
                    assert got.headers["X-Content-Type-Options"] == "nosniff"
                async with page.http.get(server.address + message["audio"], headers={"Range": "bytes=0-3"}) as got:
                    assert (got.status, await got.read()) == (206, b"RIFF")
            assert message["text"] == "Hello"
            await page.send(sound)
            check_track((await page.next("say", lambda say: say["id"] not in (None, answer["id"])))["track"], 15)
            assert (await page.post("say", {"id": None}))[0] == 200
            assert await other.next("say", lambda say: say["id"] is None) == {"type": "say", "id": None}

    run(test)


def check_track(track: Message, frames: int) -> None:
    assert track["fps"] == 30
    assert len(track["values"]) == frames
    assert set(track["names"]) <= set(NAMES)
    assert any(name.startswith("mouth_") for name in track["names"])
    assert np.array(track["values"]).max() > 0.3


def test_say_with_timings(server: ComfyUI) -> None:
    async def test() -> None:
        async with clients(server, "timings", 2) as (page, other):
            status, answer = await page.post("say", {"timings": "0 sil\n0.2 a\n0.6 ☃\n0.8 sil", "text": "ah"})
            assert status == 200
            assert "☃" in str(answer["notes"])
            message = await other.next("say")
            assert (message["audio"], message["text"]) == (None, "ah")
            mouth = np.array(message["track"]["values"])[:, message["track"]["names"].index("mouth_aaa")]
            assert mouth[9:16].min() > 0.5
            assert mouth[0] == 0
            form = aiohttp.FormData({"timings": "0 o\n0.3 sil"})
            form.add_field("audio", tone(2.0), filename="x.wav")
            assert (await page.post("say", data=form))[1]["seconds"] == 2.0
            await other.send({"type": "say", "timings": "0 a\n1 sil"})
            assert (await page.next("say", lambda say: not say.get("text") and not say["audio"]))["track"]["fps"] == 30

    run(test)


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"", "audio/wav", 400),
        (b"RIFF....WAVEnonsense", "audio/wav", 422),
        (b"#EXTM3U\nfile:///etc/passwd", "audio/mpeg", 422),
        (b"ffconcat version 1.0\nfile /etc/passwd", "application/octet-stream", 422),
        (tone(0.01)[:44], "audio/wav", 422),
        (b"x", "text/plain", 415),
        (b"{}", "application/json", 400),
        (b'{"timings": ["x"]}', "application/json", 400),
        (b'{"timings": "0.0 a\\n999.5 sil"}', "application/json", 422),
        (b"x", "multipart/form-data; boundary=x", 400),
        (b"--x\r\nContent-Disposition: form-data; name=evil\r\n\r\n1\r\n--x--", "multipart/form-data; boundary=x", 400),
        (b"--x\r\nContent-Disposition: form-data; name=text\r\n\r\n1\r\n--x--", "multipart/form-data; boundary=x", 400),
        (bytes(33 * 2**20), "audio/wav", 413),
    ],
)
def test_what_cannot_be_said_is_told(live: Live, content: bytes, media_type: str, status: int) -> None:
    async def test(app: Application) -> None:
        headers = {"Content-Type": media_type, "Origin": app.origin}
        async with app.http.post(f"{app.origin}/tha4/live/main/say", data=content, headers=headers) as answer:
            error = (await answer.json())["error"]
        assert (answer.status, bool(error)) == (status, True)
        assert ("is none of" in error) == content.startswith((b"#EXT", b"ffconcat"))  # ffmpeg is not asked

    live(test)


def test_sounds_are_kept_for_one_session_and_not_for_ever(live: Live) -> None:
    async def test(app: Application) -> None:
        page, first = await app.connect("main"), ""
        for _ in range(33):
            status, _ = await app.post(
                "main/say", data=tone(0.1), headers={"Content-Type": "audio/wav", "Origin": app.origin}
            )
            assert status == 200
            first = first or (await received(page, "say"))["audio"]
        for path in (first, first.replace("main", "other"), "/tha4/live/main/audio/nothing"):
            async with app.http.get(app.origin + path) as answer:
                assert answer.status == 404
        await page.close()

    live(test)


# --- the examples of docs/live_api.md ---------------------------------------------------------------------------------


def example(language: str, server: ComfyUI) -> str:
    """The example in a language, for the server of the tests."""
    page = (PACK / "docs" / "live_api.md").read_text(encoding="utf-8")
    found = re.search(rf"```{language}\n(.*?)```", page, re.S)
    assert found
    return found[1].replace("http://127.0.0.1:8188/tha4/live/main", f"{server.address}/tha4/live/example")


@pytest.mark.parametrize("language", ["js", "python"])
def test_the_examples_work(server: ComfyUI, programs_allowed: None, tmp_path: Path, language: str) -> None:
    sound = tmp_path / "sound.wav"
    sound.write_bytes(tone(0.2))
    if language == "js":
        command = [shutil.which("node") or "", "--input-type=module", "-e"]
        blob = f"new Blob([fs.readFileSync({json.dumps(str(sound))})])"
        call = f"import fs from 'node:fs'; await reply('Hi', 'happy', {blob});"
        if not command[0]:
            pytest.skip("NODE IS NOT INSTALLED: the example in JavaScript is not tried")
    else:
        command = [sys.executable, "-c"]
        call = f"reply('Hi', 'happy', open({str(sound)!r}, 'rb').read())"

    async def test() -> None:
        async with clients(server, "example") as (page,):
            text = f"{example(language, server)}\n{call}"
            process = await asyncio.create_subprocess_exec(*command, text, stderr=asyncio.subprocess.PIPE)
            said = await page.next("say")
            assert (said["text"], said["audio"] is None) == ("Hi", False)
            assert await page.next("expression") == {
                "type": "expression",
                "name": "happy",
                "seconds": 0.2,
                "strength": 1,
            }
            assert (await process.communicate(), process.returncode) == ((None, b""), 0)

    run(test)
