"""Distill Student in a running ComfyUI: to the end, cancelled, resumed, and with inputs that cannot serve."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import torch
from PIL import Image

from tests.host.comfyui import PACK, ComfyUI, Prompt, api_form, prepare_base, running
from tests.host.test_graphs import NO_HUB, NOD, node, saved
from tha4_core.distill import history_of, read_status
from tha4_core.student import Student
from tha4_core.weights import read_safetensors

PLACING = {"file": "demo", "fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0, **NO_HUB}
LOADING = {"teacher": "demo rig", "precision": "auto", "auto_download": False, "repo_id": "", "revision": "main"}
STEPS = 100


@pytest.fixture(scope="module")
def small(comfyui_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A ComfyUI whose presets are small."""
    base = tmp_path_factory.mktemp("comfyui")
    prepare_base(base)
    pack = Path(__file__).with_name("small_presets_pack")
    (base / "custom_nodes" / pack.name).symlink_to(pack)
    with running(comfyui_folder, base, arguments=("--whitelist-custom-nodes", "tha4", pack.name)) as server:
        yield server


def distill(name: str, **changes: Any) -> Prompt:
    settings = {"preset": "draft", "seed": 0, "when_it_exists": "resume", "precision": "auto"} | changes
    return {
        "1": node("THA4LoadCharacter", **PLACING),
        "2": node("THA4LoadTeacher", **LOADING),
        "3": node("THA4DistillStudent", character=["1", 0], teacher=["2", 0], name=name, **settings),
        "4": node("PreviewImage", images=["3", 1]),
        "5": node("PreviewAny", source=["3", 2]),
    }


def monitor_events(run: Any) -> list[dict[str, Any]]:
    return [event["data"] for event in run.events if event["type"] == "tha4.distill"]


def status(server: ComfyUI, name: str) -> dict[str, Any]:
    """What the page is told of the distillation of a name."""
    told: dict[str, Any] = server.get(f"/tha4/distill?{urlencode({'name': name})}")
    return told


def student(server: ComfyUI, name: str) -> Path:
    return server.base / "models" / "tha4" / "students" / f"{name}.safetensors"


def test_the_example_workflow_distills_and_renders(small: ComfyUI) -> None:
    workflow = json.loads((PACK / "example_workflows" / "14 Distill a student.json").read_text(encoding="utf-8"))
    prompt = api_form(workflow, small.get("/object_info"))
    for entry in prompt.values():
        if entry["class_type"] == "THA4PoseSequence":
            entry["inputs"] |= {"script": NOD, "fps": 2.0}
    run = small.queue(prompt)
    assert run.error == ""
    events = monitor_events(run)
    assert {event["stage"] for event in events} == {"teacher", "training"}
    assert (events[-1]["state"], events[-1]["step"], events[-1]["steps"]) == ("finished", STEPS, STEPS)
    assert any(str(event["preview"]).startswith("data:image/webp;base64,") for event in events)
    told = [event for event in events if event["stage"] == "teacher" and event["seconds_left"] is not None]
    assert told[-1]["step"] == told[-1]["steps"]
    assert told[-1]["seconds_left"] > 0  # all frames are there, and the training is still to come
    assert not any("steps" in text or "left" in text for text in run.texts)  # the monitor tells it, and nobody else
    assert history_of(Student.load(student(small, "demo_draft"))).step == STEPS
    options = small.get("/object_info/THA4LoadStudent")["THA4LoadStudent"]["input"]["required"]["student"]
    assert "demo_draft.safetensors" in str(options)


