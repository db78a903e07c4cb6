"""Everything that a GPU is asked for, in ten minutes: student, teacher and training, as tables in Markdown and as JSON.

    python -m tests.benchmarks.gpu [--device cuda] [--seconds 540] [--parts student teacher ...] [--json FILE]

It needs no ComfyUI, no published weights and no network: the demo's student, the rig, and random weights of a teacher's
shapes. Every line is printed, and written to the JSON file, as soon as it is measured. A part or a line that fails does
not stop the others, and a part whose time is over leaves the rest of its lines out. On a CPU everything is small: it
shows that the script works, no more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

from tests.benchmarks._parts import Bench, Row, run_parts, tried
from tests.benchmarks.student import random_poses
from tests.recipe import recipe_tensor
from tha4_core.demo import DEMO_STUDENT, DemoRig, demo_character
from tha4_core.distill import PRESETS, Preset, evaluate, sample_poses
from tha4_core.distill.batches import BodySampler, FaceSampler, generator, load_faces
from tha4_core.distill.gpu_targets import GPUBodySampler
from tha4_core.distill.gpu_trainer import GPUTrainer
from tha4_core.distill.initialisation import initialise
from tha4_core.distill.target_cache import TargetCache, compute_targets
from tha4_core.distill.trainer import Trainer, matrix_precision
from tha4_core.picture.character import Character
from tha4_core.student import Student, gpu, renderer
from tha4_core.teacher import Targets, Teacher

LEVELS = (30.0, 33.0, 36.0)  # dB
_HELD_OUT = 8
TEACHER_PRECISIONS = {
    "float16": torch.float16,
    "float32": torch.float32,
    "TF32": torch.float32,
    "bfloat16": torch.bfloat16,
}
_TEACHER_TFLOP = 0.626  # a pose's, without the eyebrow decomposer, which runs once a character


def main() -> int:
    """Measure the parts that were asked for; 1 where one of them failed or was stopped."""
    options = _options()
    bench = Bench(torch.device(options.device), options.seconds, options.json)
    return run_parts(bench, {name: (PARTS[name], SHARES[name]) for name in options.parts})


# The student


def student_latency(bench: Bench) -> Iterator[Row]:
    """One pose: each kernel by itself and as a CUDA graph."""
    student = Student.load(DEMO_STUDENT).to(bench.device)
    pose = random_poses(1).to(bench.device)
    for size in (64,) if bench.is_small else (256, 512, 1024):
        exact = _frames(student, size, None, pose)
        for name, kernel in _kernels(bench):
            if bench.is_over:
                return
            render, graph = (partial(make, student, size, kernel, pose) for make in (_frames, _graph))
            yield {"size": size, "kernel": name} | tried(partial(_latency, bench, render, exact, graph))
        # What a user has: the autotuner's choice, with a graph where that is faster.
        chosen = partial(student.render, pose, size=size)
        yield {"size": size, "kernel": "as chosen"} | tried(partial(_latency, bench, chosen, exact))


def _latency(
    bench: Bench, render: Callable[[], Tensor], exact: Tensor, graph: Callable[[], Callable[[], Tensor]] | None = None
) -> Row:
    peak, start = bench.peak(), time.perf_counter()
    likeness = gpu.psnr(render(), exact)
    first, seconds = time.perf_counter() - start, bench.timed(render, 0.5)
    row: Row = {"first, s": first, "ms": seconds * 1e3, "with graph, ms": "", "dB": likeness, "graph, dB": ""}
    if bench.device.type == "cuda" and graph is not None:
        try:
            replay = graph()
            row["with graph, ms"] = bench.timed(replay, 0.5) * 1e3
            row["graph, dB"] = gpu.psnr(replay(), exact)
        except RuntimeError as error:
            row["with graph, ms"] = str(error)[:200]
    return row | {"peak MB": peak()}


def student_throughput(bench: Bench) -> Iterator[Row]:
    """Many poses at once."""
    student = Student.load(DEMO_STUDENT).to(bench.device)
    for size in (64,) if bench.is_small else (256, 512, 1024):
        for count in (2,) if bench.is_small else (16, 64):
            poses = random_poses(count).to(bench.device)
            for name, kernel in _kernels(bench):
                if bench.is_over:
                    return
                run = partial(_throughput, bench, partial(_frames, student, size, kernel, poses), count)
                yield {"size": size, "poses": count, "kernel": name} | tried(run)


def _throughput(bench: Bench, render: Callable[[], Tensor], count: int) -> Row:
    peak = bench.peak()
    seconds = bench.timed(render)
    return {"frames a second": count / seconds, "ms a frame": seconds / count * 1e3, "peak MB": peak()}


def _kernels(bench: Bench) -> list[tuple[str, gpu.Kernel | None]]:
    kernels: dict[str, gpu.Kernel | None] = {"float32": None, **gpu.KERNELS}
    if bench.device.type != "cuda":
        del kernels["fused float16"]  # Triton's interpreter takes minutes
    return list(kernels.items())


def _frames(student: Student, size: int, kernel: gpu.Kernel | None, poses: Tensor) -> Tensor:
    return renderer.render(student.face_morpher, student.body_morpher, student.image, poses, size, None, kernel)


def _graph(student: Student, size: int, kernel: gpu.Kernel | None, pose: Tensor) -> Callable[[], Tensor]:
    """The same as a CUDA graph."""
    return partial(gpu.capture_cuda_graph(partial(_frames, student, size, kernel), pose), pose)


# The teacher


def teacher(bench: Bench) -> Iterator[Row]:
    """Frames by precision and batch, and how long 1,000 poses to learn from take."""
    character, poses = demo_character(), sample_poses(32, 0)
    weights = {
        network: {key: recipe_tensor(network, key, list(shape)) for key, shape in shapes.items()}
        for network, shapes in Teacher.shapes().items()
    }
    with _convolutions(tf32=False):
        exact = Teacher.from_state_dicts(weights).to(bench.device).targets(character, poses[:1]).frame
    for name, precision in {"float32": torch.float32}.items() if bench.is_small else TEACHER_PRECISIONS.items():
        make = partial(Teacher.from_state_dicts, weights, precision)
        yield from _of_precision(bench, name, make, character, poses, exact)  # one teacher at a time takes memory


def _of_precision(
    bench: Bench, name: str, make: Callable[[], Teacher], character: Character, poses: Tensor, exact: Tensor
) -> Iterator[Row]:
    made = make().to(bench.device)
    for batch in (1,) if bench.is_small else (1, 4, 8, 16, 32):
        if bench.is_over:
            return
        render = partial(made.targets, character, poses[:batch])
        with _convolutions(tf32=name == "TF32"):
            yield {"precision": name, "poses at once": batch} | tried(partial(_teacher, bench, render, exact))


@contextmanager
def _convolutions(*, tf32: bool) -> Iterator[None]:
    """PyTorch's convolutions of float32 are TF32 unless told otherwise; matrix products the other way round."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        with matrix_precision("tf32" if tf32 else "float32"):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _teacher(bench: Bench, render: Callable[[], Targets], exact: Tensor) -> Row:
    peak = bench.peak()
    seconds = bench.timed(render)
    frames = render().frame
    seconds /= len(frames)
    return {
        "ms a frame": seconds * 1e3,
        "frames a second": 1 / seconds,
        "s for 1,000": 1000 * seconds,
        "TFLOP/s": _TEACHER_TFLOP / seconds,
        "dB": gpu.psnr(frames[:1], exact),
        "peak MB": peak(),
    }


