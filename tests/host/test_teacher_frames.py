"""Frames for the page of the graph's own character: by the teacher that a run has opened, and never beside a run."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.host.comfyui import ComfyUI, Prompt
from tests.host.pack import pack_module
from tests.host.test_graphs import NO_HUB, node, pose_vector, saved, sequence
from tests.host.test_page_routes import post
from tests.recipe import recipe_tha3

PLACING = {"fit": "auto", "scale": 1.0, "offset_x": 6.0, "offset_y": 0.0}
TEACHER = {"teacher": "THA3 separable", "precision": "auto"}


@pytest.fixture(scope="module", autouse=True)
def weights(base: Path) -> Iterator[Path]:
    """The smallest synthetic teacher as five .pt files where Load Teacher looks for it."""
    folder = base / "models" / "tha4" / "teacher" / "tha3_separable_float"
    folder.mkdir(parents=True)
    for name, state_dict in recipe_tha3("separable").items():
        torch.save(state_dict, folder / f"{name}.pt")
    yield folder
    for file in folder.glob("*.pt"):
        file.unlink()


def graph(poses: dict[str, Any]) -> Prompt:
    settings = {"background": "none", "background_color": "#808080", "rgba": True, "debug": False}
    loading = {**TEACHER, "auto_download": False, "repo_id": "", "revision": "main"}
    return {
        "1": node("LoadImage", image="lambda_00.png"),
        "2": node("THA4LoadCharacter", file="from the image input", image=["1", 0], mask=["1", 1], **PLACING, **NO_HUB),
        "3": node("THA4LoadTeacher", **loading),
        "4": poses,
        "5": node("THA4TeacherRender", character=["2", 0], teacher=["3", 0], poses=["4", 0], **settings),
        "6": node("PreviewImage", images=["5", 0]),
    }


def frame(server: ComfyUI, **changes: Any) -> tuple[int, bytes]:
    """What the page gets that asks for a frame of the graph's character by its teacher."""
    body = {"source": {"kind": "input", "name": "lambda_00.png", "opaque": False}, **PLACING, **TEACHER}
    return post(server, "teacher_frame", body | {"pose": {"head_y": 0.3}, "size": 512, "lossless": True} | changes)


def reason(answer: tuple[int, bytes]) -> str:
    """Why there is no frame."""
    assert answer[0] == 200
    return str(json.loads(answer[1])["no_frame"])


def pixels(picture: bytes | Path) -> np.ndarray:
    """A picture over black, and its alpha, `[H, W, 4]`."""
    opened = Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture)
    numbers = np.asarray(opened.convert("RGBA")).astype(float)
    numbers[..., :3] *= numbers[..., 3:] / 255
    return numbers


def test_no_teacher_is_opened_for_the_page(server: ComfyUI) -> None:
    assert reason(frame(server)) == "not open"


def overwrite(file: Path, content: bytes) -> None:
    """Replace a file's content such that it looks untouched: its time and its size stay."""
    time = file.stat().st_mtime_ns
    file.write_bytes(content)
    os.utime(file, ns=(time, time))


@pytest.fixture
def unreadable(weights: Path) -> Iterator[Callable[[], None]]:
    """A function that spoils all files of the teacher until the end of the test."""
    contents: dict[Path, bytes] = {}

    def spoil() -> None:
        files = [file for pattern in ("*.pt", "*.safetensors") for file in weights.rglob(pattern)]
        assert len(files) >= 5
        contents.update((file, file.read_bytes()) for file in files)
        for file, content in contents.items():
            overwrite(file, bytes(len(content)))

    yield spoil
    for file, content in contents.items():
        overwrite(file, content)


def test_the_page_gets_the_graphs_own_frames(server: ComfyUI, unreadable: Callable[[], None]) -> None:
    run = server.queue(graph(pose_vector(head_y=0.3)))
    assert run.error == ""
    unreadable()  # nothing is loaded any more
    status, content = frame(server)
    assert status == 200, content
    assert np.abs(pixels(content) - pixels(saved(server, run, "6")[0])).max() <= 2
    status, small = frame(server, pose={"head_y": -0.3}, size=256, lossless=False)
    assert pixels(small).shape == (256, 256, 4)
    assert reason(frame(server, precision="bfloat16")) == "not open"
    assert frame(server, source={"kind": "input", "name": "../x.png"})[0] == 422


@pytest.mark.parametrize(
    "wrong", [{"teacher": 4}, {"fit": "x"}, {"size": 5}, {"pose": None}, {"source": {}}, {"scale": "1"}]
)
def test_what_is_no_request_is_refused(server: ComfyUI, wrong: dict[str, Any]) -> None:
    assert frame(server, **wrong)[0] == 400


def test_there_are_no_frames_while_a_graph_runs(server: ComfyUI) -> None:
    asked: list[str] = []

    def ask(event: dict[str, Any]) -> None:
        if event["type"] == "progress" and not asked:
            asked.append(reason(frame(server, pose={"head_y": 0.6})))

    def until_a_graph_runs() -> str:
        for step in range(1000):
            status, content = frame(server, pose={"head_x": step / 1000}, client="other")
            if content[:1] == b"{":
                return reason((status, content))
        return ""

    with ThreadPoolExecutor() as pool:
        other = pool.submit(until_a_graph_runs)
        run = server.queue(graph(sequence("0 head_y=0.9 and mouth_ooo=0.4 in 0.2", fps=10)), ask)
    assert run.error == ""
    assert other.result() == "running"
    assert asked == ["running"]
    assert pixels(frame(server)[1]).shape == (512, 512, 4)


def test_a_check_stops_the_layers_of_its_own_thread_alone(call: Callable[..., Any]) -> None:
    def stop() -> None:
        raise InterruptedError

    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    with ThreadPoolExecutor() as pool, pack_module("nodes.host").interruptible(model, stop):
        assert pool.submit(model, torch.zeros(1, 2)).result().shape == (1, 2)
        with pytest.raises(InterruptedError):
            model(torch.zeros(1, 2))
    assert model(torch.zeros(1, 2)).shape == (1, 2)
