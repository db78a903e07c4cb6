"""How long the teacher takes for a frame, against a plain forward of the same modules, and how much memory.

Run from the root of the repository:
`python -m tests.benchmarks.teacher [--quick] [--rounds 3] [--device cuda] [--precision ...]`.
The weights are synthetic (tests/recipe.py); times do not depend on their values. Without the reference character a
random picture serves.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

from tests import recipe
from tests.benchmarks._plain_teacher import make_plain, plain_render
from tha4_core import pose
from tha4_core.picture.character import Character, square_picture
from tha4_core.picture.reading import open_picture
from tha4_core.teacher import PRECISIONS, Teacher

PICTURE = recipe.REFERENCE / "reference" / "lambda_00" / "character.png"


def main() -> None:
    options = _options()
    teacher, plain = _teachers(options)
    character = _character()
    print(f"torch {torch.__version__}, {options.device}, {options.precision}, {torch.get_num_threads()} threads")
    print("plain: one pose at a time, float32, nothing folded, fused or cached; taken between our own runs")
    print(f"medians of {options.rounds} rounds")
    print(f"{'poses':>6} {'moving':>10} {'s/frame':>9} {'frames/s':>9} {'plain s/frame':>14} {'times as fast':>14}")
    for count in (1, 4) if options.quick else (1, 4, 16):
        for kind, make in SEQUENCES.items():
            rounds = [
                _times(teacher, plain, character, make(count), posed=kind == "head") for _ in range(options.rounds)
            ]
            ours, theirs = (statistics.median(times) for times in zip(*rounds, strict=True))
            faster = statistics.median(theirs / ours for ours, theirs in rounds)
            print(f"{count:6} {kind:>10} {ours:9.3f} {1 / ours:9.2f} {theirs:14.3f} {faster:14.2f}", flush=True)
    _report_memory(options, teacher, character)


def all_moving(count: int) -> Tensor:
    """Poses in which everything moves."""
    return pose.limit(torch.rand(count, pose.COUNT) * 2 - 0.5)


def head_moving(count: int) -> Tensor:
    """Poses in which only head and body move."""
    poses = all_moving(1).repeat(count, 1)
    poses[:, pose.ROTATION] = all_moving(count)[:, pose.ROTATION]
    return poses


def repeated(count: int) -> Tensor:
    """The same pose over and over."""
    return all_moving(1).repeat(count, 1)


SEQUENCES: dict[str, Callable[[int], Tensor]] = {"all": all_moving, "head": head_moving, "nothing": repeated}


def _times(
    teacher: Teacher, plain: Teacher, character: Character, poses: Tensor, *, posed: bool
) -> tuple[float, float]:
    """Seconds a frame, ours and the plain one's, alternating so that a busy machine hits both.

    Ours begins with the character's first frame done, and where `posed`, with the face already posed.
    """
    theirs = [_seconds(lambda: plain_render(plain, character, poses[:1]))]
    teacher.clear_cache()
    first = poses[:1].clone()
    first[:, 44] = 1 - first[:, 44] * 0.5
    teacher.render(character, first if posed else torch.zeros_like(first))
    ours = _seconds(lambda: teacher.render(character, poses)) / len(poses)
    theirs.append(_seconds(lambda: plain_render(plain, character, poses[-1:])))
    return ours, statistics.mean(theirs)


def _seconds(work: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    work().sum().item()  # waits for a GPU
    return time.perf_counter() - start


def _report_memory(options: argparse.Namespace, teacher: Teacher, character: Character) -> None:
    if options.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        teacher.render(character, all_moving(4))
        print(f"peak GPU memory, 4 poses: {torch.cuda.max_memory_allocated() / 2**20:.0f} MB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"peak memory of the process, two teachers and the plain forward included: {peak:.0f} MB")


def _teachers(options: argparse.Namespace) -> tuple[Teacher, Teacher]:
    weights = recipe.recipe_teacher()
    teacher = Teacher.from_state_dicts(weights, precision=getattr(torch, options.precision)).to(options.device)
    plain = make_plain(Teacher.from_state_dicts(weights).to(options.device))
    return teacher, plain


def _character() -> Character:
    if PICTURE.is_file():
        return Character(square_picture(open_picture(PICTURE)))
    return Character(torch.randint(0, 256, (512, 512, 4), dtype=torch.uint8))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no sequences of 16 poses")
    parser.add_argument("--rounds", type=int, default=3, help="of each sequence, other poses in each (default 3)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--precision", default="float32", choices=[str(dtype).removeprefix("torch.") for dtype in PRECISIONS]
    )
    return parser.parse_args()


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
