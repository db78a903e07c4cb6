"""Distillation from the command line: for long runs that should not block ComfyUI, and for several GPUs.

    python -m tha4_core.distill train --character picture.png --teacher models/tha4/teacher --name mine
    torchrun --nproc-per-node 2 -m tha4_core.distill train ...
    python -m tha4_core.distill evaluate mine.safetensors --teacher models/tha4/teacher

A training that was begun here can be resumed in the Distill Student node, and the other way round.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed

from ..demo import DemoRig, demo_character
from ..errors import DistillError, THA4Error
from ..picture.character import Character
from ..student import Student
from ..teacher import PRECISIONS as TEACHER_PRECISIONS
from ..teacher import Teacher
from . import PRECISIONS, PRESETS, Job, Report, distill, evaluate, read_poses, sample_poses
from .evaluation import side_by_side
from .run import HELD_OUT_SEED
from .target_cache import TargetsInMemory
from .trainer import rank

_PRINT_SECONDS = 10.0
_ON_SHEET = 6


def main() -> int:
    """Run one command; its exit code."""
    options = _parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        if "WORLD_SIZE" in os.environ:
            options.device = _join_processes(torch.device(options.device))
        return int(options.run(options))
    except THA4Error as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _join_processes(device: torch.device) -> torch.device:
    """Join the processes that torchrun started; the device that is this one's. Raises DistillError."""
    library = {"cuda": "nccl", "xpu": "xccl"}.get(device.type, "")
    has_library = bool(library) and torch.distributed.is_backend_available(library)  # Windows has no NCCL
    if library and device.index is None:
        accelerator = getattr(torch, device.type)
        own, count = int(os.environ["LOCAL_RANK"]), accelerator.device_count()
        if own >= count:
            raise DistillError(f"Each process needs a GPU of its own, and there are {count}: --nproc-per-node {count}.")
        device = torch.device(device.type, own)
        accelerator.set_device(device)
    # Gloo beside it for what is on the CPU; alone, it also takes what is on a GPU.
    torch.distributed.init_process_group(f"cpu:gloo,{device.type}:{library}" if has_library else "gloo")
    return device


def _default_device() -> str:
    """The fastest kind of device that there is."""
    modules = {"cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.backends.mps}
    return next((kind for kind, module in modules.items() if module.is_available()), "cpu")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tha4_core.distill", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--teacher", default="demo", help="the folder of a teacher's five files, or demo (the rig)")
    common.add_argument("--device", default=_default_device(), help="cuda, xpu, mps or cpu (default: %(default)s)")
    common.add_argument("--threads", type=int, default=0, help="of the CPU (default: PyTorch's)")
    train = commands.add_parser("train", parents=[common], help="make a student, or go on making it")
    train.add_argument("--character", default="demo", help="a picture with alpha, a published folder, or demo")
    train.add_argument("--name", required=True, help="the student's file is NAME.safetensors")
    meanings = "; ".join(f"{preset.name}: {preset.meaning}" for preset in PRESETS.values())
    train.add_argument("--preset", choices=PRESETS, default="good", help=meanings)
    train.add_argument("--steps", type=int, help="the preset's recipe over so many steps instead")
    train.add_argument("--poses", type=Path, help="learn from the poses of this file instead of the preset's")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    train.add_argument(
        "--teacher-precision",
        choices=[str(dtype).removeprefix("torch.") for dtype in TEACHER_PRECISIONS],
        default="float32",
        help="what a teacher's networks compute in (default: %(default)s; the node takes float16 on an NVIDIA GPU)",
    )
    train.add_argument("--students", type=Path, default=Path(), help="where the student goes (default: here)")
    train.add_argument("--work", type=Path, default=Path("distill"), help="where checkpoints and teacher's frames go")
    train.add_argument("--start-from", type=Path, help="a student to go on from, at the recipe's middle")
    train.add_argument("--licence", default="", help="of the result; follows from picture and teacher")
    train.add_argument("--restart", action="store_true", help="discard what was begun or made under this name")
    train.set_defaults(run=_train)
    evaluation = commands.add_parser("evaluate", parents=[common], help="scores on poses that no preset learns from")
    evaluation.add_argument("student", type=Path)
    evaluation.add_argument("--count", type=int, default=200, help="poses (default: 200)")
    evaluation.add_argument("--sheet", type=Path, help="also write a picture: teacher, student, difference")
    evaluation.set_defaults(run=_evaluate)
    return parser.parse_args()


def _train(options: argparse.Namespace) -> int:
    preset = PRESETS[options.preset]
    if options.steps is not None:
        if options.steps < 1:
            raise DistillError(f"--steps is {options.steps}; a training has at least 1.")
        preset = preset.over(options.steps)
    job = Job(
        character=_character(options.character),
        teacher=_teacher(options.teacher, options.device, getattr(torch, options.teacher_precision)),
        name=options.name,
        students=options.students,
        work=options.work,
        preset=preset,
        poses=read_poses(options.poses) if options.poses else None,
        seed=options.seed,
        precision=options.precision,
        device=torch.device(options.device),
        start_from=Student.load(options.start_from) if options.start_from else None,
        licence=options.licence,
    )
    distill(job, restart=options.restart, report=_Printer().report)
    if rank() == 0:
        print(job.path)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    student, teacher = Student.load(options.student), _teacher(options.teacher, options.device)
    poses = sample_poses(options.count, HELD_OUT_SEED)
    with torch.inference_mode():
        targets = TargetsInMemory(student.character, teacher, poses)
        print(f"{options.count} poses that no preset learns from:\n{evaluate(student, targets)}")
        if options.sheet:
            side_by_side(student, targets, list(range(min(_ON_SHEET, options.count)))).save(options.sheet)
            print(options.sheet)
    return 0


def _character(name: str) -> Character:
    return demo_character() if name == "demo" else Character.load(name)


def _teacher(name: str, device: torch.device | str, precision: torch.dtype = torch.float32) -> Teacher | DemoRig:
    return (DemoRig() if name == "demo" else Teacher.load(name, precision)).to(device)


class _Printer:
    """Prints every few seconds how far a run is."""

    def __init__(self) -> None:
        self._printed = 0.0

    def report(self, report: Report) -> None:
        if rank() != 0 or (time.monotonic() - self._printed < _PRINT_SECONDS and report.done < report.total):
            return
        self._printed = time.monotonic()
        scores = report.progress.scores
        psnr = f", face {scores[-1][1]:.2f} dB, figure {scores[-1][2]:.2f} dB" if scores else ""
        left = f", {report.seconds_left / 60:.0f} min left" if math.isfinite(report.seconds_left) else ""
        print(f"{report.stage}: {report.done} of {report.total}, {report.rate:.1f} a second{left}{psnr}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
