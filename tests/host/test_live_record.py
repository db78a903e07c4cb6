"""Recordings of the live page in a real ComfyUI, and the files that its webcam needs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from numpy.typing import NDArray
from yarl import URL

from tests.host.comfyui import ComfyUI
from tests.host.test_live import tone
from tha4_core import pose

Answer = tuple[int, dict[str, Any]]


def motion(frames: int = 90) -> NDArray[np.float32]:
    """Poses in the parameters' ranges, float32 `[frames, 45]`."""
    low, high = (np.array([getattr(p, end) for p in pose.PARAMETERS]) for end in ("minimum", "maximum"))
    return (low + (high - low) * np.random.default_rng(1).random((frames, pose.COUNT))).astype(np.float32)


def record(server: ComfyUI, fields: dict[str, bytes | str], origin: str = "", name: str = "main") -> Answer:
    """What the server answers to a form."""

    async def post() -> Answer:
        form = aiohttp.FormData(default_to_multipart=True)
        for key, value in fields.items():
            if isinstance(value, str):
                form.add_field(key, value)
            else:
                form.add_field(key, value, filename="blob")
        url, headers = f"{server.address}/tha4/live/{name}/record", {"Origin": origin or server.address}
        async with aiohttp.ClientSession() as http, http.post(url, data=form, headers=headers) as answer:
            return answer.status, await answer.json() if answer.content_type == "application/json" else {}

    return asyncio.run(post())


def files(server: ComfyUI) -> set[str]:
    return {path.name for path in (server.base / "input").iterdir()}


def choices(server: ComfyUI, node: str, name: str) -> list[str]:
    inputs = server.get(f"/object_info/{node}")[node]["input"]["required"][name]
    return list(inputs[0] if isinstance(inputs[0], list) else inputs[1]["options"])


@pytest.mark.parametrize("fps", ["30", "23.976"])
def test_load_poses_gives_back_what_was_recorded(server: ComfyUI, call: Callable[..., Any], fps: str) -> None:
    wanted = motion()
    status, answer = record(server, {"fps": fps, "poses": wanted.astype("<f4").tobytes(), "sound": tone()})
    assert (status, answer["frames"], answer["seconds"]) == (200, 90, round(90 / float(fps), 3))
    assert answer["file"] in choices(server, "THA4LoadPoses", "file")
    assert answer["sound"] in choices(server, "LoadAudio", "audio")
    assert (server.base / "input" / answer["sound"]).read_bytes() == tone()
    (poses,) = call("THA4LoadPoses", file=answer["file"], fps=0.0, turn=1.0)
    assert np.array_equal(poses.values.numpy(), wanted)
    assert poses.fps == float(fps)
    _, second = record(server, {"fps": fps, "poses": wanted.tobytes()})
    assert second["file"] != answer["file"]
    assert second["sound"] is None


def spoilt(value: float) -> bytes:
    values = motion(3)
    values[1, 30] = value
    return values.tobytes()


@pytest.mark.parametrize(
    ("fields", "status", "wrong"),
    [
        ({}, 422, "fps"),
        ({"fps": "30"}, 400, "poses"),
        ({"fps": "30", "poses": b""}, 400, "poses"),
        ({"fps": "30", "poses": bytes(181)}, 400, "poses"),
        ({"fps": "30", "poses": spoilt(float("nan"))}, 422, "finite"),
        ({"fps": "30", "poses": spoilt(float("inf"))}, 422, "finite"),
        ({"fps": "30", "poses": spoilt(2)}, 422, "range"),
        ({"fps": "nan", "poses": bytes(180)}, 422, "fps"),
        ({"fps": "0", "poses": bytes(180)}, 400, "fps"),
        ({"fps": "1e9", "poses": bytes(180)}, 400, "fps"),
        ({"fps": "9" * 40, "poses": bytes(180)}, 413, "fps"),
        ({"fps": "1", "poses": bytes(180 * 601)}, 400, "600 seconds"),
        ({"fps": "30", "poses": bytes(180), "sound": b"MZ nothing to hear"}, 422, "WAV"),
        ({"fps": "30", "poses": bytes(180), "sound": b"RIFF\0\0\0\0WAVEjunk" + bytes(99)}, 422, "sound"),
        ({"fps": "30", "poses": bytes(180), "sound": b"\x1aE\xdf\xa3" + bytes(5000)}, 422, "sound"),
        ({"fps": "30", "poses": bytes(180), "name": "../../x.npz"}, 400, "once"),
    ],
)
def test_a_wrong_recording_is_refused_and_leaves_no_file(
    server: ComfyUI, fields: dict[str, bytes | str], status: int, wrong: str
) -> None:
    before = files(server)
    answered, answer = record(server, fields)
    assert answered == status
    assert wrong in answer["error"]
    assert files(server) == before


