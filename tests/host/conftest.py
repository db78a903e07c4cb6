"""A real ComfyUI for the tests: one in this process for single nodes, one as a server for whole graphs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.comfyui import PACK, ComfyUI, prepare_base, running

COMFYUI = Path(os.environ.get("THA4_COMFYUI", PACK / ".comfyui"))


@pytest.fixture(scope="session")
def comfyui_folder() -> Path:
    if not (COMFYUI / "main.py").is_file():
        pytest.fail(f"There is no ComfyUI in {COMFYUI}. Run these tests with: python3 dev.py test")
    return COMFYUI


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, lambda_00: Path) -> Path:
    """ComfyUI's folders, with the published character among its students."""
    base = tmp_path_factory.mktemp("comfyui")
    prepare_base(base)
    (base / "models" / "tha4" / "students" / "lambda_00").symlink_to(lambda_00)
    shutil.copyfile(lambda_00 / "character.png", base / "input" / "lambda_00.png")
    return base


@pytest.fixture(scope="session")
def server(comfyui_folder: Path, base: Path) -> Iterator[ComfyUI]:
    """A ComfyUI server with this pack."""
    with running(comfyui_folder, base) as server:
        yield server


@pytest.fixture(scope="session")
def call(comfyui_folder: Path, base: Path) -> Callable[..., Any]:
    """Execute one of the pack's nodes inside a ComfyUI in this process: `call("THA4LoadStudent", student="x")`."""
    classes = _load_pack(comfyui_folder, base)

    def call(node_id: str, **inputs: Any) -> tuple[Any, ...]:
        node = classes[node_id].PREPARE_CLASS_CLONE({"hidden_inputs": {}})
        return node.EXECUTE_NORMALIZED(**inputs).result

    return call


def _load_pack(comfyui_folder: Path, base: Path) -> dict[str, Any]:
    # ComfyUI's modules have everyday names (nodes, server, utils); they must be found before the pack's own.
    sys.path.insert(0, str(comfyui_folder))
    import comfy.options

    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args

    args.cpu = True
    args.base_directory = str(base)
    import folder_paths

    import nodes

    folder_paths.models_dir = str(base / "models")
    folder_paths.set_temp_directory(str(base / "temp"))
    assert asyncio.run(nodes.load_custom_node(str(PACK)))
    return nodes.NODE_CLASS_MAPPINGS


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spoken sentence."""
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("ESPEAK-NG IS NOT INSTALLED: lip sync is not tried on speech")
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    subprocess.run([program, "-w", str(path), "Hello there, how are you?"], check=True)
    return path
