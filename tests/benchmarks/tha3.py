"""The time of a frame of each teacher, one after another in one run: THA4, THA3 standard, THA3 separable.

python3 dev.py bench tha3 [--rounds N] [--device cuda] [--precision float16]

Weights are synthetic (their values do not matter to the time), every pose is new, so nothing is cached from one
frame to the next but the character's layers. A *round* is one frame of each teacher; the table gives medians.
"""

from __future__ import annotations

import argparse
import math
import time
from statistics import median

import torch

from tha4_core.picture.character import Character
from tha4_core.teacher import ARCHITECTURES, Teacher


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=["float32", "float16", "bfloat16"])
    given = parser.parse_args()
    torch.manual_seed(0)
    character = Character((torch.rand(512, 512, 4) * 255).to(torch.uint8))
    teachers = {name: made_up(name, getattr(torch, given.precision)).to(given.device) for name in ARCHITECTURES}
    poses = torch.rand(given.rounds + 1, 1, 45) * 0.5
    seconds: dict[str, list[float]] = {name: [] for name in teachers}
    for number, pose in enumerate(poses):
        for name, teacher in teachers.items():
            taken = frame_time(teacher, character, pose)
            if number:  # the first round warms up
                seconds[name].append(taken)
    where = torch.cuda.get_device_name() if given.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"A frame, {given.precision}, {where}, median of {given.rounds} (slowest in brackets):")
    for name, taken in seconds.items():
        parameters = sum(parameter.numel() for parameter in teachers[name].parameters()) / 1e6
        ratio = median(seconds["THA4"]) / median(taken)
        print(f"  {name:15} {median(taken):7.3f} s ({max(taken):.3f})  {ratio:4.1f}x THA4  {parameters:6.1f} M numbers")


def made_up(architecture: str, precision: torch.dtype) -> Teacher:
    """A teacher whose weights are random and whose norms are plain."""
    weights = {
        name: {
            key: torch.randn(shape) / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else torch.ones(shape)
            for key, shape in shapes.items()
        }
        for name, shapes in Teacher.shapes(architecture).items()
    }
    return Teacher.from_state_dicts(weights, precision)


def frame_time(teacher: Teacher, character: Character, pose: torch.Tensor) -> float:
    """Seconds for the frame of one new pose."""
    start = time.perf_counter()
    teacher.render(character, pose)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
