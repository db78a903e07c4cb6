"""Finding the files of a teacher."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from tests.made_up_teacher import NETWORKS, NEW, OLD, pt, tensors, whole_set
from tha4_core.errors import MissingWeightsError, WeightsError
from tha4_core.weights import THA4_TEACHER, find_any_teacher_files, find_teacher_files, write_safetensors
from tha4_core.weights.teacher_files import match_files

pytestmark = pytest.mark.usefixtures("windows_files")


def put(folder: Path, seed: int, suffix: str = "pt", networks: tuple[str, ...] = NETWORKS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for network in networks:
        path = folder / f"{network}.{suffix}"
        if suffix == "pt":
            path.write_bytes(pt(tensors(seed, network)))
        else:
            write_safetensors(path, tensors(seed, network), {})
    return folder


def test_the_first_folder_that_has_them_all(tmp_path: Path) -> None:
    put(tmp_path / "some", OLD, networks=NETWORKS[:4])
    put(tmp_path / "all", NEW)
    assert whole_set(tmp_path / "all") == NEW
    found = find_teacher_files([tmp_path / "none", tmp_path / "some", tmp_path / "all"])
    assert found == {network: tmp_path / "all" / f"{network}.pt" for network in NETWORKS}


def test_an_unpacked_archive_inside_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "data" / "tha4", NEW)
    put(tmp_path / ".hidden", OLD)
    assert whole_set(tmp_path) == NEW


def test_suffixes_are_mixed_only_where_no_set_is_whole(tmp_path: Path) -> None:
    put(tmp_path, OLD, "pt")
    put(tmp_path, NEW, "safetensors", NETWORKS[:4])
    assert whole_set(tmp_path) == OLD
    put(tmp_path, NEW, "safetensors", NETWORKS[4:])
    assert whole_set(tmp_path) == NEW
    (tmp_path / "upscaler.safetensors").unlink()
    put(tmp_path, NEW, "pt")
    (tmp_path / "face_morpher.pt").unlink()
    assert whole_set(tmp_path) == NEW


def test_missing_files_are_named_with_folder_link_size_and_licence(tmp_path: Path) -> None:
    put(tmp_path, NEW, networks=("face_morpher", "body_morpher", "upscaler"))
    with pytest.raises(MissingWeightsError, match="eyebrow_decomposer, eyebrow_morphing_combiner not found") as caught:
        find_teacher_files([tmp_path, tmp_path / "other"])
    for needed in (str(tmp_path), THA4_TEACHER.link, "600 MB", "CC BY-NC 4.0", "non-commercial", "auto_download"):
        assert needed in str(caught.value)


def test_paths_of_a_repository_are_matched() -> None:
    def names(*paths: str) -> list[str]:
        return sorted(str(path) for path in match_files(map(PurePosixPath, paths), ("a", "b")).values())

    assert names("x/a.pt", "x/b.pt", "y/a.pt") == ["x/a.pt", "x/b.pt"]
    assert names("x/y/a.pt", "x/y/b.pt", "z/a.pt", "z/b.pt") == ["z/a.pt", "z/b.pt"]
    assert names("x/a.pt", "x/b.safetensors") == ["x/a.pt", "x/b.safetensors"]
    assert names("x/a.pt", "x/a.safetensors", "x/b.safetensors") == ["x/a.safetensors", "x/b.safetensors"]
    assert names("x/a.pt", "y/b.pt") == []
    assert names("a.pt", "b.bin") == []


def test_the_shallowest_of_several_teachers(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b", OLD)
    put(tmp_path / "c", NEW)
    assert {path.parent for path in find_any_teacher_files(tmp_path).values()} == {tmp_path / "c"}
    put(tmp_path / "d", OLD)
    with pytest.raises(WeightsError, match=r"several teachers in it\. Name the folder of one: .*/c, .*/d\."):
        find_any_teacher_files(tmp_path)
    put(tmp_path, OLD)
    assert {path.parent for path in find_any_teacher_files(tmp_path).values()} == {tmp_path}
