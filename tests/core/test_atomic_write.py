"""Files are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tha4_core import atomic_write
from tha4_core.atomic_write import temporary_file


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with temporary_file(path) as temporary:
        temporary.write_text("all")
        assert not path.exists()
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted() -> None:
        with temporary_file(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_the_longest_name_has_room_for_a_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    with temporary_file(path) as temporary:
        temporary.write_text("all")
    assert path.read_text() == "all"


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_virus_scanner_may_look_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int) -> None:
    calls: list[Path] = []

    def replace(source: Path, target: Path, move: Callable[[Path, Path], None] = os.replace) -> None:
        calls.append(source)
        if len(calls) <= refusals:
            raise PermissionError(13, "Access is denied")
        move(source, target)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(atomic_write, "_RETRY_SECONDS", 0.0)
    if refusals == 1:
        with temporary_file(tmp_path / "a") as temporary:
            temporary.write_text("all")
    else:
        with pytest.raises(PermissionError), temporary_file(tmp_path / "a") as temporary:
            temporary.write_text("all")
    assert [file.name for file in tmp_path.iterdir()] == ["a"][: 2 - refusals]
