"""What importing the pack brings into a ComfyUI process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.host.comfyui import PACK, prepare_base

PROBE = """
import asyncio, sys
sys.path.insert(0, {comfyui!r})
import comfy.options
comfy.options.enable_args_parsing(False)
from comfy.cli_args import args
args.cpu = True
args.base_directory = {base!r}
import nodes, comfy_extras.nodes_images
before = set(sys.modules)
assert asyncio.run(nodes.load_custom_node({pack!r}))
print(" ".join(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""


def test_import_brings_nothing_heavy(comfyui_folder: Path, tmp_path: Path) -> None:
    prepare_base(tmp_path)
    probe = PROBE.format(comfyui=str(comfyui_folder), base=str(tmp_path), pack=str(PACK))
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    new = set(done.stdout.splitlines()[-1].split())
    ours = {name for name in new if name.startswith(str(PACK).partition(".")[0])}
    assert ours
    # ComfyUI itself brings these when it reads a pack's pyproject.toml, and its own types of videos are no weight.
    assert new - ours - sys.stdlib_module_names <= {
        "comfy_api",
        "comfy_config",
        "dotenv",
        "pydantic",
        "pydantic_settings",
    }


def test_the_library_imports_nothing_heavy() -> None:
    probe = "import sys, tha4_core; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=PACK)
    assert not {"huggingface_hub", "scipy", "yaml", "comfy", "requests", "httpx"} & set(done.stdout.split())
