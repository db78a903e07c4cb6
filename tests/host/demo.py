"""Render an example workflow in a real ComfyUI and say where the moving picture is."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from .comfyui import PACK, Prompt, api_form, running

WORKFLOWS = PACK / "example_workflows"
OUTPUT = PACK / "output"


def main() -> int:
    """Parse the command line, render, print the path of what was made."""
    parser = argparse.ArgumentParser()
    parser.add_argument("comfyui", type=Path)
    parser.add_argument("--character", type=Path)
    arguments = parser.parse_args()
    start = time.monotonic()
    picture = render(arguments.comfyui, arguments.character)
    print(f"{picture} ({time.monotonic() - start:.0f} s)")
    return 0


def render(comfyui: Path, character: Path | None) -> Path:
    """Queue the student's template, with the demo's or one's own; the animated WEBP that it saved, in output/."""
    base = OUTPUT / "comfyui"
    student = _install(character, base) if character else None
    workflow = WORKFLOWS / "06 Fast student.json"
    print(f"Starting ComfyUI ({comfyui}) ...", flush=True)
    with running(comfyui, base) as server:
        prompt = api_form(json.loads(workflow.read_text()), server.get("/object_info"))
        if student:
            _of_class(prompt, "THA4LoadStudent")["inputs"]["student"] = student
        run = server.queue(prompt, _show_progress)
        print(flush=True)
        if run.error or not run.history:
            sys.exit(f"ComfyUI reports: {run.error or 'nothing'} (its log: {base / 'comfyui.log'})")
        shown = [image for output in run.history["outputs"].values() for image in output.get("images", [])]
        picture = OUTPUT / "demo.webp"
        saved = (server.file(image) for image in shown if image["type"] == "output")
        shutil.copy(next(file for file in saved if file.suffix == ".webp"), picture)
    return picture


def _install(character: Path, base: Path) -> str:
    """Put a student where ComfyUI looks for it; the name by which Load Student lists it."""
    folder = base / "models" / "tha4" / "students"
    folder.mkdir(parents=True, exist_ok=True)
    if character.is_dir():
        shutil.copytree(character, folder / character.name, dirs_exist_ok=True, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(character, folder / character.name)
    return character.name


def _of_class(prompt: Prompt, class_type: str) -> dict[str, Any]:
    return next(node for node in prompt.values() if node["class_type"] == class_type)


def _show_progress(event: dict[str, Any]) -> None:
    if event["type"] == "progress":
        print(f"\r  {event['data']['value']} of {event['data']['max']} frames", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
