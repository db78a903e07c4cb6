"""Render Video and Save Video with Alpha: in a running ComfyUI with its own Save Video, and by themselves."""

from __future__ import annotations

import io
import re
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.host.comfyui import ComfyUI, Prompt, Run, running
from tests.host.pack import pack_module
from tests.host.test_graphs import NO_HUB, node, sequence

TURN = "0 head_y=0.8 in 0.5\n"  # 3 frames at 4 a second
SECONDS = 0.75
ALPHA_FORMATS = ("webm", "mov", "webp")
BACKGROUND = {"background": "none", "background_color": "#808080"}
Call = Callable[..., Any]


def saved_file(server: ComfyUI, run: Run, node_id: str) -> Path:
    assert run.error == ""
    outputs = run.outputs(node_id)
    return server.file(outputs.get("video", outputs["images"])[0])


def render_video(script: str, fps: float, **inputs: Any) -> Prompt:
    """Load Student and Pose Sequence into Render Video, as nodes 1, 2 and 3."""
    settings = BACKGROUND | inputs
    return {
        "1": node("THA4LoadStudent", student="lambda_00", **NO_HUB),
        "2": sequence(script, fps),
        "3": node("THA4RenderVideo", student=["1", 0], poses=["2", 0], **settings),
    }


def turning() -> Prompt:
    """A student that turns her head for three frames while a tone sounds, as node 3; the tone is node 4."""
    tone = node("EmptyAudio", duration=2.0, sample_rate=44100, channels=2)
    return render_video(TURN, fps=4, audio=["4", 0]) | {"4": tone}


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
    prompt = turning() | {"5": node("SaveVideo", video=["3", 0], filename_prefix="v", format="mp4", codec="h264")}
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
    assert progress == {"5"}  # Render Video itself renders nothing
    assert run.previews == 0  # the page would show the last one instead of the video


@pytest.fixture(scope="module")
def transparent(server: ComfyUI) -> Run:
    """Saved with alpha in every format; and the images of Student Render for comparison."""
    savers = {
        f"{name}": node("THA4SaveVideo", video=["3", 0], filename_prefix="clips/v", format=name, quality=90)
        for name in ALPHA_FORMATS
    }
    stills = {
        "5": node("THA4StudentRender", student=["1", 0], poses=["2", 0], rgba=False, **BACKGROUND),
        "6": node("JoinImageWithAlpha", image=["5", 0], alpha=["5", 1]),
        "png": node("SaveImage", images=["6", 0], filename_prefix="still"),
    }
    scaled = {"upscale_method": "bilinear", "width": 128, "height": 128, "crop": "disabled"}
    stills |= {
        "7": node("CreateVideo", images=["6", 0], fps=4.0),
        "joined": node("THA4SaveVideo", video=["7", 0], filename_prefix="v", format="webp", quality=100),
        "8": node("ImageScale", image=["6", 0], **scaled),
        "9": node("CreateVideo", images=["8", 0], fps=4.0),
        "scaled": node("THA4SaveVideo", video=["9", 0], filename_prefix="v", format="webm", quality=100),
        "10": node("CreateVideo", images=["5", 0], fps=4.0),
        "opaque": node("THA4SaveVideo", video=["10", 0], filename_prefix="v", format="webp", quality=100),
    }
    return server.queue(turning() | savers | stills)


@pytest.mark.parametrize("name", ALPHA_FORMATS)
def test_alpha_and_sound_are_kept(server: ComfyUI, transparent: Run, name: str) -> None:
    path = saved_file(server, transparent, name)
    assert re.fullmatch(rf"v_0000\d\.{name}", path.name)
    assert path.parent.name == "clips"
    assert not list(path.parent.glob(".*"))
    frames = decoded(path)
    stills = [np.asarray(Image.open(server.file(file))) for file in transparent.outputs("png")["images"]]
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


def test_alpha_is_kept_through_nodes_of_comfyui(server: ComfyUI, transparent: Run) -> None:
    stills = [np.asarray(Image.open(server.file(file))) for file in transparent.outputs("png")["images"]]
    joined = decoded(saved_file(server, transparent, "joined"))
    assert np.abs(np.stack(joined).astype(int) - stills).max() <= 1  # Save Image rounds down
    small = decoded(saved_file(server, transparent, "scaled"))[1]
    assert small.shape == (128, 128, 4)
    assert (small[0, 0, 3], small[32, 64, 3]) == (0, 255)


