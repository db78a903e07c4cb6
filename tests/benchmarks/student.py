"""How much faster the student's renderer is than its plain modules, and how near: a table in Markdown.

    python -m tests.benchmarks.student [--student PATH] [--device cuda] [--threads 2] [--repeats 5]

What is compared runs in turn, round after round, so that what else the machine does falls on both alike; ratios are
medians of the rounds' ratios. Without a student the weights are random: that changes the error, not the speed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

import tha4_core as tha4
from tests.recipe import REFERENCE

SIZES = (256, 512, 1024)
MANY = 16


def main() -> None:
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    student = load_student(arguments.student).to(arguments.device)
    poses = random_poses(MANY).to(arguments.device)
    print(f"Machine: {machine(arguments.device)}.\n")
    _print_memory(student, poses)
    print("| rendered | plain modules | renderer | times as fast |\n| --- | ---: | ---: | ---: |")
    one, talking, turning = poses[:1], poses, _with_one_face(poses)
    for what, some, repeats in (
        ("one pose", one, arguments.repeats),
        (f"{MANY} poses", talking, max(1, arguments.repeats // 2)),
        (f"{MANY} poses of one face", turning, max(1, arguments.repeats // 2)),
    ):
        _print_comparison(what, _in_turn([_plain(student, some), _fast(student, some)], repeats), len(some))
    print("\n| one pose at | seconds | of the time at 512 | seconds a megapixel |\n| --- | ---: | ---: | ---: |")
    _print_sizes(_in_turn([_fast(student, one, size) for size in SIZES], arguments.repeats))
    _print_error(student, poses[:4])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", type=Path, help="a published folder or a .safetensors")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="threads on the CPU; PyTorch's choice unless given")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


def load_student(path: Path | None) -> tha4.Student:
    """The student in `path`, else the published one of the reference data, else one with random weights."""
    path = path or REFERENCE / "reference" / "lambda_00"
    if path.exists():
        return tha4.Student.load(path)
    torch.manual_seed(0)
    print("No student is there: random weights.")
    picture = torch.randint(0, 256, (512, 512, 4), dtype=torch.uint8)
    return tha4.Student(tha4.Character(picture)).requires_grad_(False)


def random_poses(count: int) -> Tensor:
    """Poses `[count, 45]` whose every number is anywhere in its range; always the same."""
    low, high = (torch.tensor([getattr(p, end) for p in tha4.PARAMETERS]) for end in ("minimum", "maximum"))
    return low + torch.rand(count, 45, generator=torch.Generator().manual_seed(0)) * (high - low)


def _with_one_face(poses: Tensor) -> Tensor:
    return torch.cat([poses[:1, :39].expand(len(poses), -1), poses[:, 39:]], dim=1)


def _plain(student: tha4.Student, poses: Tensor) -> Callable[[], object]:
    def run() -> None:
        with torch.inference_mode():
            for pose in poses:  # one by one: a batch needs 400 MB for each and is no faster on a CPU
                student(pose[None])

    return run


def _fast(student: tha4.Student, poses: Tensor, size: int = 512) -> Callable[[], object]:
    return lambda: student.render(poses, size=size)


def _in_turn(runs: list[Callable[[], object]], repeats: int) -> list[list[float]]:
    """The seconds of every run in every round, `[round][run]`."""
    return [[_seconds(run) for run in runs] for _ in range(repeats)]


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _print_comparison(what: str, rounds: list[list[float]], frames: int) -> None:
    plain, fast = (median(column) / frames for column in zip(*rounds, strict=True))
    ratios = sorted(plain / fast for plain, fast in rounds)
    spread = f"{median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
    print(f"| {what} | {plain:.3f} s a frame | {fast:.3f} s a frame | {spread} |")


def _print_sizes(rounds: list[list[float]]) -> None:
    reference = SIZES.index(512)
    for index, (size, column) in enumerate(zip(SIZES, zip(*rounds, strict=True), strict=True)):
        share = median(times[index] / times[reference] for times in rounds)
        print(f"| {size} | {median(column):.3f} | {share:.2f} | {median(column) / size**2 * 1e6:.2f} |")


def _print_memory(student: tha4.Student, poses: Tensor) -> None:
    """The process' peak after each, beyond where it stood before the first. It never falls: the least goes first.

    This also warms everything up.
    """
    before = peak_memory()
    peaks = []
    for name, run in (
        ("the renderer, one pose", _fast(student, poses[:1])),
        (f"the renderer, {len(poses)} poses", _fast(student, poses)),
        ("the plain modules, one pose", _plain(student, poses[:1])),
    ):
        run()
        peaks.append(f"{name} {peak_memory() - before:.0f} MB")
    print(f"Peak memory beyond the loaded student: {', '.join(peaks)}.\n")


def peak_memory() -> float:
    """Megabytes at most in use so far: of the GPU where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    import resource  # not on Windows, where other benchmarks take what else is in this file

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _print_error(student: tha4.Student, poses: Tensor) -> None:
    with torch.inference_mode():
        plain = torch.cat([student(pose[None])["blended"] for pose in poses])
    error = student.render(poses) - plain
    print(
        f"\nAgainst the plain modules, {len(poses)} random poses, model space: "
        f"largest error {error.abs().max():.1e}, relative norm {error.norm() / plain.norm():.1e}."
    )


def machine(device: str) -> str:
    """The machine in words, for the head of a table."""
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}"
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{name} ({capability}), {torch.get_num_threads()} of {os.cpu_count()} cores, PyTorch {torch.__version__}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
