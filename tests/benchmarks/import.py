"""How long the pack takes to import: a table in Markdown.

    python -m tests.benchmarks.import [--repeats 5]

Every import is timed in a fresh process, after what is there anyway: PyTorch for the library, ComfyUI for the pack.
The processor's time is told beside the clock's, which on a busy machine is longer.
ComfyUI is the one in THA4_COMFYUI, else in .comfyui.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.benchmarks.student import machine
from tests.host.comfyui import PACK, prepare_base

COMFYUI = Path(os.environ.get("THA4_COMFYUI", PACK / ".comfyui")).resolve()

LIBRARY = """
import time, torch
start = time.perf_counter(), time.process_time()
import tha4_core
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""

NODES = """
import asyncio, importlib.util, sys, time
sys.path.insert(0, {comfyui!r})
import comfy.options
comfy.options.enable_args_parsing(False)
from comfy.cli_args import args
args.cpu = True
args.base_directory = {base!r}
import nodes, server, comfy_extras.nodes_images, comfy_extras.nodes_video
start = time.perf_counter(), time.process_time()
spec = importlib.util.spec_from_file_location("tha4", {pack!r} + "/__init__.py", submodule_search_locations=[{pack!r}])
pack = sys.modules["tha4"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pack)
async def look():
    for node in await (await pack.comfy_entrypoint()).get_node_list():
        node.GET_SCHEMA()
asyncio.run(look())
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"Machine: {machine('cpu')}.\n")
    print("| imported | seconds, median | from | to | of the processor |\n| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as base:
        prepare_base(Path(base))
        pack = NODES.format(comfyui=str(COMFYUI), base=base, pack=str(PACK))
        for what, script in (("`tha4_core`, beyond PyTorch", LIBRARY), ("the pack with its schemas, in ComfyUI", pack)):
            _seconds(script)  # compiles and fills the file cache
            wall, processor = zip(*(_seconds(script) for _ in range(repeats)), strict=True)
            print(f"| {what} | {median(wall):.3f} | {min(wall):.3f} | {max(wall):.3f} | {median(processor):.3f} |")


def _seconds(script: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", script], cwd=PACK, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [float(number) for number in done.stdout.splitlines()[-1].split()]


if __name__ == "__main__":
    main()