# Training


def training(bench: Bench) -> Iterator[Row]:
    """Steps and examples a second, by preset and by the size that the body is sampled at."""
    with tempfile.TemporaryDirectory() as folder:
        targets = _targets(bench, Path(folder), 8 if bench.is_small else 200, 0)
        with targets, matrix_precision("tf32"):
            for name, preset in _presets(bench).items():
                for trainer in TRAINERS:
                    for size in (128, 512):
                        if bench.is_over:
                            return
                        row = tried(partial(_steps, bench, trainer, preset, targets, size))
                        yield {"preset": name, "trainer": trainer, "size": size} | row


def _steps(bench: Bench, kind: str, preset: Preset, targets: TargetCache, size: int) -> Row:
    preset = preset.over(10**6)  # more than there is time for
    peak, trainer = bench.peak(), TRAINERS[kind](bench, preset, targets)
    trainer.progress.step = 0 if size == 128 else preset.steps // 2
    seconds = 0.2 if bench.is_small else 1.5
    _train_for(trainer, seconds)  # until its blocks of steps are as long as they get
    start, first = time.perf_counter(), trainer.progress.step
    _train_for(trainer, seconds)
    bench.finish()
    rate = (trainer.progress.step - first) / (time.perf_counter() - start)
    return {
        "steps a second": rate,
        "crops a second": rate * preset.crops,
        "face pixels a second": rate * preset.face_pixels,
        "peak MB": peak(),
    }


