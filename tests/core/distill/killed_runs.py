"""Tiny distillations in child processes, killed at any moment and resumed; then two at once. Prints what came of it.

    python -m tests.core.distill.killed_runs FOLDER

A program of its own, because it forks: a child needs no time for imports, and no other thread may run at a fork.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.core.distill.conftest import TINY
from tha4_core.demo import DemoRig, demo_character
from tha4_core.distill import Job, Report, distill, target_cache, trainer
from tha4_core.student import Student

KILLS, KILLS_A_RUN = 30, 10
PRESET = replace(TINY, poses=4, steps=8)
PHASES = ("beginning", "teacher", "training", "saving")
SECONDS = {"beginning": 0.05, "teacher": 0.15, "training": 0.2, "saving": 0.02}
"""How long after a phase has begun a kill comes at the latest; by then it may be over."""

shared = mmap.mmap(-1, 4)
"""What children tell: the phase of the last one, and how many poses each of two let the teacher show."""


def main() -> None:
    folder, dice = Path(sys.argv[1]), random.Random(3)
    torch.set_num_threads(1)
    trainer.SAVE_SECONDS = 0.0
    target_cache.CHUNK = 2
    torch.optim.SGD([torch.zeros(1)])  # what PyTorch and others import late is imported here, once for all children
    import filelock  # noqa: F401

    assert threading.active_count() == 1
    wait(begin(folder / "whole"))
    wanted = student(folder / "whole").read_bytes()
    phases, runs, different = Counter[str](), 0, 0
    while phases.total() < KILLS:
        runs += 1
        for _ in range(KILLS_A_RUN):
            phase = killed(begin(folder / str(runs)), dice)
            if phase is None:
                break
            phases[phase] += 1
        else:
            wait(begin(folder / str(runs)))
        different += student(folder / str(runs)).read_bytes() != wanted
    leftovers = [str(path) for path in folder.rglob("*.part")]
    found = {"kills": phases.total(), "phases": phases, "runs": runs, "different": different, "leftovers": leftovers}
    print(json.dumps(found | {"together": together(folder / "together", wanted)}))


def together(folder: Path, wanted: bytes) -> dict[str, Any]:
    """Two runs at once that share the teacher's frames, and a third that begins with them and is killed."""
    names = ("one", "two")
    pids = [begin(folder, name, counter) for counter, name in enumerate(names, 2)]
    killed(begin(folder, "three"), random.Random(4))
    for pid in pids:
        wait(pid)
    same = [student(folder, name).read_bytes() == wanted for name in names]
    return {"same": same, "shown": shared[2] + shared[3]}


def begin(folder: Path, name: str = "demo", counter: int = 1) -> int:
    """Begin or resume a distillation in a child process; its id."""
    shared[0] = shared[counter] = 0
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        run(folder, name, counter)
        status = 0
    finally:
        os._exit(status)


def run(folder: Path, name: str, counter: int) -> None:
    def report(report: Report) -> None:
        shared[0] = PHASES.index(report.stage)

    def saving(save: Callable[..., None]) -> Callable[..., None]:
        def saved(*arguments: Any) -> None:
            before, shared[0] = shared[0], PHASES.index("saving")
            save(*arguments)
            shared[0] = before

        return saved

    trainer.save_checkpoint = saving(trainer.save_checkpoint)
    Student.save = saving(Student.save)  # type: ignore[method-assign]
    RIG.counter = counter
    distill(Job(demo_character(), RIG, name, folder, folder / "work", PRESET), report=report)


class CountingRig(DemoRig):
    """The rig; it counts the poses that it shows."""

    counter = 0

    def targets(self, character: Any, poses: Tensor) -> Any:
        shared[self.counter] += len(poses)
        return super().targets(character, poses)


RIG = CountingRig()


def student(folder: Path, name: str = "demo") -> Path:
    return folder / f"{name}.safetensors"


def wait(pid: int) -> None:
    assert os.waitpid(pid, 0)[1] == 0


def killed(pid: int, dice: random.Random) -> str | None:
    """Kill a child a moment after some phase has begun. The phase that it was in; None where it had come to its end."""
    awaited, moment = dice.choice(PHASES), dice.random()
    end = None
    while end is None or time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0
            return None
        if end is None and PHASES[shared[0]] == awaited:
            end = time.monotonic() + moment * SECONDS[awaited]
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return PHASES[shared[0]]


if __name__ == "__main__":
    main()
