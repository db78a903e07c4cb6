"""Finding, converting and packing the files of a teacher."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
import torch
import yaml

from tests.made_up_teacher import HASTY, NETWORKS, NEW, OLD, ROOT, SHAPES, holds, pt, tensors, whole_set
from tests.servers import Server, add_repository
from tha4_core.errors import MissingWeightsError, WeightsError
from tha4_core.teacher import Teacher
from tha4_core.weights import (
    THA4_TEACHER,
    Repository,
    convert_teacher_files,
    download_teacher,
    find_teacher_files,
    read_state_dict,
    write_safetensors,
)
from tha4_core.weights.__main__ import main, pack
from tha4_core.weights.teacher_files import match_files

pytestmark = pytest.mark.usefixtures("windows_files")

PLACES = ('".."', '"."', '""', '"/"', '"../given"', "3", "null")


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
    def names(*paths: str, within: str = "") -> list[str]:
        return sorted(str(path) for path in match_files(map(PurePosixPath, paths), ("a", "b"), within).values())

    assert names("x/a.pt", "x/b.pt", "y/a.pt") == ["x/a.pt", "x/b.pt"]
    assert names("x/y/a.pt", "x/y/b.pt", "z/a.pt", "z/b.pt") == ["z/a.pt", "z/b.pt"]
    assert names("x/a.pt", "y/b.safetensors") == ["x/a.pt", "y/b.safetensors"]
    assert names("x/a.pt", "x/a.safetensors", "x/b.safetensors") == ["x/a.safetensors", "x/b.safetensors"]
    assert names("x/a.pt", "y/a.pt", "z/b.pt") == []
    assert names("a.pt", "b.bin") == []
    assert names("a.pt", "b.pt", "v/a.pt", "v/b.pt", within="v") == ["v/a.pt", "v/b.pt"]


def test_a_copy_is_made_once_and_stands_for_its_files(tmp_path: Path) -> None:
    given, folder = put(tmp_path / "given", NEW), tmp_path / "teacher"
    files = convert_teacher_files(find_teacher_files([given]), folder, SHAPES)
    assert holds(files, NEW)
    assert all(path.suffix == ".safetensors" for path in files.values())
    assert find_teacher_files([folder, given]) == files
    assert find_teacher_files([given, folder]) == files
    assert convert_teacher_files(find_teacher_files([given]), folder, SHAPES) == files
    assert convert_teacher_files(files, folder, SHAPES) is files
    put(given, OLD)
    assert holds(find_teacher_files([given, folder]), OLD)
    assert holds(convert_teacher_files(find_teacher_files([given]), folder, SHAPES), OLD)
    assert len(list(folder.rglob("*.safetensors"))) == 5


def test_a_wrong_file_is_named_and_replaces_nothing(tmp_path: Path) -> None:
    given, folder = put(tmp_path / "given", OLD), tmp_path / "teacher"
    old = convert_teacher_files(find_teacher_files([given]), folder, SHAPES)
    (given / "upscaler.pt").write_bytes(pt(tensors(NEW, "face_morpher")))
    with pytest.raises(WeightsError, match=r"given/upscaler.pt: this is another network"):
        convert_teacher_files(find_teacher_files([given]), folder, SHAPES)
    assert whole_set(folder) == OLD
    assert holds(old, OLD)


def test_tensors_that_share_memory_are_converted(tmp_path: Path) -> None:
    given = put(tmp_path / "given", NEW)
    weight = tensors(NEW, "upscaler")["upscaler.weight"]
    bias = weight.flatten()[: SHAPES["upscaler"]["upscaler.bias"][0]]
    torch.save({"upscaler.weight": weight, "upscaler.bias": bias}, given / "upscaler.pt")
    files = convert_teacher_files(find_teacher_files([given]), tmp_path / "teacher", SHAPES)
    assert torch.equal(read_state_dict(files["upscaler"])["upscaler.bias"], bias)


def test_a_damaged_note_is_no_note(tmp_path: Path) -> None:
    given = put(tmp_path / "given", NEW)
    files = convert_teacher_files(find_teacher_files([given]), tmp_path / "teacher", SHAPES)
    assert find_teacher_files([tmp_path / "teacher"]) == files
    (tmp_path / "teacher" / "teacher.json").write_text('{"folder": ')
    assert holds(find_teacher_files([tmp_path / "teacher"]), NEW)
    facts = '"files": {' + ", ".join(f'"{network}": {{"size": 1}}' for network in NETWORKS) + "}"
    for hostile in (
        "[]",
        '{"files": {"upscaler": 1}, "archives": [1]}',
        *(f'{{"folder": {at}, {facts}}}' for at in PLACES),
    ):
        (tmp_path / "teacher" / "teacher.json").write_text(hostile)
        assert holds(find_teacher_files([tmp_path / "teacher"]), NEW)
        os.utime(given / "upscaler.pt")
        assert holds(convert_teacher_files(find_teacher_files([given]), tmp_path / "teacher", SHAPES), NEW)
        assert find_teacher_files([given])


def test_a_fetched_file_of_another_size_is_not_used(tmp_path: Path) -> None:
    files = convert_teacher_files(find_teacher_files([put(tmp_path / "given", NEW)]), tmp_path / "teacher", SHAPES)
    files["upscaler"].write_bytes(files["upscaler"].read_bytes()[:1000])
    put(tmp_path / "second", OLD)
    assert holds(find_teacher_files([tmp_path / "given", tmp_path / "teacher"]), NEW)


# The command


def run_pack(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tha4_core.weights", "pack", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


def test_pack_makes_what_a_hub_serves_and_load_teacher_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out" / "hub"
    # The real networks' files are hundreds of MB; the command takes the made-up teacher's for right here.
    monkeypatch.setattr(Teacher, "shapes", lambda: SHAPES)
    assert main(["pack", str(put(tmp_path / "given", NEW)), str(out)]) == 0
    assert capsys.readouterr().out == f"Ready: {out}\n"
    assert [path.name for path in out.parent.iterdir()] == ["hub"]
    assert {path.name for path in out.iterdir()} == {f"{n}.safetensors" for n in NETWORKS} | {"README.md", "SHA256SUMS"}
    sums = dict(reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text().splitlines())
    assert sums == {
        f"{n}.safetensors": hashlib.sha256((out / f"{n}.safetensors").read_bytes()).hexdigest() for n in NETWORKS
    }
    front = yaml.safe_load((out / "README.md").read_text().split("---")[1])
    assert front["license"] == "cc-by-nc-4.0"
    card = (out / "README.md").read_text()
    assert all(needed in card for needed in (THA4_TEACHER.link, THA4_TEACHER.paper, *sums.values()))
    with Server() as server:
        add_repository(server, "me/mirror", {path.name: path.read_bytes() for path in out.iterdir()})
        mirror = Repository("me/mirror", endpoint=server.url())
        files = download_teacher(tmp_path / "t", SHAPES, sources=[mirror], retry=HASTY)
    assert holds(files, NEW)


def test_pack_names_what_is_wrong_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = put(tmp_path / "some", NEW, networks=NETWORKS[1:])
    assert main(["pack", str(some), str(tmp_path / "out")]) == 1
    assert "body_morpher not found" in capsys.readouterr().err
    # The command checks against the real networks, whose keys these made-up ones do not have.
    done = run_pack(put(tmp_path / "given", NEW), tmp_path / "out")
    assert (done.returncode, "another network" in done.stderr) == (1, True)
    given = put(tmp_path / "given", NEW)
    (given / "upscaler.pt").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"given/upscaler.pt"):
        pack(given, tmp_path / "out", SHAPES)
    put(given, NEW)
    with pytest.raises(WeightsError, match="another network"):
        pack(given, tmp_path / "out", {**SHAPES, "upscaler": SHAPES["face_morpher"]})
    with pytest.raises(WeightsError, match="not empty"):
        pack(given, given, SHAPES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "some"]