def _train_for(trainer: Trainer, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not trainer.done:
        trainer.step()


def sameness(bench: Bench) -> Iterator[Row]:
    """How far the GPU's trainer is from the plain one after a few steps of each size; TF32 would hide it."""
    with tempfile.TemporaryDirectory() as folder:
        preset = Preset("check", "", 8, 20, 1024, 64, 4)
        with _targets(bench, Path(folder), preset.poses, 0) as targets:
            trainers = [make(bench, preset, targets) for make in TRAINERS.values()]
            for trainer in trainers:
                while not trainer.done:
                    trainer.step()
            plain, ours = ([p.detach().flatten() for p in t.student.parameters()] for t in trainers)
            apart = max(float((a - b).norm() / a.norm()) for a, b in zip(plain, ours, strict=True))
            yield {"steps": preset.steps, "weights apart, relative": apart, "within 1e-3": apart < 1e-3}


def quality(bench: Bench) -> Iterator[Row]:
    """Seconds of training to reach each of LEVELS over the rig's figure, on poses that were not trained on."""
    with tempfile.TemporaryDirectory() as folder, matrix_precision("tf32"):
        start = time.monotonic()
        targets = _targets(bench, Path(folder) / "all", 8 if bench.is_small else 300, 0)
        held_out = _targets(bench, Path(folder) / "held out", 1 if bench.is_small else _HELD_OUT, 2**31 - 1)
        yield {"rig's frames, s": time.monotonic() - start}
        with targets, held_out:
            presets = {name: preset for name, preset in _presets(bench).items() if name != "best"}
            for number, (name, preset) in enumerate(presets.items()):
                share = (bench.end - time.monotonic()) / (len(presets) - number)
                if share > 0 or bench.is_small:
                    yield {"preset": name} | tried(partial(_curve, bench, preset, targets, held_out, share))


def _curve(bench: Bench, preset: Preset, targets: TargetCache, held_out: TargetCache, seconds: float) -> Row:
    """A whole training, over fewer steps where the preset's take longer than these seconds."""
    trainer = _after(bench, preset, targets)
    start = time.perf_counter()
    _train_for(trainer, 0.1 * seconds)
    rate = trainer.progress.step / (time.perf_counter() - start)
    steps = min(preset.steps, max(4, int(0.7 * seconds * rate)))
    trainer = _after(bench, preset.over(steps), targets)
    spent, psnr = 0.0, 0.0
    reached: dict[float, str] = {}
    while not trainer.done:
        start, until = time.perf_counter(), trainer.progress.step + steps // 30
        while trainer.progress.step <= until and not trainer.done:
            trainer.step()
        bench.finish()
        spent += time.perf_counter() - start
        psnr = evaluate(trainer.student, held_out).figure_psnr
        for level in LEVELS:
            if psnr >= level:
                reached.setdefault(level, f"{spent:.1f}")
    return {
        "steps": f"{steps} of {preset.steps}",
        "s": spent,
        **{f"{level:.0f} dB after s": reached.get(level, "not reached") for level in LEVELS},
        "end, dB": psnr,
    }


def _presets(bench: Bench) -> dict[str, Preset]:
    if bench.is_small:
        return {"tiny": Preset("tiny", "", 8, 4, 256, 8, 4)}
    return {name: preset for name, preset in PRESETS.items() if not preset.published and name != "draft"}


def _targets(bench: Bench, folder: Path, count: int, seed: int) -> TargetCache:
    poses = sample_poses(count, seed)
    with torch.inference_mode():
        rig = DemoRig().to(bench.device)
        compute_targets(folder, demo_character(), rig, poses, lambda done: None, at_once=1 if bench.is_small else 4)
    return TargetCache(folder, poses)


def _before(bench: Bench, preset: Preset, targets: TargetCache) -> Trainer:
    student, faces, face = _to_train(bench, targets)
    return Trainer(student, face, BodySampler(targets, faces, student.image), preset, 0, lambda: None)


def _after(bench: Bench, preset: Preset, targets: TargetCache) -> Trainer:
    student, faces, face = _to_train(bench, targets)
    return GPUTrainer(student, face, GPUBodySampler(targets, faces, student.image), preset, 0, lambda: None)


def _to_train(bench: Bench, targets: TargetCache) -> tuple[Student, Tensor, FaceSampler]:
    student = Student(demo_character())
    initialise(student.face_morpher, student.body_morpher, generator(0, 0, 2), published=False)
    student.to(bench.device)
    faces = load_faces(targets, bench.device)
    return student, faces, FaceSampler(targets, faces, DemoRig().face_mask(demo_character()))


TRAINERS = {"plain": _before, "GPU's": _after}

PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "student, one pose": student_latency,
    "student, many poses": student_throughput,
    "teacher": teacher,
    "training is the same": sameness,
    "training": training,
    "quality": quality,
}
SHARES = {
    "student, one pose": 12,
    "student, many poses": 12,
    "teacher": 22,
    "training is the same": 3,
    "training": 14,
    "quality": 40,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=540.0, help="for all parts together (default 540)")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, help="also write all lines to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