def test_the_node_says_that_a_video_is_not_transparent(server: ComfyUI, transparent: Run) -> None:
    assert decoded(saved_file(server, transparent, "opaque"))[0][0, 0, 3] == 255
    (text,) = transparent.outputs("opaque")["text"]
    assert "the frames have no alpha" in text
    assert "Join Image with Alpha" in text
    assert text in transparent.texts  # on the node while the page is open
    assert transparent.outputs("joined")["text"] == []


def test_every_format_is_shown_as_what_a_browser_plays(server: ComfyUI, transparent: Run) -> None:
    shown = {name: transparent.outputs(name)["images"][0] for name in (*ALPHA_FORMATS, "opaque")}
    assert {name: Path(one["filename"]).suffix for name, one in shown.items()} == {
        "webm": ".webm",
        "mov": ".webm",
        "webp": ".webp",
        "opaque": ".webp",
    }
    assert [name for name, one in shown.items() if one["type"] != "output"] == ["mov"]
    assert [name for name, one in shown.items() if "tha4_alpha" not in one] == ["opaque"]
    preview = decoded(server.file(shown["mov"]))
    assert len(preview) == 3
    assert preview[0].shape == (256, 256, 4)
    assert preview[0][0, 0, 3] < 15
    assert seconds_of_sound(server.file(shown["mov"])) == pytest.approx(SECONDS, abs=0.06)
    assert any("ProRes" in text for text in transparent.outputs("mov")["text"])


def test_a_webp_holds_the_workflow(server: ComfyUI, transparent: Run) -> None:
    assert Image.open(saved_file(server, transparent, "webp")).getexif()[0x0110].startswith("prompt:{")


@pytest.mark.parametrize("seed", ["1", "9"])
def test_no_render_node_depends_on_what_another_is_used_for(comfyui_folder: Path, tmp_path: Path, seed: str) -> None:
    """Under several hash seeds, because ComfyUI goes through sets of nodes, in an order that depends on the seed."""
    graph = two_equal_pairs()
    with running(comfyui_folder, tmp_path, environment={"PYTHONHASHSEED": seed}) as server:
        first = server.queue(graph)
        assert first.error == ""
        assert all(first.outputs(name)["images"] for name in ("video a", "video b", "image a"))
        again = server.queue(graph | {"image b": node("PreviewImage", images=["images b", 0])})
        assert again.error == ""
        assert executed(again) <= {"images b", "image b"}  # the image of one render node is no reason to run others
        assert len(again.outputs("image b")["images"]) == 2
        assert len(list((tmp_path / "output").glob("v_*.mp4"))) == 2


