"""What a teacher does with CUDA graphs. A stand-in for PyTorch's own is captured: that needs a GPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.elsewhere import ELSEWHERE, NothingOnTheCPU
from tha4_core import cuda_graph
from tha4_core.demo import demo_character
from tha4_core.teacher.pipeline import ARCHITECTURES
from tha4_core.teacher.stage_graphs import StageGraphs

Images = dict[str, Tensor]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens with graphs: "aside", "capture", "repeat". A captured function runs again into the same memory."""
    events: list[str] = []

    def run_aside(work: Callable[[], Images], device: torch.device) -> Images:
        events.append("aside")
        return work()

    def capture(work: Callable[[], Images], device: torch.device) -> tuple[Callable[[], None], Images]:
        events.append("capture")
        images = {name: torch.full_like(image, float("nan")) for name, image in work().items()}

        def repeat() -> None:
            events.append("repeat")
            for name, image in work().items():
                images[name].copy_(image)

        return repeat, images

    monkeypatch.setattr(cuda_graph, "run_aside", run_aside)
    monkeypatch.setattr(cuda_graph, "capture", capture)
    monkeypatch.setattr(cuda_graph, "is_available", lambda device: True)
    return events


def test_a_shape_that_comes_twice_is_captured(events: list[str]) -> None:
    graphs, module = StageGraphs(), nn.Linear(2, 2)

    def stage(x: Tensor) -> Images:
        return {"image": module(x)}

    made = []
    with torch.inference_mode():  # as in ComfyUI
        for count in (3, 3, 3, 1):
            x = torch.rand(count, 2)
            made.append((graphs.run(module, stage, x)["image"], module(x)))
    assert events == ["aside", "capture", "repeat", "repeat", "aside"]
    for image, wanted in made:  # later replays have not painted over earlier images
        assert torch.equal(image, wanted)


def test_weights_that_have_moved_are_captured_anew(events: list[str]) -> None:
    graphs, module, x = StageGraphs(), nn.Linear(2, 2), torch.rand(1, 2)
    for _ in range(2):
        graphs.run(module, lambda x: {"image": module(x)}, x)
    module.weight.data = module.weight.data.clone() + 1
    image = graphs.run(module, lambda x: {"image": module(x)}, x)["image"]
    assert torch.equal(image, module(x))
    assert events == ["aside", "capture", "repeat", "aside"]


def test_a_thread_that_must_not_capture_replays_what_another_has_captured(events: list[str]) -> None:
    graphs, module, x = StageGraphs(), nn.Linear(2, 2), torch.rand(1, 2)

    def render() -> None:
        assert torch.equal(graphs.run(module, lambda x: {"image": module(x)}, x)["image"], module(x))

    with cuda_graph.forbidden():
        render()
        render()
    assert events == ["aside", "aside"]
    render()
    with cuda_graph.forbidden():
        render()
    assert events[2:] == ["capture", "repeat", "repeat"]


def test_what_cannot_be_captured_runs_as_it_is(
    events: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(work: Callable[[], Images], device: torch.device) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(cuda_graph, "capture", refused)
    graphs, module, x = StageGraphs(), nn.Linear(2, 2), torch.rand(1, 2)
    caplog.set_level("INFO", "tha4")
    for _ in range(3):
        assert torch.equal(graphs.run(module, lambda x: {"image": module(x)}, x)["image"], module(x))
    assert caplog.text.count("cannot be captured as a CUDA graph here (operation not permitted") == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_both_stages_of_a_teacher_are_graphs(events: list[str], architecture: str) -> None:
    with ELSEWHERE:
        teacher = ARCHITECTURES[architecture](torch.float16)
    poses, character = torch.zeros(2, 45, device=ELSEWHERE), demo_character()
    for _ in range(3):
        teacher.body(teacher.face(character, poses)["face_morphed_full"], poses)
    assert events == ["aside", "aside", "capture", "repeat", "capture", "repeat", "repeat", "repeat"]
    with NothingOnTheCPU():  # a graph could not hold anything else
        face = teacher.face(character, poses)
        teacher.body(face["face_morphed_full"], poses)
    for free in (teacher.release_graphs, teacher.clear_cache):
        free()
        for _ in range(2):
            teacher.face(character, poses)
        assert events[-4:] == ["repeat", "aside", "capture", "repeat"]
