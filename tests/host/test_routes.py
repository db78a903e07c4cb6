"""The routes of the web page: the right frames, and hostile requests are refused and do no harm."""

from __future__ import annotations

import asyncio
import io
import json
import random
import socket
import time
import urllib.error
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import torch
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from PIL import Image

from tests.host.comfyui import ComfyUI
from tests.host.pack import pack_module
from tha4_core import Student
from tha4_core.demo import DEMO_STUDENT, DemoRig, demo_character
from tha4_core.picture import model_space as image
from tha4_core.pose import NAMES, make_pose
from tha4_core.weights import read_safetensors, write_safetensors

Body = dict[str, Any]
Response = tuple[int, str, bytes]
RIG = {"kind": "rig", "name": "demo"}
STUDENT = {"kind": "student", "name": "lambda_00"}
POSE = {"head_y": 0.5, "mouth_aaa": 0.75}
STILL = [0.0] * 45
GOOD: Body = {"character": RIG, "pose": STILL, "size": 64, "client": "test"}


def post(
    server: ComfyUI, *bodies: Any, together: bool = False, headers: dict[str, str] | None = None
) -> list[Response]:
    """POST to the frame route: one after another, or all at once."""
    return asyncio.run(_post(server.address, bodies, together, {"Content-Type": "application/json", **(headers or {})}))


async def _post(address: str, bodies: tuple[Any, ...], together: bool, headers: dict[str, str]) -> list[Response]:
    async with aiohttp.ClientSession(headers=headers) as session:

        async def one(body: Any) -> Response:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            async with session.post(f"{address}/tha4/frame", data=data) as answer:
                return answer.status, answer.content_type, await answer.read()

        if together:
            return list(await asyncio.gather(*map(one, bodies)))
        return [await one(body) for body in bodies]


def picture(response: Response) -> np.ndarray:
    status, kind, body = response
    assert (status, kind) == (200, "image/webp"), body
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA")).astype(float)


def drawn(frames: Any) -> np.ndarray:
    return (image.to_srgb(frames)[0] * 255).round().numpy()


