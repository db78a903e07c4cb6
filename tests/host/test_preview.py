"""Which device renders previews. A GPU is not at hand: PyTorch's meta device stands in for it, and what says so."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from tests.elsewhere import ELSEWHERE, LikeMPS
from tests.host.pack import pack_module
from tha4_core.pose import make_pose

GPU = torch.device("cuda", 0)


@pytest.fixture
def preview(call: Callable[..., Any]) -> Iterator[Any]:
    """The module of previews, as ComfyUI loaded it."""
    module = pack_module("nodes.page.preview")
    module._student_cache.clear()
    module._rigs.clear()
    yield module
    module._student_cache.clear()
    module._rigs.clear()


@pytest.mark.parametrize(
    ("device", "running", "free", "wanted"),
    [
        (GPU, False, 2**31, GPU),
        (GPU, True, 2**31, torch.device("cpu")),
        (GPU, False, 2**29, torch.device("cpu")),
        (torch.device("cpu"), False, 2**31, torch.device("cpu")),
    ],
)
def test_a_gpu_that_nobody_uses_renders_previews(
    call: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    device: torch.device,
    running: bool,
    free: int,
    wanted: torch.device,
) -> None:
    host = pack_module("nodes.host")
    monkeypatch.setattr(host, "is_prompt_running", lambda: running)
    monkeypatch.setattr(host.model_management, "get_torch_device", lambda: device)
    monkeypatch.setattr(host.model_management, "get_free_memory", lambda device: free)
    assert host.idle_device(2**30) == wanted


@pytest.mark.parametrize("kind", ["student", "rig"])
@pytest.mark.filterwarnings("ignore:.*no-op")  # weights that have no numbers are moved
def test_a_preview_is_rendered_there_and_leaves_when_a_graph_runs(
    preview: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    devices = [ELSEWHERE, torch.device("cpu")]
    monkeypatch.setattr(preview.host, "idle_device", lambda memory: devices[0])
    request = preview.FrameRequest(kind, "demo", make_pose({}), 64, lossless=True)
    with LikeMPS(), monkeypatch.context() as patch:
        # The rig compares the picture with its own, which has no numbers there and comes back as zeros.
        character = preview.demo_character()
        nothing = replace(character, picture=torch.zeros_like(character.picture))
        patch.setattr(preview, "demo_character", lambda: nothing)
        elsewhere = preview.render(request, lambda: None)
    assert Image.open(io.BytesIO(elsewhere)).size == (64, 64)
    assert [*_devices(preview)] == [ELSEWHERE]
    devices.pop(0)
    here = preview.render(request, lambda: None)
    assert here != elsewhere  # which has no numbers
    assert [*_devices(preview)] == [torch.device("cpu")]


def _devices(preview: Any) -> Iterator[torch.device]:
    """Where students and rigs are kept."""
    yield from (device for _, device in preview._student_cache)
    yield from preview._rigs
