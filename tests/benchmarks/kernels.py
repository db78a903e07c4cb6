"""What Triton's compiler makes of a student's kernels, for NVIDIA GPUs that need not be there: a table in Markdown.

    python -m tests.benchmarks.kernels [--gpus 80 86 90 120]

GPUs are named by their compute capability: 80 is an A100, 86 an RTX 30, 89 an RTX 40, 90 an H100, 120 an RTX 50. A
render starts as it would there, but its kernels are compiled and not run. Nothing is timed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.runtime import JITFunction, driver

from tests.benchmarks.student import random_poses
from tha4_core.demo import DEMO_STUDENT
from tha4_core.student import Student, fused

# Compute capability -> kilobytes of shared memory and warps of a multiprocessor (CUDA programming guide, "Technical
# specifications per compute capability"). Of the memory, one kilobyte of each program is the system's.
_MULTIPROCESSORS = {80: (164, 64), 86: (100, 48), 89: (100, 48), 90: (228, 64), 120: (100, 48)}
_REGISTERS = 65536
_RESOURCES = re.compile(r"REG:(\d+) STACK:(\d+)")


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel: registers and bytes of stack (spilled registers) of a thread, bytes of shared memory and warps
    of a program, programs that a multiprocessor has room for, its PTX, and the seconds that compiling took."""

    name: str
    registers: int
    stack: int
    shared: int
    warps: int
    programs: int
    ptx: str
    seconds: float

    @property
    def products(self) -> str:
        """The instructions of tensor cores, such as `mma.sync m16n8k16`."""
        found = re.findall(r"(wgmma|mma\.sync)\S*(m\d+n\d+k\d+)", self.ptx)
        return ", ".join(sorted({" ".join(instruction) for instruction in found}))


def compile_kernels(capability: int, poses: Tensor, sizes: Iterable[int] = (512,)) -> list[Kernel]:
    """All kernels of renders of the demo's student at these sizes, in their order, for a GPU of that capability."""
    student, kernels = Student.load(DEMO_STUDENT), {}
    compile_or_run = JITFunction.run

    def only_compile(self: JITFunction, *args: object, grid: object, warmup: bool, **options: object) -> None:
        start = time.perf_counter()
        compiled = compile_or_run(self, *args, grid=grid, warmup=True, **options)
        if compiled.hash not in kernels:
            seconds = time.perf_counter() - start
            kernels[compiled.hash] = _kernel(_name(self.__name__, options), compiled, capability, seconds)

    with _on_gpu(capability), mock.patch.object(JITFunction, "run", only_compile):
        for size in sizes:
            fused.render(student.face_morpher, student.body_morpher, torch.zeros(1, 4, size, size), poses)
    return list(kernels.values())


@contextmanager
def _on_gpu(capability: int) -> Iterator[None]:
    """Within it, Triton takes this for the GPU that is there."""
    stand_in = mock.Mock(
        get_current_target=lambda: GPUTarget("cuda", capability, 32),
        get_current_device=lambda: capability,  # a number: Triton keeps the kernels of each device apart
    )
    with mock.patch.object(driver, "_active", stand_in):
        yield


def _name(function: str, options: dict[str, object]) -> str:
    if function == "level_kernel":
        return {0: "level 1", 1: "face", 2: "level 2"}[options["KIND"]]  # type: ignore[index]
    if function == "first_kernel":
        return "level 0, first layer"
    return "level 0, a layer" if options["SINE"] else "level 0, what level 1 starts from"


def _kernel(name: str, compiled: triton.compiler.CompiledKernel, capability: int, seconds: float) -> Kernel:
    registers, stack = _resources(compiled.asm["cubin"])
    shared, warps = compiled.metadata.shared, compiled.metadata.num_warps
    memory, most_warps = _MULTIPROCESSORS[capability]
    of_a_warp = 32 * (registers + -registers % 8)
    programs = min(_REGISTERS // (of_a_warp * warps), memory * 1024 // (shared + 1024), most_warps // warps)
    return Kernel(name, registers, stack, shared, warps, programs, compiled.asm["ptx"], seconds)


def _resources(binary: bytes) -> tuple[int, int]:
    """Registers and stack of a thread."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(binary)
        told = subprocess.run([tool, "-res-usage", path], check=True, capture_output=True, text=True).stdout
    registers, stack = _RESOURCES.search(told).groups()  # type: ignore[union-attr]
    return int(registers), int(stack)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpus", type=int, nargs="+", choices=_MULTIPROCESSORS, default=[80, 86, 90])
    print(f"Triton {triton.__version__}\n")
    print(
        "| GPU | kernel | registers | stack | shared memory | programs, warps a multiprocessor | products | compiled |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |")
    for capability in parser.parse_args().gpus:
        for kernel in compile_kernels(capability, random_poses(1)):
            print(
                f"| sm_{capability} | {kernel.name} | {kernel.registers} | {kernel.stack} B | "
                f"{kernel.shared / 1024:.0f} kB | {kernel.programs}, {kernel.programs * kernel.warps} | "
                f"{kernel.products} | {kernel.seconds:.1f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
