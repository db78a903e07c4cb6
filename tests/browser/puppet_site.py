"""The student's page renderer without ComfyUI: a loopback server for its modules and students, and what they make."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from playwright.sync_api import Page
from torch import Tensor

import tha4_core as tha4
from tests.conftest import REPOSITORY
from tha4_core.pose import PARAMETERS

# SwiftShader computes WebGPU on the CPU; only with Graphite can Chromium show its canvas.
SOFTWARE_GPU = (
    *("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--use-vulkan=swiftshader"),
    *("--use-angle=swiftshader", "--enable-features=Vulkan,SkiaGraphite", "--disable-gpu-watchdog"),
)
"""Arguments of a Chromium that has a WebGPU adapter on a machine without a GPU."""

TO_BASE64 = """(array) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
}"""
_FOLDED = """async ([student, poses, tiles]) => {
    const { readSafetensors } = await import("/puppet/safetensors.js");
    const { foldStudent, entries } = await import("/puppet/weights.js");
    const { stageCode, tileHeight } = await import("/puppet/kernels.js");
    const base64 = TO_BASE64;
    const bytes = await (await fetch(`/students/${student}`)).arrayBuffer();
    const stages = foldStudent(readSafetensors(bytes).tensors);
    const folded = Object.entries(stages).map(([name, { layers, exit }]) => [name, {
        code: stageCode(name, stages, tiles, { floats: true }),
        height: tileHeight(name, tiles),
        outputs: exit.outputs,
        weights: [...layers, exit].map((layer) => base64(layer.weights)),
        biases: [...layers, exit].map((layer) => base64(layer.biases)),
    }]);
    const encode = (of) => Object.fromEntries(Object.entries(of).map(([name, array]) => [name, base64(array)]));
    return [Object.fromEntries(folded), poses.map((pose) => encode(entries(stages, pose)))];
}""".replace("TO_BASE64", TO_BASE64)


@contextmanager
def puppet_site(students: dict[str, Path]) -> Iterator[str]:
    """The address of a server with the modules below `/` and the students' files as `/students/NAME`."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def translate_path(self, path: str) -> str:
            folder, _, name = path.partition("?")[0].lstrip("/").rpartition("/")
            return str(students[name] if folder == "students" else REPOSITORY / "web" / "js" / folder / name)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def random_poses(count: int) -> Tensor:
    """Poses `[count, 45]` from all over the parameters' ranges."""
    low, high = (torch.tensor([getattr(p, end) for p in PARAMETERS]) for end in ("minimum", "maximum"))
    return low + (high - low) * torch.rand(count, 45, generator=torch.Generator().manual_seed(1))


def premultiplied(student: tha4.Student, poses: Tensor, size: int) -> NDArray[np.float32]:
    """The library's frames as a canvas has them: sRGB, premultiplied, `[N, size, size, 4]` in 0..1."""
    pictures = tha4.image.to_srgb(student.render(poses, size=size))
    alpha = pictures[..., 3:]
    return torch.cat([pictures[..., :3] * alpha, alpha], dim=-1).numpy()


def psnr(made: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Decibels between two pictures of 0..1."""
    error = np.square(made.astype(np.float64) - expected).mean()
    return float(10 * np.log10(1 / max(error, 1e-20)))


def levels_off(made: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """How many of 255 levels two pictures of 0..1 differ by, once rounded."""
    return np.abs(np.round(made * 255) - np.round(expected * 255))


def decode(text: str | list[str]) -> bytes:
    """Bytes that came from a page, joined."""
    return b"".join(base64.b64decode(part) for part in ([text] if isinstance(text, str) else text))


def folded(page: Page, student: str, poses: Tensor, tiles: int) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """A student's WGSL, weights and biases as the modules make them, and the entries of every pose."""
    stages, entries = page.evaluate(_FOLDED, [student, poses.tolist(), tiles])
    return stages, entries
