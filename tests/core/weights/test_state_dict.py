"""Reading files of tensors, and files that are saved in their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from tests.made_up_teacher import pt
from tha4_core.errors import WeightsError
from tha4_core.student.files import read_tensorflow_js
from tha4_core.student.model import Student
from tha4_core.weights import THA4_NETWORKS, find_any_teacher_files, read_state_dict

pytestmark = pytest.mark.usefixtures("windows_files")

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1843200\n"
PAGES = (b"<!DOCTYPE html><html><body>Sign in</body></html>", b"\xef\xbb\xbf\n  <html lang='en'>", b"<HTML>404</HTML>")
TENSORS = {"weight": torch.arange(6.0).reshape(2, 3)}


@pytest.mark.parametrize("name", ["a.safetensors", "A.SAFETENSORS", "a.pt", "A.PT"])
def test_the_suffix_says_the_format_in_any_case(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(save(TENSORS) if "safetensors" in name.lower() else pt(TENSORS))
    assert torch.equal(read_state_dict(path)["weight"], TENSORS["weight"])


@pytest.mark.parametrize("name", ["a.safetensors", "A.SAFETENSORS", "a.pt"])
def test_a_pointer_or_a_web_page_is_called_that(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(POINTER)
    with pytest.raises(WeightsError, match=f'{name}: this is a Git LFS pointer.*"git lfs pull"'):
        read_state_dict(path)
    for page in PAGES:
        path.write_bytes(page)
        with pytest.raises(WeightsError, match=f"{name}: this is a web page.*Download the file again"):
            read_state_dict(path)


def test_a_header_that_begins_like_a_page_is_no_page(tmp_path: Path) -> None:
    """A .safetensors file begins with the size of its header, of which the first byte can be that of "<"."""
    header = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(ord("<") + 256)
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
    assert (tmp_path / "a.safetensors").read_bytes()[:1] == b"<"
    assert read_state_dict(tmp_path / "a.safetensors")["weight"].item() == 0


def test_students_whose_files_are_pointers_or_pages(tmp_path: Path) -> None:
    ours = tmp_path / "mira.safetensors"
    ours.write_bytes(POINTER)
    with pytest.raises(WeightsError, match=r"mira.safetensors: this is a Git LFS pointer"):
        Student.load(ours)
    folder = tmp_path / "web"
    folder.mkdir()
    for name in ("character.png", "body_morpher.json"):
        (folder / name).write_bytes(b"")
    (folder / "face_morpher.json").write_bytes(POINTER)
    with pytest.raises(WeightsError, match=r"face_morpher.json: this is a Git LFS pointer"):
        read_tensorflow_js(folder / "face_morpher.json")
    (folder / "face_morpher.json").write_text('{"weightsManifest": [{"weights": [], "paths": ["face.bin"]}]}')
    (folder / "face.bin").write_bytes(PAGES[0])
    with pytest.raises(WeightsError, match=r"face.bin: this is a web page"):
        read_tensorflow_js(folder / "face_morpher.json")


def test_a_teacher_with_upper_case_suffixes_is_found(tmp_path: Path) -> None:
    for i, network in enumerate(THA4_NETWORKS):
        path = tmp_path / f"{network}.{'SAFETENSORS' if i % 2 else 'Pt'}"
        path.write_bytes(save(TENSORS) if i % 2 else pt(TENSORS))
    files = find_any_teacher_files(tmp_path)
    assert set(files) == set(THA4_NETWORKS)
    assert all(read_state_dict(path) for path in files.values())


def test_what_archivers_leave_is_no_teacher(tmp_path: Path) -> None:
    for folder in ("__MACOSX", ".trash"):
        (tmp_path / folder).mkdir()
        for network in THA4_NETWORKS:
            (tmp_path / folder / f"{network}.pt").write_bytes(pt(TENSORS))
    with pytest.raises(WeightsError, match="not found"):
        find_any_teacher_files(tmp_path)