def test_other_sites_and_other_bodies_are_refused(server: ComfyUI) -> None:
    before, good = files(server), {"fps": "30", "poses": bytes(180)}
    assert record(server, good, origin="https://example.org")[0] == 403
    assert record(server, good, name="a.b")[0] == 400
    with pytest.raises(RuntimeError, match=r"Other programs|multipart"):
        server.post("/tha4/live/main/record", {"fps": 30})
    assert files(server) == before


@pytest.fixture
def mediapipe(server: ComfyUI) -> Iterator[Path]:
    """The folder of the webcam's files, with a stand-in for two of them, and with others."""
    folder = server.base / "models" / "tha4" / "mediapipe"
    (folder / "wasm").mkdir(parents=True)
    for name in ("vision_bundle.mjs", "wasm/vision_wasm_module_internal.wasm", "wasm/other.js", "secret.txt"):
        (folder / name).write_text(name)
    yield folder
    shutil.rmtree(folder)


def fetch(server: ComfyUI, path: str) -> tuple[int, str, str, str]:
    """Status, media type, policy and content of an answer; the path goes out as it is."""

    async def get() -> tuple[int, str, str, str]:
        url = URL(f"{server.address}/tha4/mediapipe{path}", encoded=True)
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            policy = answer.headers.get("Content-Security-Policy", "")
            return answer.status, answer.content_type, policy, await answer.text()

    return asyncio.run(get())


def test_the_webcams_files_come_from_their_folder_with_a_policy(server: ComfyUI, mediapipe: Path) -> None:
    present = server.get("/tha4/mediapipe")["files"]
    assert [name for name, is_there in present.items() if is_there] == [
        "vision_bundle.mjs",
        "wasm/vision_wasm_module_internal.wasm",
    ]
    for name, media_type in (
        ("vision_bundle.mjs", "text/javascript"),
        ("wasm/vision_wasm_module_internal.wasm", "application/wasm"),
    ):
        status, found, policy, content = fetch(server, f"/{name}")
        assert (status, found, content) == (200, media_type, name)
        assert "connect-src 'self'" in policy  # ComfyUI has a policy of its own with --disable-api-nodes
    status, media_type, policy, content = fetch(server, "/worker.js")
    assert (status, media_type) == (200, "text/javascript")
    assert "connect-src 'self'" in policy
    assert "FaceLandmarker.createFromOptions" in content


@pytest.mark.parametrize(
    "path",
    [
        *("/secret.txt", "/wasm/other.js", "/face_landmarker.task", "/wasm", "/wasm/"),
        *("/..%2fstudents", "/wasm/..%2fsecret.txt", "/%2e%2e/%2e%2e/x", "//etc/passwd", "/%2fetc%2fpasswd", "/a%00b"),
    ],
)
def test_no_other_file_can_be_had(server: ComfyUI, mediapipe: Path, path: str) -> None:
    status, _, _, content = fetch(server, path)
    assert status == 404
    assert "secret" not in content
