"""MediaPipe's files for a page with a webcam: what is missing or another file is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import MEDIAPIPE_FILES, MEDIAPIPE_FOLDER
from tests.conftest import REPOSITORY
from tha4_core.errors import PageError
from tha4_core.export import read_mediapipe
from tha4_core.export.mediapipe import FILES, PACKAGE


@pytest.fixture
def files() -> Path:
    if not MEDIAPIPE_FOLDER.is_dir():
        pytest.skip("MEDIAPIPE'S FILES ARE MISSING: reading them is not tried (python3 dev.py test gets them from npm)")
    return MEDIAPIPE_FOLDER


def link(files: Path, folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(files / name)
    return folder


def test_they_are_those_that_the_tests_get() -> None:
    assert dict(FILES.values()) == MEDIAPIPE_FILES
    for document in ("docs/live.md", "web/js/live/camera.js"):
        text = (REPOSITORY / document).read_text(encoding="utf-8")
        assert FILES["model"].sha256 in text
        assert PACKAGE.split()[-1] in text


def test_each_comes_from_the_first_folder_that_has_it(files: Path, tmp_path: Path) -> None:
    first = link(files, tmp_path / "first", "vision_bundle.mjs", "face_landmarker.task")
    second = link(files, tmp_path / "second", *(name for name, _ in FILES.values()))
    (second / "face_landmarker.task").unlink()
    (second / "face_landmarker.task").write_bytes(b"another")
    contents = read_mediapipe([tmp_path / "none", first, second])
    assert contents == {role: (files / name).read_bytes() for role, (name, _) in FILES.items()}


def test_missing_files_are_named_with_where_they_belong_and_come_from(tmp_path: Path) -> None:
    (tmp_path / "vision_bundle.mjs").write_text("")
    with pytest.raises(PageError) as caught:
        read_mediapipe([tmp_path / "own", tmp_path])
    lines = str(caught.value).splitlines()
    assert lines[:4] == [
        f"The webcam needs these files of MediaPipe in {tmp_path / 'own'}:",
        "wasm/vision_wasm_module_internal.js",
        "wasm/vision_wasm_module_internal.wasm",
        "face_landmarker.task",
    ]
    assert "npm package @mediapipe/tasks-vision 0.10.35" in lines[4]
    assert FILES["model"].sha256 in lines[5]


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1", b"<!doctype html>"])
def test_another_file_of_that_name_is_refused(tmp_path: Path, content: bytes) -> None:
    for name, _ in FILES.values():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PageError, match=r"vision_bundle\.mjs: this is another file than the one of @mediapipe"):
        read_mediapipe([tmp_path])
