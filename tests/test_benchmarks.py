"""A benchmark that runs on somebody else's GPU for ten minutes loses none of what it has measured."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.benchmarks._parts import Bench, Row, run_parts, tried


@pytest.fixture
def handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def broken() -> Row:
    raise RuntimeError("out of\nmemory | of the GPU")


def lines(bench: Bench) -> Iterator[Row]:
    yield {"kernel": "one", "ms": 1.23456, "dB": float("inf")}
    yield {"kernel": "two"} | tried(broken)
    yield {"kernel": "three", "ms": 3.0, "dB": 50.0}


def fails(bench: Bench) -> Iterator[Row]:
    yield {"ms": 1.0}
    broken()


def stopped(bench: Bench) -> Iterator[Row]:
    yield {"ms": 1.0}
    signal.raise_signal(signal.SIGTERM)
    yield {"ms": 2.0}


def test_what_fails_or_is_stopped_leaves_the_lines_before(
    handlers: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(torch.device("cpu"), 10, tmp_path / "lines.json")
    parts = {"lines": (lines, 1), "fails": (fails, 1), "stopped": (stopped, 1), "late": (lines, 1)}
    assert run_parts(bench, parts) == 1
    written = json.loads((tmp_path / "lines.json").read_text())
    assert written.pop("machine")
    assert written == {
        "lines": [
            {"kernel": "one", "ms": 1.23456, "dB": "inf"},
            {"kernel": "two", "failed": "RuntimeError: out of\nmemory | of the GPU"},
            {"kernel": "three", "ms": 3.0, "dB": 50.0},
        ],
        "fails": [{"ms": 1.0}, {"failed": "RuntimeError: out of\nmemory | of the GPU"}],
        "stopped": [{"ms": 1.0}],
    }
    out = capsys.readouterr().out
    table = "| one | 1.235 | inf |\n| two | failed: RuntimeError: out of memory / of the GPU |  |\n| three | 3 | 50 |\n"
    assert f"| kernel | ms | dB |\n| --- | --- | --- |\n{table}" in out
    assert json.loads(out.splitlines()[-1]) == json.loads((tmp_path / "lines.json").read_text())
