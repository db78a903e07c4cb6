"""Motions and recordings as users bring them."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cases(golden: Path) -> Path:
    """The folder of motions and recordings with known right outcomes, beside the golden outputs."""
    folder = golden.parent / "cases" / "motion"
    if not folder.is_dir():
        pytest.skip(f"REFERENCE DATA IS MISSING: {folder} (set THA4_REFERENCE)")
    return folder
