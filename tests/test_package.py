"""What the pack promises to installers: its requirements, its files, its licence."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def shipped() -> list[str]:
    files = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [name for name in files.stdout.splitlines() if not name.startswith(("tests/", "dev.py", "."))]


def test_requirements_are_those_of_the_project() -> None:
    assert (REPOSITORY / "requirements.txt").read_text().split() == PROJECT["project"]["dependencies"]


def test_nothing_is_pinned_from_above() -> None:
    assert not [line for line in PROJECT["project"]["dependencies"] if re.search(r"[<=~]", line.replace(">=", ""))]


def test_registry_metadata() -> None:
    project, comfy = PROJECT["project"], PROJECT["tool"]["comfy"]
    assert "comfyui" not in project["name"].lower()
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert {"PublisherId", "DisplayName", "Icon", "requires-comfyui", "web"} <= comfy.keys()
    assert (REPOSITORY / comfy["web"]).is_dir()


def test_what_scanners_flag_is_not_shipped() -> None:
    flagged = re.compile(
        r"(?<![.\w])(?:eval|exec)\(|^\s*import (?:subprocess|pickle|marshal|ctypes|tarfile)\b|md5|0\.0\.0\.0", re.M
    )
    sources = [name for name in shipped() if name.endswith(".py")]
    assert sources
    found = {name: flagged.findall((REPOSITORY / name).read_text()) for name in sources}
    allowed = {"tha4_core/weights/state_dict.py"}  # names the error that a refused pickle raises, and loads none
    assert {name: hits for name, hits in found.items() if hits and name not in allowed} == {}


def test_example_workflows_use_their_nodes_by_id() -> None:
    for path in (REPOSITORY / "example_workflows").glob("*.json"):
        types = [node["type"] for node in json.loads(path.read_text())["nodes"]]
        assert any(name.startswith("THA4") for name in types), path.name


def test_every_help_page_has_its_pictures() -> None:
    folder = REPOSITORY / "web" / "docs"
    for page in folder.glob("*.md"):
        pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        assert f"{page.stem}.webp" in pictures, page.name
        assert [name for name in pictures if (folder / name).stat().st_size > 60_000] == [], page.name


def test_comfyui_manager_finds_every_node_in_the_source() -> None:
    """It looks for classes that inherit io.ComfyNode directly and have a literal node_id."""
    sources = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "nodes").rglob("*.py")]
    pattern = re.compile(r'^class \w+\(io\.ComfyNode\):.*?node_id="(\w+)"', re.M | re.S)
    found = {node_id for source in sources for node_id in pattern.findall(source)}
    assert found == {page.stem for page in (REPOSITORY / "web" / "docs").glob("*.md")}
