"""The exported page as bytes. What it does in a browser is in tests/browser/test_export.py."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from html import unescape

import pytest
import torch

import tha4_core as tha4
from tests.conftest import REPOSITORY
from tha4_core.demo import DEMO_STUDENT
from tha4_core.errors import PageError, PictureError
from tha4_core.export import PageOptions, to_html

HOSTILE = '</script><script>window.hacked = 1</script><img src=x onerror="hacked = 1">{{ data }}--><!--'

MEDIAPIPE = {"bundle": b"export class FaceLandmarker {}", "loader": b"</script>", "wasm": b"\0asm", "model": b"model"}
"""Not MediaPipe: what the page's files are is no matter here."""


@pytest.fixture(scope="module")
def student() -> tha4.Student:
    return tha4.Student.load(DEMO_STUDENT)


@pytest.fixture(scope="module")
def page(student: tha4.Student) -> str:
    return to_html(student).decode()


@pytest.fixture(scope="module")
def with_webcam(student: tha4.Student) -> str:
    return to_html(student, PageOptions(webcam=MEDIAPIPE)).decode()


def data(page: str) -> dict[str, object]:
    """What the page's script reads."""
    found = re.search(r'id="tha4-data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def test_equal_inputs_give_equal_bytes_of_less_than_3_mb(student: tha4.Student, page: str) -> None:
    assert to_html(tha4.Student.load(DEMO_STUDENT), PageOptions()).decode() == page
    assert len(page) < 3_000_000
    assert to_html(student, PageOptions(title="Other")).decode() != page


def test_it_names_no_address_to_load_from(page: str) -> None:
    attributes = re.findall(r'\b(?:src|href|content)="([^"]*)"', page)
    assert [text for text in attributes if "://" in text] == []
    assert "connect-src" not in page
    assert "default-src 'none'" in page


def test_credits_and_licences_are_in_it(student: tha4.Student) -> None:
    student = tha4.Student(student.character, student.metadata | {"author": "Ann", "character_licence": "CC BY 4.0"})
    page = to_html(student).decode()
    head = page.partition("<body>")[0]
    for key, text in {"licence": "CC0-1.0", "author": "Ann", "character_licence": "CC BY 4.0", "name": "demo"}.items():
        assert f'<meta name="{key}" content="{text}">' in head
        assert f"<dd>{text}</dd>" in page
    assert (REPOSITORY / "LICENSE").read_text().strip() in head


def test_a_student_that_names_no_licence_says_so(student: tha4.Student) -> None:
    assert "<dt>Licence</dt><dd>Not stated" in to_html(tha4.Student(student.character)).decode()


def test_hostile_texts_stay_texts(student: tha4.Student) -> None:
    character = replace(student.character, name=HOSTILE)
    hostile = tha4.Student(character, {"licence": HOSTILE, "made_by": "\ud800" + "x" * 100_000})
    page = to_html(hostile, PageOptions(title=HOSTILE, texts={"ja": {"Follow the pointer": HOSTILE}})).decode()
    outside = re.sub(r"<script type=\"module\">.*?</script>", "", page, flags=re.S)
    assert "<img src=x" not in page
    assert outside.count("<script") == 2
    assert outside.count("<!--") == 1
    assert HOSTILE in unescape(page)
    assert "x" * 2001 not in page
    assert data(page)["texts"] == {"ja": {"Follow the pointer": HOSTILE}}


def test_options_are_checked_and_reach_the_page(student: tha4.Student) -> None:
    options = PageOptions("T", "Red", 256, idle=False, mouse=False, microphone=True)
    page = to_html(student, options).decode()
    assert data(page)["options"] == {
        "background": "color", "color": "#ff0000", "size": 256, "idle": 0, "mouse": False, "microphone": True,
    }  # fmt: skip
    assert "<title>T</title>" in page
    for size in (32, 100, 2048):
        with pytest.raises(PageError, match=f"size is {size}"):
            to_html(student, PageOptions(size=size))
    with pytest.raises(PictureError, match="no colour"):
        to_html(student, PageOptions(background="reddish"))


def test_a_larger_picture_is_in_it_only_where_frames_are_larger(student: tha4.Student, page: str) -> None:
    noise = torch.randint(0, 255, (1536, 1536, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    large = tha4.Student.from_files(
        replace(student._content(student.metadata), character=replace(student.character, source=noise)), DEMO_STUDENT
    )
    assert to_html(large).decode() == page
    assert len(to_html(large, PageOptions(size=544))) > len(page) + 500_000


def test_a_student_gives_the_same_bytes_each_time(student: tha4.Student) -> None:
    assert len({student.to_bytes() for _ in range(8)}) == 1


def policy(page: str) -> dict[str, list[str]]:
    """The rules of the page's policy by their names, without the hashes of script and style."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found
    words = [re.sub(r"'sha256-[^']+' ?", "", rule).split() for rule in found[1].split(";")]
    return {name: values for name, *values in words}


def test_a_page_with_a_webcam_holds_the_files_and_may_compile_one_of_them(page: str, with_webcam: str) -> None:
    for role, content in MEDIAPIPE.items():
        found = re.search(rf'<script type="text/plain" id="tha4-{role}">([^<]*)</script>', with_webcam)
        assert found
        assert zlib.decompress(base64.b64decode(found[1])) == content
    before, after = policy(page), policy(with_webcam)
    assert set(after.pop("script-src")) - set(before.pop("script-src")) == {"'wasm-unsafe-eval'"}
    assert after == before
    assert with_webcam.count('data-name="webcam"') == 1


def test_a_page_with_a_webcam_has_mediapipes_licence_and_credit(page: str, with_webcam: str) -> None:
    head, _, body = with_webcam.partition("<body>")
    for text in ("Apache License\n", "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION", "END OF TERMS"):
        assert text in head
        assert text not in page
    assert "<dt>Webcam</dt><dd>MediaPipe (@mediapipe/tasks-vision 0.10.35)" in body
    assert '<meta name="webcam" content="MediaPipe' in head


def test_a_page_without_a_webcam_has_nothing_of_it(page: str) -> None:
    words = re.sub(r"[A-Za-z0-9+/]{200,}", "", page)  # a student's base64 may hold any four letters
    for text in ("MediaPipe", "wasm", "webcam_worker", "Calibrate", 'data-name="webcam"', "tha4-model"):
        assert text not in words
