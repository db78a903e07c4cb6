"""Files as Windows keeps them: what a process has open or mapped can be neither replaced, renamed nor deleted there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def windows_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it, such operations are refused as Windows refuses them, and fail the test even where that is ignored."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("what is open or mapped is read from /proc")
    refused: list[str] = []

    def guard(function: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*paths: Any, **options: Any) -> Any:
            for path in paths[:2]:
                if isinstance(path, str | os.PathLike) and _in_use(_absolute(path, options)):
                    refused.append(f"{function.__name__} of {path}")
                    raise PermissionError(13, "The process cannot access the file", str(path))
            return function(*paths, **options)

        return checked

    for name in ("replace", "rename", "unlink", "remove"):
        monkeypatch.setattr(os, name, guard(getattr(os, name)))
    yield
    assert not refused


def _absolute(path: str | os.PathLike[str], options: dict[str, Any]) -> str:
    """A path, where it may be relative to the open folder `dir_fd`, as shutil.rmtree goes through folders."""
    folder = options.get("dir_fd")
    base = os.getcwd() if folder is None else os.readlink(f"/proc/self/fd/{folder}")
    return os.path.join(os.path.realpath(os.path.dirname(os.path.join(base, path))), os.path.basename(path))


def _in_use(path: str) -> bool:
    """Whether this process has the file, or one below the folder, open or mapped. Locks go with their holder."""
    used = [line.split(maxsplit=5)[5] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line]
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            used.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:  # the listing's own
            continue
    return any(name == path or name.startswith(f"{path}/") for name in used if not name.endswith(".lock"))
