"""Servers that fail are given up soon."""

from __future__ import annotations

import pytest

from tha4_core.weights import Progress


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"timeout": 2.0, "attempts": 3, "delay": 0.05}.items():
        monkeypatch.setattr(Progress, name, value)
