"""Export Puppet in a running ComfyUI: the file, what the node shows, and the route that shows the page."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from html import unescape
from http.client import HTTPMessage
from typing import Any

import pytest

from dev import MEDIAPIPE_FOLDER
from tests.host.comfyui import ComfyUI, Prompt
from tests.host.test_graphs import NO_HUB, node

DEFAULTS = {
    "filename_prefix": "pages/%date:yyyy%", "title": "", "background": "none", "background_color": "#22262e",
    "size": 512, "idle": True, "mouse": True, "microphone": False,
}  # fmt: skip


def export(**inputs: Any) -> Prompt:
    return {
        "1": node("THA4LoadStudent", student="demo", **NO_HUB),
        "2": node("THA4ExportPuppet", student=["1", 0], **DEFAULTS | inputs),
    }


def get(server: ComfyUI, **query: str) -> tuple[int, bytes, HTTPMessage]:
    url = f"{server.address}/tha4/puppet?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def test_a_page_is_saved_shown_and_served_in_a_sandbox(server: ComfyUI) -> None:
    run = server.queue(export(title="Mine & yours"))
    assert run.error == ""
    (saved,) = run.outputs("2")["tha4_puppet"]
    path = server.file(saved)
    assert path.parent == server.base / "output" / "pages"
    assert path.name.startswith("20")
    content = path.read_bytes()
    assert b"<title>Mine &amp; yours</title>" in content
    assert '"ポインターを見る"'.encode("unicode_escape").replace(b"\\U0000", b"\\u") in content
    (text,) = run.outputs("2")["text"]
    assert text.splitlines() == [str(path), f"{len(content) / 1e6:.2f} MB"]
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []
    status, body, headers = get(server, **saved)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert framed(body) == content.decode()


def framed(body: bytes) -> str:
    """The page in the sandbox of a response, which runs nothing outside of it."""
    before, _, rest = body.decode().partition('<iframe sandbox="allow-scripts" srcdoc="')
    page, _, after = rest.partition('"')
    assert "<script" not in before
    assert after == "></iframe>\n"
    return unescape(page)


def test_a_page_of_somebody_else_cannot_leave_the_sandbox(server: ComfyUI) -> None:
    hostile = """"></iframe><script>alert(1)</script><iframe srcdoc='&quot;">"""
    (server.base / "output" / "hostile.html").write_text(hostile)
    assert framed(get(server, filename="hostile.html")[1]) == hostile


def test_only_pages_of_the_output_folder_are_served(server: ComfyUI) -> None:
    (server.base / "output" / "secret.txt").write_text("secret")
    (server.base / "outside.html").write_text("secret")
    for query in (
        {"filename": "secret.txt"},
        {"filename": "outside.html", "subfolder": ".."},
        {"filename": "../outside.html"},
        {"filename": str(server.base / "outside.html")},
        {"filename": "missing.html"},
        {"filename": "a\0.html"},
        {"subfolder": "x"},
    ):
        status, body, _ = get(server, **query)
        assert status in (400, 404), query
        assert b"secret" not in body


def test_a_wrong_colour_writes_nothing(call: Callable[..., Any], server: ComfyUI) -> None:
    (student, _) = call("THA4LoadStudent", student="demo", **NO_HUB)
    changed = {"filename_prefix": "wrong/page", "background": "color", "background_color": "reddish"}
    with pytest.raises(ValueError, match="no colour"):
        call("THA4ExportPuppet", student=student, **DEFAULTS | changed)
    assert not list((server.base / "output").glob("wrong/*"))


def test_a_webcam_needs_mediapipes_files_and_says_which(server: ComfyUI) -> None:
    folder = server.base / "models" / "tha4" / "mediapipe"
    error = server.queue(export(webcam=True, filename_prefix="webcam/page")).error
    assert f"The webcam needs these files of MediaPipe in {folder}:\nvision_bundle.mjs" in error
    assert not list((server.base / "output").glob("webcam/*"))
    if not MEDIAPIPE_FOLDER.is_dir():
        pytest.skip("MEDIAPIPE'S FILES ARE MISSING: no page with a webcam is written (python3 dev.py test gets them)")
    shutil.copytree(MEDIAPIPE_FOLDER, folder)
    run = server.queue(export(webcam=True, filename_prefix="webcam/page"))
    shutil.rmtree(folder)
    content = server.file(run.outputs("2")["tha4_puppet"][0]).read_bytes()
    assert content.count(b'id="tha4-model"') == 1
    assert len(content) < 12_000_000
    assert run.outputs("2")["text"][0].endswith(f"\n{len(content) / 1e6:.2f} MB with MediaPipe for the webcam")