def worst(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference of anything that can be seen."""
    return float(max(np.abs(a[..., 3] - b[..., 3]).max(), np.abs((a - b)[..., :3] * a[..., 3:] / 255).max()))


def test_a_frame_of_the_demo_character(server: ComfyUI) -> None:
    body = GOOD | {"pose": POSE, "size": 512, "lossless": True}
    expected = drawn(DemoRig().render(demo_character(), make_pose(POSE)))
    assert worst(picture(post(server, body)[0]), expected) <= 1
    assert worst(picture(post(server, body | {"pose": make_pose(POSE)[0].tolist()})[0]), expected) <= 1


def test_a_frame_of_a_student_at_any_size(server: ComfyUI, lambda_00: Path) -> None:
    student = Student.load(lambda_00)
    for size in (96, 256):
        body = GOOD | {"character": STUDENT, "pose": POSE, "size": size, "lossless": True}
        assert worst(picture(post(server, body)[0]), drawn(student.render(make_pose(POSE), size=size))) <= 1


def test_a_frame_in_passing_is_smaller_and_about_the_same(server: ComfyUI) -> None:
    exact, light = post(server, GOOD | {"size": 256, "lossless": True}, GOOD | {"size": 256})
    assert len(light[2]) < len(exact[2]) / 2
    assert np.abs(picture(light)[..., 3] - picture(exact)[..., 3]).mean() < 1


def test_the_newest_request_of_a_client_wins(server: ComfyUI) -> None:
    body = GOOD | {"character": STUDENT, "size": 512, "client": "hasty"}
    answers = post(server, *[body | {"pose": {"head_y": i / 20}} for i in range(12)], together=True)
    statuses = Counter(status for status, _, _ in answers)
    assert statuses[200] + statuses[204] == 12
    assert statuses[204] >= 10
    both = post(server, *[body | {"client": str(i), "size": 64} for i in range(4)], together=True)
    assert [status for status, _, _ in both] == [200] * 4


def test_clients_may_not_pile_up(server: ComfyUI) -> None:
    answers = post(server, *[GOOD | {"client": str(i)} for i in range(40)], together=True)
    statuses = Counter(status for status, _, _ in answers)
    assert statuses[503] > 0
    assert statuses[200] >= 16
    assert statuses[200] + statuses[503] == 40


def test_a_student_that_was_replaced_is_read_anew(server: ComfyUI, base: Path, lambda_00: Path) -> None:
    path = base / "models" / "tha4" / "students" / "changing.safetensors"
    student = Student.load(lambda_00)
    student.save(path)
    body = GOOD | {"character": {"kind": "student", "name": "changing.safetensors"}, "lossless": True}
    before = picture(post(server, body)[0])
    student.character = demo_character()
    student.save(path)
    assert worst(before, picture(post(server, body)[0])) > 100
    path.write_bytes(b"no student")
    status, _, error = post(server, body)[0]
    assert status == 422
    assert "changing.safetensors" in json.loads(error)["error"]
    path.unlink()
    assert post(server, body)[0][0] == 404


def test_the_library(server: ComfyUI) -> None:
    library = server.get("/tha4/library")
    assert [parameter["name"] for parameter in library["parameters"]] == list(NAMES)
    head_y = library["parameters"][NAMES.index("head_y")]
    assert head_y == {
        "name": "head_y",
        "group": "head",
        "minimum": -1,
        "maximum": 1,
        "mirrored": "head_y",
        "sideways": True,
    }
    smile = next(one for one in library["expressions"] if one["name"] == "smile")
    assert smile["values"]["mouth_raised_corner_left"] == 1
    assert smile["labels"]["ja"] == "微笑み"
    assert RIG in library["characters"]
    assert STUDENT in library["characters"]


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"character": None}, 400, "character"),
        ({"character": {"kind": "teacher", "name": "demo"}}, 400, "kind"),
        ({"character": {"kind": "rig", "name": "other"}}, 404, "no rig named 'other'"),
        ({"character": {"kind": "student", "name": "../../../etc/passwd"}}, 404, "no student"),
        ({"character": {"kind": "student", "name": "x" * 301}}, 400, "300 characters"),
        ({"pose": [0.0] * 44}, 400, "45 numbers"),
        ({"pose": [2.0] + [0.0] * 44}, 400, "eyebrow_troubled_left = 2 is outside its range"),
        ({"pose": [True] + [0.0] * 44}, 400, "eyebrow_troubled_left must be a number"),
        ({"pose": {"fly": 1}}, 400, 'no pose parameter named "fly"'),
        ({"pose": {"head_y": "0.5"}}, 400, "must be a number"),
        ({"size": 100}, 400, "multiple of 32"),
        ({"size": 1024}, 400, "multiple of 32"),
        ({"size": 256.0}, 400, "multiple of 32"),
        ({"lossless": 1}, 400, "lossless"),
        ({"client": ""}, 400, "client"),
    ],
)
def test_a_wrong_field_is_reported(server: ComfyUI, changes: Body, status: int, says: str) -> None:
    found, kind, body = post(server, GOOD | changes)[0]
    assert (found, kind) == (status, "application/json")
    assert says in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"\xff\xfe\x00", 400),
        (b"[" * 16000, 400),
        (b'{"pose": ' + b"9" * 9000 + b"}", 400),
        (json.dumps(GOOD).replace("0.0", "NaN", 1).encode(), 400),
        (json.dumps(GOOD).replace("0.0", "1e999", 1).encode(), 400),
        (b" " * 20_000, 413),
    ],
)
def test_an_invalid_body_is_refused(server: ComfyUI, body: bytes, status: int) -> None:
    found, kind, answer = post(server, body)[0]
    assert (found, kind) == (status, "application/json")
    assert json.loads(answer)["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Content-Type": "text/plain"}, 415),
        ({}, 200),
    ],
)
def test_other_origins_are_refused(server: ComfyUI, headers: dict[str, str], status: int) -> None:
    assert post(server, GOOD, headers=headers)[0][0] == status


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensors, about: tensors.update({"character.picture": torch.zeros(9, dtype=torch.bfloat16)}),
        lambda tensors, about: about.update(format_version="9" * 5000),
        lambda tensors, about: tensors.pop("character.picture"),
        lambda tensors, about: tensors.update({"character.picture": torch.zeros(9, dtype=torch.uint8)}),
    ],
)
def test_a_broken_student_is_refused_without_telling_where_it_lies(
    server: ComfyUI, base: Path, spoil: Callable[[dict[str, torch.Tensor], dict[str, str]], object]
) -> None:
    path = base / "models" / "tha4" / "students" / "broken.safetensors"
    tensors, about = read_safetensors(DEMO_STUDENT)
    spoil(tensors, about)
    write_safetensors(path, tensors, about)
    try:
        body = GOOD | {"character": {"kind": "student", "name": path.name}}
        status, _, answer = post(server, body)[0]
        assert status == 422, answer
        assert "broken.safetensors" in json.loads(answer)["error"]
        assert str(base) not in json.loads(answer)["error"]
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.get(f"/tha4/student?name={path.name}")
        assert refused.value.code == 422
        assert str(base).encode() not in refused.value.read()
    finally:
        path.unlink()


def test_an_error_that_nobody_foresaw_is_a_line_in_the_log(
    call: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    request = pack_module("nodes.page.request")

    async def broken(_: web.Request) -> web.Response:
        raise ZeroDivisionError("in /srv/comfyui/x.py\nsecond line")

    answer = asyncio.run(request.with_json_errors(broken)(make_mocked_request("GET", "/tha4/library")))
    assert answer.status == 500
    assert json.loads(answer.body) == {"error": "The server failed at this (ZeroDivisionError)."}
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.getMessage() == "/tha4/library failed: ZeroDivisionError: in /srv/comfyui/x.py second line"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("/home/u v/x y.png: damaged", "x y.png: damaged"),
        ("C:\\Users\\me\\a.pt: refused", "a.pt: refused"),
        ("No such file: '/srv/x.png'", "No such file: 'x.png'"),
        ("models/tha4/students/x is not there", "models/tha4/students/x is not there"),
        ("see https://huggingface.co/a/b, 1 / 2 or 3/4", "see https://huggingface.co/a/b, 1 / 2 or 3/4"),
    ],
)
def test_messages_to_a_page_name_files_without_their_folders(
    call: Callable[..., Any], message: str, shown: str
) -> None:
    assert pack_module("nodes.page.request").without_folders(message) == shown


def test_ten_thousand_hostile_requests(server: ComfyUI, hostile: Callable[[str], Counter[str]]) -> None:
    """No 500, memory that stays where it was, and a server that answers as before."""
    dice = random.Random(1)
    post(server, *[GOOD | {"character": one} for one in (RIG, STUDENT)])
    first, slow = asyncio.run(_storm(server.address, dice, 1000))
    before = memory(server)
    statuses, more_slow = asyncio.run(_storm(server.address, dice, 9000))
    grown, count, all_of_them = memory(server) - before, hostile("requests"), first + statuses
    count["tried"] += all_of_them.total()
    count["accepted"] += sum(all_of_them[status] for status in (200, 204, "closed"))
    count["own error"] += sum(all_of_them[status] for status in REFUSED)
    count["other"] += count["tried"] - count["accepted"] - count["own error"]
    count["over 10 s"] += slow + more_slow
    count["over 500 MB more memory"] += grown > 500 * 2**20
    assert set(statuses) <= {200, 204, *REFUSED, "closed"}, statuses
    assert statuses[400] > 1000
    assert statuses[200] > 0
    assert grown < 64 * 2**20
    assert count["over 10 s"] == 0
    assert post(server, GOOD)[0][0] == 200


REFUSED = (400, 403, 404, 405, 408, 413, 415, 503)


async def _storm(address: str, dice: random.Random, count: int) -> tuple[Counter[int | str], int]:
    """What the requests were answered, and how many of them took over 10 seconds."""
    statuses: Counter[int | str] = Counter()
    slow = 0
    limit = asyncio.Semaphore(24)
    async with aiohttp.ClientSession() as session:

        async def one() -> None:
            nonlocal slow
            async with limit:
                start = time.monotonic()
                statuses[await _send(session, address, dice)] += 1
                slow += time.monotonic() - start > 10

        await asyncio.gather(*(one() for _ in range(count)))
    return statuses, slow


async def _send(session: aiohttp.ClientSession, address: str, dice: random.Random) -> int | str:
    if dice.random() < 0.1:
        return await _hang_up(address, dice)
    headers = {"Content-Type": dice.choice(["application/json"] * 12 + ["text/plain", "", "multipart/form-data"])}
    if dice.random() < 0.05:
        headers["Origin"] = dice.choice(["http://evil.example", "null", "x" * 2000])
    if dice.random() < 0.05:
        async with session.get(address + "/tha4/student", params=_query(dice), headers=headers) as answer:
            await answer.read()
            return answer.status
    method = "POST" if dice.random() < 0.97 else dice.choice(["GET", "PUT", "DELETE"])
    path = "/tha4/frame" if dice.random() < 0.95 else dice.choice(["/tha4/library", "/tha4/frame/../library"])
    async with session.request(method, address + path, data=_body(dice), headers=headers) as answer:
        await answer.read()
        return answer.status


async def _hang_up(address: str, dice: random.Random) -> str:
    """Send a part of a request, or all of it, and close."""
    host, port = address.removeprefix("http://").split(":")
    body = json.dumps(GOOD | {"client": str(dice.random())}).encode()
    head = f"POST /tha4/frame HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    request = head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    _, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
    writer.write(request[: dice.choice([10, len(request) - 20, len(request)])])
    await writer.drain()
    writer.transport.abort()
    return "closed"


def _query(dice: random.Random) -> dict[str, str]:
    """What a page may ask of the students."""
    names = [value for value in HOSTILE_VALUES if isinstance(value, str) and value != "\ud800"]
    return {dice.choice(["name", "name", "name", "other"]): dice.choice([*names, "lambda_00/../demo", "\u202e", "%00"])}


HOSTILE_VALUES: list[Any] = [
    *(None, True, -1, 0, 10**400, 1e308, 1e39, "", "demo", "\ud800", "x" * 5000, [], {}, [[]], [1], {"kind": "rig"}),
    *("../../../etc/passwd", "/etc/passwd", "..\\..\\x", "lambda_00/../lambda_00", "C:\\x", "\0", "lambda_00\0", "."),
    *([1e39] * 45, {"head_y": 1e39}, {"head_y": 10**400}),
    *([0] * 45, ["0"] * 45, [float("nan")] * 45, [float("inf")] * 45, [[0] * 45], [0] * 46, {"head_y": None}),
]


def _body(dice: random.Random) -> bytes:
    if dice.random() < 0.1:
        junk = [b"", b"{", b"null", b"[" * 15000, bytes(dice.randbytes(200)), b" " * 20_000, b'{"a":' * 3000]
        return dice.choice(junk)
    body: Body = {**GOOD, "client": dice.choice(["a", "b", "c"])}
    for _ in range(dice.choice([0, 1, 1, 1, 2, 3])):
        field = dice.choice([*body, "character.kind", "character.name", "more"])
        if field.startswith("character."):
            body["character"] = {**RIG, field.removeprefix("character."): dice.choice(HOSTILE_VALUES)}
        else:
            body[field] = dice.choice(HOSTILE_VALUES)
    if dice.random() > 0.02:  # most of what is right is left out: each is a frame to render
        body["size"] = body["size"] if body["size"] != 64 else dice.choice([63, 10**9, "64"])
    return json.dumps(body).encode()


def memory(server: ComfyUI) -> int:
    """Bytes that the server's process has in memory."""
    status = Path(f"/proc/{server.pid}/status")
    if not status.is_file():
        pytest.skip("There is no /proc here that tells a process's memory.")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024
