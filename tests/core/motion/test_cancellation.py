"""Long work on motions ends when whoever started it says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tha4_core import pose
from tha4_core.motion import files, formats, idle, script
from tha4_core.motion.cancellation import cancellable
from tha4_core.motion.speech import lip_sync
from tha4_core.pose import Poses


class Stopped(Exception):  # noqa: N818
    pass


def after(calls: int) -> Callable[[], None]:
    """A check that raises at that call."""
    left = iter(range(calls))

    def check() -> None:
        if next(left, None) is None:
            raise Stopped

    return check


def read(suffix: str, folder: Path) -> None:
    path = folder / f"poses{suffix}"
    files.save(Poses(torch.zeros(50, pose.COUNT)), path)
    formats.load(path)


LONG: dict[str, Callable[[Path], object]] = {
    "poses as JSON": lambda folder: read(".json", folder),
    "poses as CSV": lambda folder: read(".csv", folder),
    "idle motion": lambda _: idle.sample(2.0, 24.0),
    "a script": lambda _: script.parse("\n".join(f"{i} smile" for i in range(20))),
    "speech": lambda _: lip_sync.from_audio({"waveform": torch.zeros(1, 1, 16000 * 90), "sample_rate": 16000}),
}


@pytest.mark.parametrize("work", LONG.values(), ids=LONG)
def test_work_ends_in_the_middle(work: Callable[[Path], object], tmp_path: Path) -> None:
    work(tmp_path)
    with pytest.raises(Stopped), cancellable(after(3)):
        work(tmp_path)


def test_the_outer_check_counts() -> None:
    with pytest.raises(Stopped), cancellable(after(0)), cancellable(lambda: None):
        idle.sample(1.0)
    with cancellable(lambda: None), cancellable(after(0)):
        idle.sample(1.0)
    idle.sample(1.0)
