"""A real ComfyUI as a process: start it with this pack in it, queue workflows over HTTP, watch its websocket."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

PACK = Path(__file__).resolve().parents[2]
START_TIMEOUT = 180.0
# The first four bytes of a binary message say what it carries: a preview image, or a text for a node.
PREVIEW_EVENT, TEXT_EVENT = 1, 3

Prompt = dict[str, dict[str, Any]]


@dataclass
class Run:
    """What came of one queued prompt."""

    prompt_id: str
    events: list[dict[str, Any]] = field(default_factory=list)
    previews: int = 0
    texts: list[str] = field(default_factory=list)
    history: dict[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """The text of the error panel, or nothing."""
        return next((e["data"]["exception_message"] for e in self.events if e["type"] == "execution_error"), "")

    @property
    def interrupted(self) -> bool:
        return any(event["type"] == "execution_interrupted" for event in self.events)

    def outputs(self, node: str) -> dict[str, Any]:
        """What a node of the prompt showed or saved."""
        return self.history["outputs"][node]


class ComfyUI:
    """A running ComfyUI, by its address."""

    def __init__(self, base: Path, port: int, pid: int = 0) -> None:
        self.base, self.pid = base, pid
        self.address = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, content: object) -> Any:
        body = json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"ComfyUI refused {path}: {error.read().decode()}") from error

    def queue(self, prompt: Prompt, on_event: Callable[[dict[str, Any]], None] = lambda event: None) -> Run:
        """Queue a prompt (API form), watch it to its end, and return all that was seen."""
        return asyncio.run(self._queue(prompt, on_event))

    async def _queue(self, prompt: Prompt, on_event: Callable[[dict[str, Any]], None]) -> Run:
        client = uuid.uuid4().hex
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.address}/ws?clientId={client}", max_msg_size=0) as socket_,
        ):
            answer = await asyncio.to_thread(self.post, "/prompt", {"prompt": prompt, "client_id": client})
            if answer["node_errors"]:  # the server runs whatever part of the graph is right
                raise RuntimeError(f"ComfyUI refused a part of the prompt: {answer['node_errors']}")
            run = Run(answer["prompt_id"])
            async for message in socket_:
                if message.type == aiohttp.WSMsgType.BINARY:
                    kind = int.from_bytes(message.data[:4], "big")
                    run.previews += kind == PREVIEW_EVENT
                    if kind == TEXT_EVENT:
                        text = message.data[8 + int.from_bytes(message.data[4:8], "big") :]
                        run.texts.append(text.decode())
                    continue
                event = json.loads(message.data)
                run.events.append(event)
                on_event(event)
                # Only this one says that the history is written.
                if event["type"] == "executing" and event["data"]["node"] is None:
                    break
        run.history = self.get(f"/history/{run.prompt_id}").get(run.prompt_id, {})
        return run

    def file(self, saved: dict[str, str]) -> Path:
        """The path of a file that a node's outputs name."""
        return self.base / saved["type"] / saved["subfolder"] / saved["filename"]


@contextmanager
def running(
    comfyui: Path,
    base: Path,
    python: str = sys.executable,
    arguments: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[ComfyUI]:
    """Start the ComfyUI in `comfyui` with only this pack, its folders in `base`, and stop it afterwards.

    `environment` is added to the variables of this process.
    """
    prepare_base(base)
    port = _free_port()
    log = base / "comfyui.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [python, "main.py", *server_arguments(base, port), *arguments],
            cwd=comfyui,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=output,
        )
    try:
        server = ComfyUI(base, port, process.pid)
        _wait_until_ready(server, process, log)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def prepare_base(base: Path) -> None:
    """Make ComfyUI's folders below `base`, with this pack among the custom nodes."""
    for folder in ("custom_nodes", "user", "input", "output", "temp", "models/tha4/students", "models/tha4/characters"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    pack = base / "custom_nodes" / "tha4"
    if pack.exists():
        return
    try:
        os.symlink(PACK, pack, target_is_directory=True)
    except OSError:  # Windows without developer mode
        shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns(".*", "output", "tests"))


def server_arguments(base: Path, port: int) -> list[str]:
    """The command line of a ComfyUI that has its folders in `base` and loads only this pack."""
    return [
        *("--listen", "127.0.0.1", "--port", str(port), "--base-directory", str(base)),
        *("--database-url", "sqlite:///:memory:", "--disable-all-custom-nodes", "--whitelist-custom-nodes", "tha4"),
        *("--disable-api-nodes", "--disable-auto-launch"),
        *(() if _has_gpu() else ("--cpu",)),
    ]


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_ready(server: ComfyUI, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.get("/system_stats")
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"ComfyUI did not start:\n{log.read_text()[-4000:]}")


def api_form(workflow: dict[str, Any], node_info: dict[str, Any]) -> Prompt:
    """A workflow as the page saves it, in the form that the server queues (`node_info` is its /object_info).

    As the page does it: linked inputs by their link, the others from the widgets' values in order. Muted and bypassed
    nodes and notes are left out; subgraphs are not unfolded.
    """
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    return {
        str(node["id"]): {"class_type": node["type"], "inputs": _inputs(node, node_info[node["type"]]["input"], links)}
        for node in workflow["nodes"]
        if node["type"] in node_info and node.get("mode", 0) == 0
    }


def _default(kind: Any, settings: dict[str, Any]) -> Any:
    """What a widget shows that came after the workflow was saved."""
    options = kind if isinstance(kind, list) else settings.get("options", [])
    return settings.get("default", options[0] if options else None)


def _inputs(node: dict[str, Any], declared: dict[str, Any], links: dict[int, list[Any]]) -> dict[str, Any]:
    values = iter(node.get("widgets_values", []))
    inputs: dict[str, Any] = {}
    for name, (kind, *options) in (declared.get("required", {}) | declared.get("optional", {})).items():
        settings = options[0] if options else {}
        is_widget = isinstance(kind, list) or kind in ("COMBO", "INT", "FLOAT", "STRING", "BOOLEAN", "WEBCAM")
        if is_widget and not settings.get("forceInput"):
            inputs[name] = next(values, _default(kind, settings))
            if settings.get("control_after_generate"):
                next(values, None)
    linked = {socket["name"]: links[socket["link"]] for socket in node.get("inputs", []) if socket.get("link")}
    return inputs | linked
