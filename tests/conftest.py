"""Where the reference data lies, and what happens where it does not."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

pytest_plugins = ["tests.windows"]

REPOSITORY = Path(__file__).resolve().parents[1]
REFERENCE = Path(os.environ.get("THA4_REFERENCE", REPOSITORY.parent / "shared")).resolve()


_HOSTILE = pytest.StashKey[dict[str, Counter[str]]]()


@pytest.fixture
def hostile(request: pytest.FixtureRequest) -> Callable[[str], Counter[str]]:
    """Counts what came of hostile inputs of a kind ("files", "requests"); printed when all tests are done."""
    counts = request.config.stash.setdefault(_HOSTILE, defaultdict(Counter))
    return counts.__getitem__


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for kind, count in config.stash.get(_HOSTILE, {}).items():
        shown = ("tried", "accepted", "own error", "other", "over 10 s", "over 500 MB more memory")
        terminalreporter.write_line(f"hostile {kind}: {', '.join(f'{name} {count[name]:,}' for name in shown)}")


def pytest_report_header() -> str:
    """Which ComfyUI the tests run with: of a failure, the first thing to know."""
    folder = Path(os.environ.get("THA4_COMFYUI", REPOSITORY / ".comfyui"))
    try:
        found = re.search(r'__version__ = "(.+)"', (folder / "comfyui_version.py").read_text())
        return f"ComfyUI {found[1] if found else '?'}, its page {version('comfyui-frontend-package')}, in {folder}"
    except (OSError, PackageNotFoundError):
        return f"no ComfyUI in {folder}"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden outputs. Set THA4_REFERENCE to the folder that holds it."""
    return _needed(REFERENCE / "golden")


@pytest.fixture(scope="session")
def lambda_00() -> Path:
    """The folder of a published character with its student."""
    return _needed(REFERENCE / "reference" / "lambda_00")


@pytest.fixture(scope="session")
def web_haru(golden: Path) -> Path:
    """The folder of a published student in the web demo's format, whose frames are among the golden outputs."""
    return _needed(REFERENCE / "reference" / "web_haru")


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of inputs as users bring them."""
    return _needed(REFERENCE / "cases")


def _needed(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"REFERENCE DATA IS MISSING: {folder} (set THA4_REFERENCE)")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: their driver keeps an event loop running in this thread until the session ends."""
    items.sort(key=lambda item: "browser" in item.path.parts)
