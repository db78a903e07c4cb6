"""VIDEO from the render nodes: saved by ComfyUI and by this pack, in a running ComfyUI and by itself."""

from __future__ import annotations

import io
import re
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.host.comfyui import ComfyUI, Prompt, Run
from tests.host.pack import pack_module
from tests.host.test_graphs import node, sequence, student_render
from tests.host.test_nodes import NO_HUB

TURN = "0 head_y=0.8 in 0.5\n"  # 3 frames at 4 a second
SECONDS = 0.75
ALPHA_FORMATS = ("webm", "mov", "webp")
Call = Callable[..., Any]


def saved_file(server: ComfyUI, run: Run, node_id: str) -> Path:
    assert run.error == ""
    return server.file(run.outputs(node_id)["images"][0])


def turning(**render: Any) -> Prompt:
    """A student that turns her head for three frames while a tone sounds, as node 3; the tone is node 4."""
    prompt = student_render(sequence(TURN, fps=4)) | {
        "4": node("EmptyAudio", duration=2.0, sample_rate=44100, channels=2)
    }
    prompt["3"]["inputs"] |= {"audio": ["4", 0]} | render
    return prompt


def decoded(path: Path) -> list[np.ndarray]:
    """The pictures of a video, uint8 `[H, W, 4]`."""
    if path.suffix == ".webp":
        picture = Image.open(path)
        frames = []
        for index in range(picture.n_frames):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGBA")))
        return frames
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # FFmpeg's own decoder of VP9 leaves the alpha away.
        decoder = av.CodecContext.create("libvpx-vp9", "r") if path.suffix == ".webm" else stream.codec_context
        packets = container.demux(stream)
        return [frame.to_ndarray(format="rgba") for packet in packets for frame in decoder.decode(packet)]


