"""All that the pack uses of ComfyUI: devices, memory, progress, interrupts, the server, conversion of IMAGE and MASK;
`folders` has its folders.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import comfy.model_management as model_management
import comfy.utils
import numpy as np
import torch
from aiohttp import web
from comfy.cli_args import args
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from PIL import Image
from server import PromptServer
from torch import Tensor, nn

Interrupt = model_management.InterruptProcessingException
"""ComfyUI's exception after the user has pressed stop."""

ProgressBar = comfy.utils.ProgressBar
"""ComfyUI's bar; each new one starts from 0."""

_PREVIEW_SIZE = 512
_log = logging.getLogger("tha4")


def workflow_metadata(hidden: io.HiddenHolder) -> dict[str, str]:
    """The texts from which ComfyUI opens the workflow of a saved file; none where the user has disabled metadata."""
    if args.disable_metadata:
        return {}
    texts = {"prompt": hidden.prompt, **(hidden.extra_pnginfo or {})}
    return {name: json.dumps(content) for name, content in texts.items() if content}


def load_to_device(model: nn.Module, memory_required: int) -> torch.device:
    """Ask ComfyUI to bring a model to the device it computes on, with room for `memory_required` bytes beside it."""
    patcher = getattr(model, "comfy_patcher", None)
    if patcher is None:
        # It lives as long as the model: ComfyUI finds a model it has loaded before by its patcher.
        patcher = ModelPatcher(
            model, model_management.get_torch_device(), offload_device=model_management.unet_offload_device()
        )
        model.comfy_patcher = patcher
    model_management.load_models_gpu([patcher], memory_required=memory_required, force_full_load=True)
    return patcher.load_device


