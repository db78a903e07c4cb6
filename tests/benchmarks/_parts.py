"""The parts of a long benchmark: each has its share of the time, and what fails or is stopped leaves the rest.

Every line is printed as a line of a table in Markdown, and kept as JSON, as soon as it is measured.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch

from tests.benchmarks.student import machine

_FEWEST = 3  # repetitions of what is measured
_FAILED = "failed"
Row = dict[str, object]
Part = Callable[["Bench"], Iterator[Row]]


@dataclass
class Bench:
    """What is measured on, for how long, and how large. `rows` are the lines so far, by part; `json` also gets them."""

    device: torch.device
    seconds: float
    json: Path | None = None
    rows: dict[str, list[Row]] = field(default_factory=dict)
    end: float = 0.0

    def report(self) -> str:
        """All lines so far as JSON, which the file then holds too."""
        text = json.dumps({"machine": machine_words(self.device), **self.rows})
        if self.json is not None:
            self.json.write_text(text)
        return text

    @property
    def is_small(self) -> bool:
        """Whether this is a CPU, on which only the script is tried."""
        return self.device.type == "cpu"

    @property
    def is_over(self) -> bool:
        """Whether the time of the part is over. On a CPU there is one line of each kind, however long it takes."""
        return not self.is_small and time.monotonic() > self.end

    def finish(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def timed(self, work: Callable[[], object], seconds: float = 1.0) -> float:
        """The median seconds of a run, once it is warm, from `seconds` of runs."""
        work()
        self.finish()
        times: list[float] = []
        stop = min(self.end, time.monotonic() + seconds)
        while len(times) < _FEWEST or time.monotonic() < stop:
            start = time.perf_counter()
            work()
            self.finish()
            times.append(time.perf_counter() - start)
            if self.is_small:
                break
        return median(times)

    def peak(self) -> Callable[[], str]:
        """A function that tells the most memory in use since this call."""
        if self.device.type != "cuda":
            return lambda: ""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        return lambda: f"{torch.cuda.max_memory_allocated(self.device) / 1e6:.0f}"


def run_parts(bench: Bench, parts: Mapping[str, tuple[Part, float]]) -> int:
    """Measure parts, each with its share of the time; 1 where one of them failed or was stopped.

    SIGTERM and Ctrl+C end it with the lines so far.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"{machine_words(bench.device)}, at most {bench.seconds:.0f} s", flush=True)
    start, failed, shares = time.monotonic(), 0, sum(share for _, share in parts.values())
    try:
        for name, (part, share) in parts.items():
            left = bench.seconds - (time.monotonic() - start)
            bench.end = time.monotonic() + left * share / shares
            shares -= share
            failed |= _run(bench, name, part)
    except KeyboardInterrupt:
        failed = 1
    print(f"\n{time.monotonic() - start:.0f} s in all. All lines as JSON:\n{bench.report()}", flush=True)
    return failed


def tried(measure: Callable[[], Row]) -> Row:
    """What is measured, or why it could not be: one kernel that does not run leaves the others."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001 - compilers raise errors of many kinds
        return {_FAILED: f"{type(error).__name__}: {str(error)[:200]}"}


def machine_words(device: torch.device) -> str:
    """The device in words, with all that its figures depend on."""
    words = [machine(str(device)), f"Triton {_version('triton') or _version('triton-windows') or 'is not installed'}"]
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
        words.append(f"{memory / 2**30:.0f} GB, CUDA {torch.version.cuda or torch.version.hip}")
    return ", ".join([*words, platform.system()])


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _run(bench: Bench, name: str, part: Part) -> int:
    """One part; 1 where it fails."""
    print(f"\n## {name}\n", flush=True)
    rows = bench.rows.setdefault(name, [])
    columns: list[str] = []
    try:
        for row in part(bench):
            columns = _print(row, columns)
            rows.append({key: _jsonable(value) for key, value in row.items()})
            bench.report()
    except Exception as error:  # noqa: BLE001 - the other parts are to be measured whatever fails here
        traceback.print_exc()
        rows.append({_FAILED: f"{type(error).__name__}: {error}"})
        return 1
    return 0


def _print(row: Row, columns: list[str]) -> list[str]:
    """A line of the table of these columns, or of a new one where it is another kind of line. The table's columns.

    What failed goes under the first figure.
    """
    if not columns or not row.keys() - {_FAILED} <= set(columns):
        columns = list(row)
        print(f"\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    cells = [_cell(row.get(column, "")) for column in columns]
    if _FAILED in row and _FAILED not in columns:
        cells[len(row) - 1] = f"failed: {_cell(row[_FAILED])}"
    print(f"| {' | '.join(cells)} |", flush=True)
    return columns


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "/").split())  # errors have lines


def _jsonable(value: object) -> object:
    """JSON has no infinite numbers, which the PSNR of equal pictures is."""
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)