def seconds_of_sound(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return sum(frame.samples for frame in container.decode(stream)) / stream.rate


def test_comfyuis_save_video_renders_while_it_saves(server: ComfyUI) -> None:
    prompt = turning() | {"5": node("SaveVideo", video=["3", 2], filename_prefix="v", format="mp4", codec="h264")}
    run = server.queue(prompt)
    path = saved_file(server, run, "5")
    frames = decoded(path)
    assert [frame.shape for frame in frames] == [(512, 512, 4)] * 3
    assert np.abs(frames[0][0, 0, :3].astype(int) - 128).max() <= 2  # background_color, because mp4 has no alpha
    assert np.abs(frames[0].astype(int) - frames[2]).max() > 60
    assert seconds_of_sound(path) == pytest.approx(SECONDS, abs=0.06)
    with av.open(str(path)) as container:
        assert {"prompt"} <= container.metadata.keys()
    progress = {event["data"]["node"] for event in run.events if event["type"] == "progress"}
    assert progress == {"5"}  # nothing was rendered by the render node itself
    assert run.previews == 0  # the page would show the last one instead of the video


@pytest.fixture(scope="module")
def transparent(server: ComfyUI) -> tuple[Prompt, Run]:
    savers = {
        f"{name}": node("THA4SaveVideo", video=["3", 2], filename_prefix="clips/v", format=name, quality=90)
        for name in ALPHA_FORMATS
    }
    prompt = turning() | savers | {"png": node("SaveImage", images=["6", 0], filename_prefix="still")}
    prompt["6"] = node("JoinImageWithAlpha", image=["3", 0], alpha=["3", 1])
    return prompt, server.queue(prompt)


@pytest.mark.parametrize("name", ALPHA_FORMATS)
def test_alpha_and_sound_are_kept(server: ComfyUI, transparent: tuple[Prompt, Run], name: str) -> None:
    run = transparent[1]
    path = saved_file(server, run, name)
    assert re.fullmatch(rf"v_0000\d\.{name}", path.name)
    assert path.parent.name == "clips"
    assert not list(path.parent.glob(".*"))
    frames = decoded(path)
    stills = [np.asarray(Image.open(server.file(file))) for file in run.outputs("png")["images"]]
    assert len(frames) == len(stills) == 3
    for frame, still in zip(frames, stills, strict=True):
        assert frame[0, 0, 3] == 0
        assert frame[128, 256, 3] == 255
        seen = still[..., 3:] / 255
        difference = np.abs(frame.astype(float) - still)
        assert difference[..., 3].mean() < 1
        assert (difference[..., :3] * seen).mean() < 1.5
    if name != "webp":
        assert seconds_of_sound(path) == pytest.approx(SECONDS, abs=0.06)


def test_a_webp_without_sound_is_told_and_holds_the_workflow(server: ComfyUI, transparent: tuple[Prompt, Run]) -> None:
    run = transparent[1]
    assert Image.open(saved_file(server, run, "webp")).getexif()[0x0110].startswith("prompt:{")


def test_an_image_that_is_connected_later_is_rendered_then(server: ComfyUI) -> None:
    prompt = turning(background="color", background_color="#112233")
    video = {"5": node("THA4SaveVideo", video=["3", 2], filename_prefix="later", format="mp4", quality=75)}
    image = {"6": node("PreviewImage", images=["3", 0])}
    assert server.queue(prompt | video).error == ""
    run = server.queue(prompt | video | image)
    assert run.error == ""
    assert len(run.outputs("6")["images"]) == 3
    again = server.queue(prompt | video | image)
    assert not [event for event in again.events if event["type"] == "progress"]  # all of it was remembered


def test_an_interrupt_stops_the_encoder_and_leaves_nothing(server: ComfyUI) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        if event["type"] == "progress":
            server.post("/interrupt", {})

    prompt = student_render(sequence("0 head_y=1 in 9\n", fps=10)) | {
        "4": node("THA4SaveVideo", video=["3", 2], filename_prefix="stopped/v", format="webm", quality=75)
    }
    assert server.queue(prompt, interrupt).interrupted
    assert not list((server.base / "output" / "stopped").iterdir())


# By itself, in this process.


@pytest.fixture(scope="module")
def video(call: Call) -> Any:
    """Five frames a second of a student, over a green background, with a second of sound."""
    student = call("THA4LoadStudent", student="lambda_00", **NO_HUB)[0]
    poses = call("THA4PoseSequence", script="0 head_y=1 in 0.8", fps=5.0, length=0.0, loop=False)[0]
    audio = {"waveform": torch.linspace(-0.5, 0.5, 8000).expand(1, 2, -1), "sample_rate": 8000}
    inputs = {"background": "color", "background_color": "#00ff00", "rgba": False, "audio": audio, "size": 256}
    return call("THA4StudentRender", student=student, poses=poses, **inputs)[2]


def test_video_tells_what_it_is_without_rendering(video: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(video.shot), "frames", None)
    assert video.get_dimensions() == (256, 256)
    assert video.get_frame_count() == 5
    assert video.get_frame_rate() == Fraction(5)
    assert video.get_duration() == 1.0
    assert video.get_container_format() == "mp4"


def test_components_are_the_images(video: Any) -> None:
    components = video.get_components()
    assert components.images.shape == (5, 256, 256, 3)
    assert components.frame_rate == 5
    assert components.audio["waveform"].shape == (1, 2, 8000)
    torch.testing.assert_close(components.images[0, 0, 0], torch.tensor([0.0, 1.0, 0.0]), atol=1e-3, rtol=0)


def test_a_part_of_a_video_is_that_part(video: Any) -> None:
    whole, part = video.get_components(), video.as_trimmed(0.4, 0.4).get_components()
    assert torch.equal(part.images, whole.images[2:4])
    assert torch.equal(part.audio["waveform"], whole.audio["waveform"][..., 3200:6400])
    assert video.as_trimmed(-0.2, 0.0).get_frame_count() == 1
    assert video.as_trimmed(2.0, 0.0) is None
    assert video.as_trimmed(0.5, 2.0, strict_duration=True) is None


def test_a_video_streams_into_a_buffer(video: Any) -> None:
    buffer = video.get_stream_source()
    assert isinstance(buffer, io.BytesIO)
    with av.open(buffer) as container:
        assert container.format.name.startswith("mov,mp4")
        assert sum(1 for _ in container.decode(video=0)) == 5


def test_other_containers_are_refused(video: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mp4"):
        video.save_to(str(tmp_path / "x.mkv"), format="mkv")


@pytest.fixture
def remembered(call: Call, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], Callable[[Tensor], Tensor]]:
    """How many of the frames that were rendered are still alive, noted whenever another one is rendered."""
    alive: list[weakref.ref[Tensor]] = []
    counts: list[int] = []

    def render(poses: Tensor) -> Tensor:
        counts.append(sum(1 for frame in alive if frame() is not None))
        frames = torch.zeros(len(poses), 4, 64, 64)
        alive.append(weakref.ref(frames))
        return frames

    monkeypatch.setattr(pack_module("nodes.render").host, "chunk_size", lambda *_: 1)
    return counts, render


@pytest.mark.parametrize("name", [*ALPHA_FORMATS, "mp4"])
def test_frames_are_forgotten_as_they_are_encoded(call: Call, remembered: Any, tmp_path: Path, name: str) -> None:
    counts, render = remembered
    core, shots, films = (pack_module(n) for n in ("tha4_core.video", "nodes.render", "nodes.video"))
    poses = call("THA4PoseSequence", script="0 head_y=1 in 2", fps=20.0, length=0.0, loop=False)[0]
    film = films.ShotVideo(shots.shot(poses, 64, lambda: 1, render, "none", "#000000", None), None)
    core.save(film.film(name != "mp4", {}), tmp_path / f"x.{name}", core.FORMATS[name])
    assert len(counts) == 41
    assert max(counts) <= 1
