"""Memory and time of saving a student's VIDEO, a long one beside a short one: a table in Markdown.

    python -m tests.benchmarks.video [--seconds 10 600] [--size 256] [--format mp4] [--student PATH]

Every video is made by Render Video and encoded as Save Video with Alpha does it, in a fresh process that has ComfyUI
and the pack loaded. Peak memory is that of the process. The last column is the time to render frames without encoding
or keeping them.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tests.benchmarks.student import load_student, machine, peak_memory, random_poses
from tests.host.comfyui import PACK, prepare_base

FPS = 30.0
RENDERED = 60  # frames that are only rendered, for comparison


def main() -> None:
    arguments = _arguments()
    if arguments.child:
        _save(arguments)
        return
    print(f"Machine: {machine('cpu')}. {arguments.size} pixels, {FPS:.0f} frames a second, {arguments.format}.\n")
    print("| video | file | peak memory | of which before saving | a frame | a frame, rendered only |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    peaks = []
    for seconds in arguments.seconds:
        result = _in_a_process(arguments, seconds)
        peaks.append(result["peak"])
        print(
            f"| {seconds:.0f} s, {result['frames']} frames | {result['bytes'] / 1e6:.1f} MB | {result['peak']:.0f} MB "
            f"| {result['before']:.0f} MB | {result['saving'] * 1e3:.1f} ms | {result['rendering'] * 1e3:.1f} ms |",
            flush=True,
        )
    print(f"\nPeak memory of the longest beyond that of the shortest: {peaks[-1] - peaks[0]:.0f} MB.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 600])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--format", default="mp4")
    parser.add_argument("--student", type=Path, help="a published folder or a .safetensors")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_a_process(arguments: argparse.Namespace, seconds: float) -> dict[str, Any]:
    options = ["--seconds", str(seconds), "--size", str(arguments.size), "--format", arguments.format, "--child"]
    options += ["--student", str(arguments.student.resolve())] if arguments.student else []
    command = [sys.executable, "-m", "tests.benchmarks.video", *options]
    done = subprocess.run(command, cwd=PACK, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _save(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as base:
        pack = _load_pack(Path(base))
        core = load_student(arguments.student)
        poses = _motion(round(arguments.seconds[0] * FPS))
        inputs = {"background": "none", "background_color": "#808080", "size": arguments.size}
        render = pack.nodes.video.RenderVideo.PREPARE_CLASS_CLONE({"hidden_inputs": {}})
        video = render.EXECUTE_NORMALIZED(student=core, poses=pack.tha4_core.pose.Poses(poses, FPS), **inputs).result[0]
        before, start = peak_memory(), time.perf_counter()
        for _ in video.job.part(slice(0, RENDERED)).frames(previews=False):
            pass
        rendering, start = (time.perf_counter() - start) / RENDERED, time.perf_counter()
        path, kind = Path(base) / "output" / f"x.{arguments.format}", pack.tha4_core.video.FORMATS[arguments.format]
        pack.tha4_core.video.save(video.to_video(kind.alpha_pixels is not None, {}), path, kind)
        saving = (time.perf_counter() - start) / len(poses)
        result = {"frames": len(poses), "bytes": path.stat().st_size, "peak": peak_memory(), "before": before}
        print(json.dumps(result | {"saving": saving, "rendering": rendering}))


def _motion(frames: int) -> torch.Tensor:
    """Random poses two seconds apart, and what is between them: every frame has another face."""
    keys = random_poses(2 + frames // 60)
    between = torch.nn.functional.interpolate(keys.T[None], scale_factor=60, mode="linear")[0].T
    return between[:frames]


def _load_pack(base: Path) -> ModuleType:
    comfyui = importlib.import_module("tests.benchmarks.import").COMFYUI
    prepare_base(base)
    sys.path.insert(0, str(comfyui))
    import comfy.options

    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args

    args.cpu, args.base_directory = not torch.cuda.is_available(), str(base)
    spec = importlib.util.spec_from_file_location("tha4", PACK / "__init__.py", submodule_search_locations=[str(PACK)])
    pack = sys.modules["tha4"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    asyncio.run(pack.comfy_entrypoint())
    return pack


if __name__ == "__main__":
    main()