def two_equal_pairs() -> Prompt:
    """Two equal Render Videos and two equal Teacher Renders of the demo character; the second's image is not used."""
    inputs = {"teacher": ["t", 0], "character": ["c", 0], "poses": ["p", 0]}
    inputs |= {"background": "color", "background_color": "#808080"}
    images = inputs | {"rgba": False, "debug": False}
    save = {"filename_prefix": "v", "format": "mp4"}
    fit = {"fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0}
    return {
        "t": node(
            "THA4LoadTeacher", teacher="demo rig", precision="auto", auto_download=False, repo_id="", revision=""
        ),
        "c": node("THA4LoadCharacter", file="demo", **fit, **NO_HUB),
        "p": sequence("0 head_y=0.8 in 0.5", fps=2),
        "videos a": node("THA4RenderVideo", **inputs),
        "videos b": node("THA4RenderVideo", **inputs),
        "images a": node("THA4TeacherRender", **images),
        "images b": node("THA4TeacherRender", **images),
        "video a": node("THA4SaveVideo", video=["videos a", 0], quality=70, **save),
        "video b": node("THA4SaveVideo", video=["videos b", 0], quality=80, **save),
        "image a": node("PreviewImage", images=["images a", 0]),
    }


def executed(run: Run) -> set[str]:
    """The nodes that were executed, not taken from the cache."""
    return {event["data"]["node"] for event in run.events if event["type"] == "executing"} - {None}


def test_an_interrupt_stops_the_encoder_and_leaves_nothing(server: ComfyUI) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        if event["type"] == "progress":
            server.post("/interrupt", {})

    prompt = render_video("0 head_y=1 in 9\n", fps=10) | {
        "4": node("THA4SaveVideo", video=["3", 0], filename_prefix="stopped/v", format="webm", quality=75)
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
    inputs = {"background": "color", "background_color": "#00ff00", "audio": audio, "size": 256}
    return call("THA4RenderVideo", student=student, poses=poses, **inputs)[0]


def test_a_video_knows_its_properties_without_rendering(video: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(video.job), "frames", None)
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
def frames_alive(call: Call, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], Callable[[Tensor], Tensor]]:
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
def test_frames_are_freed_as_they_are_encoded(call: Call, frames_alive: Any, tmp_path: Path, name: str) -> None:
    counts, render = frames_alive
    core, rendering, video = (pack_module(n) for n in ("tha4_core.video", "nodes.render", "nodes.video"))
    poses = call("THA4PoseSequence", script="0 head_y=1 in 2", fps=20.0, length=0.0, loop=False)[0]
    released: list[None] = []
    source = rendering.FrameSource(64, lambda: 1, render, lambda: released.append(None))
    job = rendering.RenderJob.from_inputs(source, poses, "none", "#000000", None)
    content = video.LazyVideo(job, None).to_video(name != "mp4", {})
    core.save(content, tmp_path / f"x.{name}", core.FORMATS[name])
    assert len(counts) == 41
    assert max(counts) <= 1
    del content  # not every format asks whether there is another frame after the last
    assert len(released) == 1


def components(channels: int, alpha: Tensor | None = None) -> Any:
    """A VIDEO of two frames of 32 x 48, red; the fourth channel is 0 in the left half."""
    from comfy_api.util import VideoComponents

    images = torch.zeros(2, 48, 32, 4)
    images[..., 0] = images[:, :, 16:, 3] = 1
    if channels == 1:
        images = torch.full((2, 48, 32, 1), 0.25)
    return VideoComponents(images=images[..., :channels], frame_rate=Fraction(2), alpha=alpha)


def top_half(*shape: int) -> Tensor:
    """An alpha that is 1 in its upper half."""
    alpha = torch.zeros(*shape)
    alpha[:, : shape[1] // 2] = 1
    return alpha


@pytest.fixture
def save_video(call: Call) -> Callable[..., tuple[np.ndarray, dict[str, Any]]]:
    """Saves a VIDEO of such components; returns its first frame, and what the node shows."""

    def save(content: Any, name: str) -> tuple[np.ndarray, dict[str, Any]]:
        node_class = pack_module("nodes.video").SaveVideo.PREPARE_CLASS_CLONE({"hidden_inputs": {}})
        inputs = {"filename_prefix": "parts/v", "format": name, "quality": 100}
        video = SimpleNamespace(get_components=lambda: content)  # as a VIDEO of another pack
        output = node_class.EXECUTE_NORMALIZED(video=video, **inputs)
        return decoded(Path(output.result[0]))[0], output.ui

    return save


@pytest.mark.parametrize(
    ("channels", "alpha", "transparent"),
    [
        (4, None, "left"),
        (3, top_half(2, 48, 32, 1), "bottom"),
        (3, top_half(2, 48, 32), "bottom"),
        (3, top_half(1, 24, 16), "bottom"),  # one mask for all frames, from before they were upscaled
        (4, torch.ones(2, 48, 32, 1), "left"),
        (4, top_half(2, 48, 32, 1), "left bottom"),
        (1, top_half(2, 48, 32, 1), "bottom"),
    ],
)
def test_alpha_is_taken_from_where_a_video_has_it(
    save_video: Any, channels: int, alpha: Tensor | None, transparent: str
) -> None:
    frame, shown = save_video(components(channels, alpha), "webp")
    corners = {"left": frame[4, 4, 3], "bottom": frame[44, 28, 3], "left bottom": frame[44, 4, 3]}
    expected = {place: 0 if any(word in place for word in transparent.split()) else 255 for place in corners}
    assert corners == expected | ({"left bottom": 0})
    assert tuple(frame[4, 28]) == ((64, 64, 64, 255) if channels == 1 else (255, 0, 0, 255))
    assert shown["text"] == []


def test_an_alpha_of_1_everywhere_is_told(save_video: Any) -> None:
    _, shown = save_video(components(3, torch.ones(2, 48, 32)), "mov")
    assert "the frames' alpha is 1 everywhere" in shown["text"][0]
    assert "tha4_alpha" not in shown["images"][0]


def test_alpha_that_mp4_cannot_hold_is_told(save_video: Any) -> None:
    frame, shown = save_video(components(4), "mp4")
    assert np.abs(frame[24, 4, :3].astype(int) - 128).max() < 12
    assert "mp4 is never transparent" in shown["text"][0]


def test_an_alpha_of_another_length_is_refused(save_video: Any) -> None:
    with pytest.raises(ValueError, match="alpha for 3 frames"):
        save_video(components(3, torch.ones(3, 48, 32)), "webm")


def test_a_background_is_told(call: Call, video: Any) -> None:
    node_class = pack_module("nodes.video").SaveVideo.PREPARE_CLASS_CLONE({"hidden_inputs": {}})
    output = node_class.EXECUTE_NORMALIZED(
        video=video.as_trimmed(0.0, 0.2), filename_prefix="v", format="webm", quality=50
    )
    assert output.ui["text"] == [pack_module("nodes.video")._HAS_BACKGROUND]


def test_a_preview_that_cannot_be_written_harms_nothing(
    save_video: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(pack_module("nodes.video").folders, "temporary_path", lambda name: tmp_path / "file" / name)
    _, shown = save_video(components(4), "mov")
    assert shown["images"] == []
    assert shown["text"][0].startswith("There is no preview. ")


@pytest.mark.parametrize(
    ("connected", "says"),
    [
        (set(), "nothing to render: connect a student, or a teacher and a character"),
        ({"character"}, "nothing to render"),
        ({"teacher"}, "a teacher but no character"),
        ({"student", "teacher"}, "a student and a teacher"),
        ({"student", "teacher", "character"}, "a student and a teacher"),
        ({"student", "character"}, "a student and a character"),
    ],
)
def test_it_must_be_clear_what_renders_the_video(call: Call, connected: set[str], says: str) -> None:
    models = dict(zip(("student", "character"), call("THA4LoadStudent", student="demo", **NO_HUB), strict=True))
    models["teacher"] = pack_module("nodes.teacher").DemoRig()
    poses = call("THA4PoseSequence", script="0 neutral", fps=20.0, length=0.0, loop=False)[0]
    with pytest.raises(ValueError, match=says):
        call("THA4RenderVideo", poses=poses, **BACKGROUND, **{name: models[name] for name in connected})


def test_bad_inputs_are_found_before_anything_is_saved(call: Call) -> None:
    student = call("THA4LoadStudent", student="demo", **NO_HUB)[0]
    poses = call("THA4PoseSequence", script="0 neutral", fps=20.0, length=0.0, loop=False)[0]
    for inputs, says in (
        ({"size": 500}, "size is 500"),
        ({"background_color": "grun"}, '"grun"'),
        ({"background_image": torch.zeros(3, 8, 8, 3)}, "background_image has 3 pictures for 2 frames"),
    ):
        with pytest.raises(ValueError, match=says):
            call("THA4RenderVideo", student=student, poses=poses, **BACKGROUND | inputs)


def test_a_teachers_video_has_its_frames(call: Call) -> None:
    character = call("THA4LoadStudent", student="demo", **NO_HUB)[1]
    poses = call("THA4PoseSequence", script="0 neutral\n0.5 smile", fps=4.0, length=0.0, loop=False)[0]
    inputs = {"teacher": pack_module("nodes.teacher").DemoRig(), "character": character, "poses": poses, **BACKGROUND}
    video = call("THA4RenderVideo", **inputs, size=1024)[0]  # size is for students
    image, mask, _ = call("THA4TeacherRender", **inputs, rgba=False, debug=False)
    components = video.get_components()
    assert torch.equal(components.images, image)
    assert torch.equal(components.alpha[..., 0], 1 - mask)
    assert components.audio is None