def test_cancelled_it_goes_on_where_it_was(small: ComfyUI) -> None:
    def cancel(event: dict[str, Any]) -> None:
        if event["type"] == "tha4.distill" and event["data"]["stage"] == "training":
            urllib.request.urlopen(urllib.request.Request(small.address + "/interrupt", b""), timeout=10).close()

    stopped = small.queue(distill("twice"), cancel)
    assert stopped.interrupted
    assert monitor_events(stopped)[-1]["state"] == "stopped"
    reached = monitor_events(stopped)[-1]["step"]
    assert 0 < reached < STEPS
    assert not student(small, "twice").exists()
    on_disk = read_status(student(small, "twice").parent, small.base / "models" / "tha4" / "distill", "twice")
    assert on_disk is not None  # all that a server has that was started anew
    told = status(small, "twice")
    assert (told["state"], told["step"], told["steps"], told["preset"]) == ("stopped", reached, STEPS, "draft")
    assert told["losses"] == on_disk.progress.losses != []
    assert (on_disk.state, on_disk.preset, on_disk.steps, on_disk.progress.step) == ("stopped", "draft", STEPS, reached)
    run = small.queue(distill("twice"))
    assert run.error == ""
    first = next(event["step"] for event in monitor_events(run) if event["stage"] == "training")
    assert first == reached  # it tells of the step again whose evaluation may have been stopped
    assert student(small, "twice").is_file()
    assert Image.open(saved(small, run, "4")[0]).size == (960, 420)
    assert "figure psnr" in run.outputs("5")["text"][0]
    told = status(small, "twice")
    assert (told["state"], told["step"]) == ("finished", STEPS)
    assert [row[0] for row in told["losses"]] == sorted({row[0] for row in told["losses"]})
    student(small, "twice").unlink()
    assert status(small, "twice")["state"] == "none"


def test_the_state_of_a_run_that_waits_and_runs_is_told(small: ComfyUI) -> None:
    seen: dict[str, dict[str, Any]] = {}

    def watch(event: dict[str, Any]) -> None:
        if event["type"] != "tha4.distill" or event["data"]["stage"] != "training" or seen:
            return
        small.post("/prompt", {"prompt": distill("second")})
        seen["first"], seen["second"] = status(small, "first"), status(small, "second")
        small.post("/queue", {"clear": True})
        seen["cleared"] = status(small, "second")

    assert small.queue(distill("first"), watch).error == ""
    assert (seen["first"]["state"], seen["first"]["stage"]) == ("running", "training")
    assert seen["second"]["state"] == "waiting"
    assert seen["cleared"]["state"] == "none"
    told = status(small, "../first")
    assert told["state"] == "unreadable"
    assert "cannot be a student's name" in told["note"]


def test_a_finished_student_comes_back_at_once_and_is_never_overwritten(small: ComfyUI) -> None:
    assert small.queue(distill("once")).error == ""
    before = student(small, "once").stat().st_mtime_ns
    again = distill("once") | {"1": node("THA4LoadCharacter", **PLACING | {"fit": "centered square"})}
    run = small.queue(again)  # another graph, the same picture
    assert (run.error, [event["state"] for event in monitor_events(run)]) == ("", ["finished"])
    assert 'The name "once" is taken' in small.queue(distill("once", seed=1)).error
    assert student(small, "once").stat().st_mtime_ns == before
    assert small.queue(distill("once", seed=1, when_it_exists="restart")).error == ""
    assert student(small, "once").stat().st_mtime_ns != before


def test_a_deleted_student_is_written_again(small: ComfyUI) -> None:
    def cached(run: Any) -> bool:
        return any("3" in event["data"]["nodes"] for event in run.events if event["type"] == "execution_cached")

    assert small.queue(distill("lost")).error == ""
    tensors, metadata = read_safetensors(student(small, "lost"))
    assert cached(small.queue(distill("lost")))
    for _ in range(2):
        student(small, "lost").unlink()
        run = small.queue(distill("lost"))
        (told,) = monitor_events(run)
        assert (run.error, told["state"]) == ("", "finished")
        assert told["note"] == "lost.safetensors had been deleted: it was written again."
        again, same = read_safetensors(student(small, "lost"))
        assert same == metadata
        assert again.keys() == tensors.keys()
        assert all(torch.equal(again[key], tensors[key]) for key in tensors)
        assert cached(small.queue(distill("lost")))
    student(small, "lost").unlink()
    run = small.queue(distill("lost", when_it_exists="restart"))
    assert monitor_events(run)[-1]["note"] == "lost.safetensors had been deleted: it was made anew."
    assert student(small, "lost").is_file()


@pytest.mark.parametrize("name", ["../up", "con", ""])
def test_names_that_cannot_be(small: ComfyUI, name: str) -> None:
    assert "cannot be a student's name" in small.queue(distill(name)).error