def chunk_size(memory_per_item: int, device: torch.device, at_most: int) -> int:
    """How many items of `memory_per_item` bytes to compute at once: one on the CPU, what fits elsewhere."""
    if model_management.is_device_cpu(device):
        return 1
    free = model_management.get_free_memory(device)
    return max(1, min(at_most, int(free * 0.8) // memory_per_item))


def in_chunks(
    count: int,
    size: int,
    run: Callable[[slice], Image.Image | Callable[[], Image.Image] | None],
) -> None:
    """Call `run` for one slice of `count` items after another, with progress, previews and interrupts.

    `run` returns the preview of what it has done, or a function that makes it, or None. Where memory runs out, the
    same items are tried again with half the chunk, down to one.
    """
    for _ in chunks(count, size, run):
        pass


def chunks(
    count: int,
    size: int,
    run: Callable[[slice], Image.Image | Callable[[], Image.Image] | None],
) -> Iterator[slice]:
    """As `in_chunks`, and yields every slice after it is done."""
    progress = comfy.utils.ProgressBar(count)
    start = 0
    while start < count:
        model_management.throw_exception_if_processing_interrupted()
        items = slice(start, min(start + size, count))
        try:
            preview = run(items)
        except Exception as error:
            if size == 1 or not _is_out_of_memory(error):
                raise
            size = max(1, size // 2)
            _log.warning("Out of memory with %d frames at once; trying again with %d.", items.stop - items.start, size)
            model_management.soft_empty_cache()
            continue
        yield items
        start = items.stop
        image = preview() if callable(preview) else preview
        progress.update_absolute(start, count, ("JPEG", image, _PREVIEW_SIZE) if image is not None else None)


def stop_if_interrupted() -> None:
    """Raise Interrupt where the user has pressed stop."""
    model_management.throw_exception_if_processing_interrupted()


@contextmanager
def interruptible(model: nn.Module, tick: Callable[[], None] = stop_if_interrupted) -> Iterator[None]:
    """Within it, `tick` is called before every layer that this thread computes; what it raises stops the model there.

    Without `tick` an interrupt stops the model.
    """
    thread = threading.get_ident()

    def before_layer(*_: object) -> None:
        if threading.get_ident() == thread:  # a preview is not stopped by a prompt's interrupt, nor takes it away
            tick()

    layers = (module for module in model.modules() if not any(module.children()))
    handles = [layer.register_forward_pre_hook(before_layer) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Download:
    """A download's progress, as ComfyUI shows it: a bar, and a line of text on the node. Passes interrupts on."""

    def __init__(self, node_id: str | None) -> None:
        self._node_id = node_id
        self._bar = comfy.utils.ProgressBar(100)
        self._last_text = ""

    def __call__(self, done: int, total: int | None, rate: float, text: str) -> None:
        """Report `done` of `total` bytes (None: unknown) at `rate` bytes a second, and what is being done."""
        model_management.throw_exception_if_processing_interrupted()
        line = f"{text}: {done / 1e6:.0f} MB" if done else text
        if done and total:
            line = f"{text}: {done / 1e6:.0f} of {total / 1e6:.0f} MB, {rate / 1e6:.1f} MB/s"
            self._bar.update_absolute(done, total)
        if line != self._last_text:
            self._last_text = line
            show_text(line, self._node_id)


def preferred_dtype() -> torch.dtype:
    """What ComfyUI would have a convolutional network compute in on its device."""
    device = model_management.get_torch_device()
    if model_management.is_device_cpu(device):
        return torch.float32
    if model_management.should_use_fp16(device):
        return torch.float16
    return torch.bfloat16 if model_management.should_use_bf16(device) else torch.float32


def send_event(name: str, data: dict[str, object]) -> None:
    """Send an event to the pages that are open."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.send_sync(name, data)


def show_text(text: str, node_id: str | None) -> None:
    """Show a text on a node while its graph runs and after."""
    server = getattr(PromptServer, "instance", None)
    if server is not None and node_id is not None:
        server.send_progress_text(text, node_id)


def routes() -> web.RouteTableDef | None:
    """Where routes of the server are declared while packs are loaded; None where there is no server."""
    server = getattr(PromptServer, "instance", None)
    return None if server is None else server.routes


def on_shutdown(callback: Callable[[web.Application], Awaitable[None]]) -> None:
    """Have the server call `callback` when it stops."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.app.on_shutdown.append(callback)


def setting(request: web.Request, name: str) -> object:
    """What the user who sends a request has set on the settings page; None where it is as it was at first."""
    server = getattr(PromptServer, "instance", None)
    if server is None:
        return None
    try:
        return server.user_manager.settings.get_settings(request).get(name)
    except web.HTTPUnauthorized:  # with --multi-user: the request names no user that there is
        return None


def is_prompt_running() -> bool:
    """Whether the server is executing a graph."""
    server = getattr(PromptServer, "instance", None)
    return server is not None and bool(server.prompt_queue.currently_running)


def has_gpu() -> bool:
    """Whether ComfyUI computes on another device than the CPU."""
    return not model_management.is_device_cpu(model_management.get_torch_device())


def idle_device(memory: int) -> torch.device:
    """An NVIDIA GPU while no graph runs and so many bytes are free on it, else the CPU."""
    device = model_management.get_torch_device()
    if device.type != "cuda" or is_prompt_running() or model_management.get_free_memory(device) < memory:
        return torch.device("cpu")
    return device


def queued_inputs(node_class: str) -> Iterator[tuple[str, dict[str, object]]]:
    """The inputs of all nodes of a class in the graphs that run or wait, each with the id of its graph's run."""
    server = getattr(PromptServer, "instance", None)
    if server is None:
        return
    running, waiting = server.prompt_queue.get_current_queue()
    for _, prompt_id, prompt, *_ in [*running, *waiting]:
        for node in prompt.values():
            if node.get("class_type") == node_class:
                yield prompt_id, node.get("inputs", {})


def running_prompt_id() -> str:
    """The id of the graph's run that the server executes; an empty text where there is none."""
    server = getattr(PromptServer, "instance", None)
    running = server.prompt_queue.get_current_queue()[0] if server is not None else []
    return str(running[0][1]) if running else ""


def output_device() -> torch.device:
    """Where IMAGE and MASK tensors live between nodes."""
    return model_management.intermediate_device()


def picture_from_image(image: Tensor, mask: Tensor | None) -> Image.Image:
    """One ComfyUI IMAGE `[1, H, W, 3 or 4]` and MASK `[1, h, w]` (1 = transparent) as Pillow's RGBA."""
    rgb = image[0, ..., :3]
    if mask is not None:
        # Load Image gives a small mask of zeros for a picture without alpha: resized, it says the same.
        resized = nn.functional.interpolate(mask[:1, None].float(), size=rgb.shape[:2], mode="bilinear")
        alpha = 1 - resized[0, 0, ..., None]
    elif image.shape[-1] == 4:
        alpha = image[0, ..., 3:]
    else:
        alpha = torch.ones_like(rgb[..., :1])
    return to_pillow(torch.cat([rgb, alpha.to(rgb)], dim=-1))


def to_pillow(picture: Tensor) -> Image.Image:
    """A tensor `[H, W, 3 or 4]` in 0..1 as a Pillow picture."""
    return Image.fromarray((picture.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy())


def to_image(picture: Image.Image) -> Tensor:
    """A Pillow picture as a ComfyUI IMAGE `[1, H, W, channels]`."""
    return torch.from_numpy(np.asarray(picture).astype(np.float32) / 255)[None]


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    # The CPU's and MPS's allocators have no exception of their own.
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
