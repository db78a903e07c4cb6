"""Which folders files go to, which files are listed, and when a file counts as another one."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.recipe import recipe_teacher
from tha4_core.demo import DEMO_STUDENT, MOTION

NO_HUB = {"repo_id": "", "file_name": "", "revision": "main"}
Call = Callable[..., Any]


@pytest.fixture
def node_classes(call: Call) -> dict[str, Any]:
    import nodes

    return nodes.NODE_CLASS_MAPPINGS


@pytest.fixture
def tha4(base: Path, call: Call) -> Iterator[Path]:
    """models/tha4, as it was afterwards."""
    folder = base / "models" / "tha4"
    before = set(folder.rglob("*"))
    yield folder
    for path in sorted(set(folder.rglob("*")) - before, reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def options(node_classes: dict[str, Any], node_id: str, name: str) -> list[str]:
    inputs = node_classes[node_id].INPUT_TYPES()
    kind, *settings = (inputs["required"] | inputs.get("optional", {}))[name]
    return list(kind if isinstance(kind, list) else settings[0]["options"])


def put_demo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DEMO_STUDENT, path)
    return path


def test_the_folders_for_files_are_there_from_the_start(tha4: Path) -> None:
    assert {path.name for path in tha4.iterdir()} >= {"characters", "students", "teacher", "motions", "expressions"}


def test_hidden_files_and_what_macos_leaves_are_not_listed(
    tha4: Path, base: Path, node_classes: dict[str, Any]
) -> None:
    for name in ("mira", "._mira", ".cache/mira", "__MACOSX/mira", "a/.downloads/mira", "a/__MACOSX/b/mira", "a/mora"):
        put_demo(tha4 / "students" / f"{name}.safetensors")
        picture = tha4 / "characters" / f"{name}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"")
    students = options(node_classes, "THA4LoadStudent", "student")
    assert [name for name in students if "mira" in name or "mora" in name] == [
        "a/mora.safetensors",
        "mira.safetensors",
    ]
    characters = options(node_classes, "THA4LoadCharacter", "file")
    assert [name for name in characters if name.endswith("ra.png")] == ["a/mora.png", "mira.png"]
    for name in ("shown.csv", "._hidden.csv"):
        (base / "input" / name).write_text("")
    motions = options(node_classes, "THA4LoadPoses", "file")
    assert ("input/shown.csv" in motions, "input/._hidden.csv" in motions) == (True, False)


def test_a_hidden_file_beside_expressions_is_left_alone(tha4: Path, call: Call) -> None:
    folder = tha4 / "expressions"
    (folder / "._mine.json").write_bytes(b"\0\5\x16\7 not JSON")
    assert call("THA4PoseSequence", script="0 smile", fps=2.0, length=0.0, loop=False)


def test_a_student_in_capitals_is_opened(tha4: Path, call: Call, node_classes: dict[str, Any]) -> None:
    put_demo(tha4 / "students" / "MIRA.SAFETENSORS")
    assert "MIRA.SAFETENSORS" in options(node_classes, "THA4LoadStudent", "student")
    _, character = call("THA4LoadStudent", student="MIRA.SAFETENSORS", **NO_HUB)
    assert character.picture.shape == (512, 512, 4)


# When a file is another one


def changes(fingerprint: Callable[[], object], path: Path) -> None:
    """The fingerprint changes where the file gets an older date, another size, and where it goes; else it stays."""
    seen = [fingerprint()]
    assert fingerprint() == seen[0]
    os.utime(path, (1e9, 1e9))
    seen.append(fingerprint())
    with path.open("ab") as file:
        file.write(b"\n")
    os.utime(path, (1e9, 1e9))
    seen.append(fingerprint())
    path.unlink()
    seen.append(fingerprint())
    assert len(set(seen)) == 4


def test_a_replaced_student_is_another_one(tha4: Path, base: Path, node_classes: dict[str, Any]) -> None:
    node = node_classes["THA4LoadStudent"]
    path = put_demo(tha4 / "students" / "mira.safetensors")
    changes(lambda: node.fingerprint_inputs(student="mira.safetensors", **NO_HUB), path)
    folder = tha4 / "students" / "published"
    folder.mkdir()
    (folder / "character_model.yaml").write_text("a: b")
    (folder / "body_morpher.pt").write_bytes(b"x")
    changes(lambda: node.fingerprint_inputs(student="published", **NO_HUB), folder / "body_morpher.pt")


def test_a_student_that_went_is_told_of(tha4: Path, call: Call) -> None:
    with pytest.raises(ValueError, match=r"models/tha4/students/mira.safetensors is not there any more"):
        call("THA4LoadStudent", student="mira.safetensors", **NO_HUB)


def test_a_replaced_picture_is_another_one(tha4: Path, call: Call, node_classes: dict[str, Any]) -> None:
    path = tha4 / "characters" / "mira.png"
    Image.new("RGBA", (8, 8)).save(path)
    changes(lambda: node_classes["THA4LoadCharacter"].fingerprint_inputs(file="mira.png", **NO_HUB), path)
    placing = {"fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0, **NO_HUB}
    with pytest.raises(FileNotFoundError, match=r"models/tha4/characters/mira.png is not there any more"):
        call("THA4LoadCharacter", file="mira.png", **placing)


def test_a_replaced_motion_is_another_one(tha4: Path, base: Path, node_classes: dict[str, Any]) -> None:
    for name, path in (("a.json", tha4 / "motions" / "a.json"), ("input/b.json", base / "input" / "b.json")):
        shutil.copyfile(MOTION, path)
        changes(lambda name=name: node_classes["THA4LoadPoses"].fingerprint_inputs(file=name, fps=0.0, turn=0.0), path)


def test_replaced_expressions_are_others(tha4: Path, node_classes: dict[str, Any]) -> None:
    for name in ("a.json", "b.json"):
        (tha4 / "expressions" / name).write_text("{}")
    changes(node_classes["THA4PoseSequence"].fingerprint_inputs, tha4 / "expressions" / "a.json")


def test_a_replaced_teacher_is_another_one(tha4: Path, node_classes: dict[str, Any]) -> None:
    folder = tha4 / "teacher"
    for network in recipe_teacher():
        torch.save({}, folder / f"{network}.pt")
    node = node_classes["THA4LoadTeacher"]
    changes(lambda: node.fingerprint_inputs(teacher="THA4"), folder / "upscaler.pt")


# Where files go


@pytest.mark.parametrize("default", [False, True])
def test_the_own_folder_comes_first_unless_another_is_the_default(
    call: Call, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default: bool
) -> None:
    import folder_paths
    from comfy.cli_args import args
    from utils.extra_config import load_extra_path_config

    section = {"base_path": str(tmp_path), "tha4": "shared", **({"is_default": True} if default else {})}
    config = tmp_path / "extra.yaml"
    config.write_text(json.dumps({"mine": section, "empty": None}))
    for name in ("tha4", "tha4_students", "tha4_characters"):
        monkeypatch.setitem(folder_paths.folder_names_and_paths, name, ([], set()))
        monkeypatch.delitem(folder_paths.folder_names_and_paths, name)
    monkeypatch.setattr(args, "extra_model_paths_config", [[str(config)]])
    load_extra_path_config(str(config))  # as ComfyUI does before it loads packs
    folders = next(module for name, module in sys.modules.items() if name.endswith(".nodes.folders"))
    folders.register_model_folders()
    own, other = base / "models" / "tha4", tmp_path / "shared"
    wanted = [other, own] if default else [own, other]
    assert folders.wanted_folders("students") == [folder / "students" for folder in wanted]
    assert folder_paths.get_folder_paths("tha4_students") == [str(folder / "students") for folder in wanted]
