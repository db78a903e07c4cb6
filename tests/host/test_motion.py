"""The nodes that make, change, keep and show motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from tests.core.motion.tracking.test_vmd import EXAMPLE as VMD
from tests.host.comfyui import ComfyUI
from tests.host.test_graphs import NO_HUB, saved
from tha4_core.pose import NAMES

Call = Callable[..., Any]
IDLE = dict.fromkeys(("blink", "breathing", "gaze", "sway", "expression"), 1.0) | {"breathing_period": 4.0}
SPEECH = {"strength": 1.0, "attack": 0.04, "release": 0.08, "silence": -60.0, "blend": 1.5, "head": 0.3, "brows": 0.3}
GROUPS = dict.fromkeys(("brows", "eyes", "mouth", "gaze", "head", "body"), True)
EDIT = GROUPS | {
    "smoothing": "none", "smoothing_seconds": 0.25, "strength": 1.0, "mirror": False, "reverse": False, "speed": 1.0,
    "fps": 0.0, "limits": "",
}  # fmt: skip
VOWEL_A = NAMES.index("mouth_aaa")
HEAD_Y = NAMES.index("head_y")


@pytest.fixture(scope="module")
def turn(call: Call) -> Any:
    """The head turns from 0 to 1 within a second, at 10 frames a second."""
    return call("THA4PoseSequence", script="0 head_y=1 linear in 1", fps=10.0, length=0.0, loop=False)[0]


def idle(call: Call, **changes: Any) -> Any:
    return call("THA4IdleMotion", **{"seed": 1, "seconds": 4.0, "fps": 10.0, "loop": True} | IDLE | changes)


def test_idle_motion_alone_and_on_top(call: Call, turn: Any) -> None:
    poses, fps, frames = idle(call)
    assert (fps, frames, len(poses)) == (10.0, 40, 40)
    assert poses.values.std(dim=0).max() > 0.1
    assert torch.equal(poses.values, idle(call)[0].values)
    assert not torch.equal(poses.values, idle(call, seed=2)[0].values)
    still = idle(call, poses=turn, **dict.fromkeys(("blink", "breathing", "gaze", "sway", "expression"), 0.0))[0]
    torch.testing.assert_close(still.values, turn.values)


@pytest.mark.parametrize(
    ("node_id", "inputs"),
    [
        ("THA4LoadPoses", {"file": "demo motion", "fps": 0.0, "turn": 1.0}),
        ("THA4PoseSequence", {"script": "0 smile", "fps": 8.0, "length": 0.0, "loop": False}),
        ("THA4IdleMotion", {"seed": 1, "seconds": 4.0, "fps": 10.0, "loop": True} | IDLE),
        (
            "THA4LipSync",
            {"fps": 8.0, "timings": "", "audio": {"waveform": torch.zeros(1, 1, 8000), "sample_rate": 8000}} | SPEECH,
        ),
    ],
)
def test_an_interrupt_ends_a_node_while_it_works(call: Call, node_id: str, inputs: dict[str, Any]) -> None:
    import comfy.model_management as comfy

    comfy.interrupt_current_processing(True)
    try:
        with pytest.raises(comfy.InterruptProcessingException):
            call(node_id, **inputs)
    finally:
        comfy.interrupt_current_processing(False)


def test_lip_sync_from_timings_and_from_nothing(call: Call) -> None:
    poses, _, frames = call("THA4LipSync", fps=20.0, timings="0.0 sil\n0.5 a\n1.0 sil\n1.5 sil", **SPEECH)
    assert poses.values[15, VOWEL_A] > 0.5
    assert poses.values[5, VOWEL_A] < 0.05
    assert frames >= 20
    timings = "00:00:00,000 --> 00:00:01,000\n[sighs] a"
    assert call("THA4LipSync", fps=20.0, timings=timings, **SPEECH)[0].notes == ("Not spoken: [sighs].",)
    onto = call("THA4LipSync", fps=20.0, timings=timings, poses=poses, **SPEECH)[0]
    assert onto.notes == ("Not spoken: [sighs].",)
    with pytest.raises(ValueError, match="no speaker 'Ann'"):
        call("THA4LipSync", fps=20.0, timings=timings, speaker="Ann", **SPEECH)
    with pytest.raises(ValueError, match="connect audio, or write timings"):
        call("THA4LipSync", fps=20.0, timings=" ", **SPEECH)


def test_lip_sync_from_audio_lasts_as_long(call: Call) -> None:
    silence = {"waveform": torch.zeros(1, 2, 48000 * 2), "sample_rate": 48000}
    poses, _, frames = call("THA4LipSync", fps=24.0, timings="", audio=silence, **SPEECH)
    assert frames == 48
    assert poses.values[:, VOWEL_A].max() == 0


def test_expression_alone_and_on_poses(call: Call, turn: Any) -> None:
    alone = call("THA4Expression", expression="smile", strength=1.0)[0]
    assert len(alone) == 1
    assert alone.values.abs().max() > 0.3
    on_turn = call("THA4Expression", expression="smile", strength=0.5, poses=turn)[0]
    torch.testing.assert_close(on_turn.values[:, HEAD_Y], turn.values[:, HEAD_Y])
    moved = alone.values[0] != 0
    torch.testing.assert_close(on_turn.values[3, moved], 0.5 * alone.values[0, moved])


@pytest.mark.parametrize(
    ("how", "amount", "frames", "last"),
    [("append", 1.0, 22, 1.0), ("cross-fade", 1.0, 17, 1.0), ("add", -0.5, 11, 0.5), ("blend", 0.5, 11, 1.0)],
)
def test_combining(call: Call, turn: Any, how: str, amount: float, frames: int, last: float) -> None:
    poses = call("THA4CombinePoses", a=turn, b=turn, how=how, amount=amount, seconds=0.5, **GROUPS)[0]
    assert len(poses) == frames
    assert poses.values[-1, HEAD_Y] == pytest.approx(last)


def test_taking_groups(call: Call, turn: Any) -> None:
    smile = call("THA4Expression", expression="smile", strength=1.0)[0]
    switches = dict.fromkeys(GROUPS, False) | {"mouth": True}
    poses = call("THA4CombinePoses", a=turn, b=smile, how="take groups from b", amount=1.0, seconds=0.0, **switches)[0]
    torch.testing.assert_close(poses.values[:, HEAD_Y], turn.values[:, HEAD_Y])
    assert poses.values[-1, NAMES.index("mouth_raised_corner_left")] > 0.3


def test_editing(call: Call, turn: Any) -> None:
    def edited(**changes: Any) -> torch.Tensor:
        return call("THA4EditPoses", poses=turn, **EDIT | changes)[0].values[:, HEAD_Y]

    original = turn.values[:, HEAD_Y]
    torch.testing.assert_close(edited(), original)
    torch.testing.assert_close(edited(mirror=True), -original)
    torch.testing.assert_close(edited(reverse=True), original.flip(0))
    torch.testing.assert_close(edited(strength=0.5), original * 0.5)
    assert edited(head=False).abs().max() == 0
    assert len(edited(speed=2.0)) == 6
    assert len(edited(fps=20.0)) == 22
    assert edited(limits="head_y -0.5 0.25").max() == 0.25
    for smoothing in ("one-euro", "savitzky-golay"):
        assert (edited(smoothing=smoothing) - original).abs().max() < 0.5
    with pytest.raises(ValueError, match="ine 1 of the limits"):
        edited(limits="head_y")


@pytest.mark.parametrize("suffix", ["json", "csv", "npz"])
def test_saved_poses_load_exactly(call: Call, base: Path, turn: Any, suffix: str) -> None:
    paths = [Path(call("THA4SavePoses", poses=turn, filename_prefix="motion/turn", format=suffix)[0]) for _ in "ab"]
    assert paths[0] != paths[1]
    (base / "input" / paths[0].name).write_bytes(paths[0].read_bytes())
    loaded = call("THA4LoadPoses", file=f"input/{paths[0].name}", fps=0.0, turn=1.0)[0]
    assert torch.equal(loaded.values, turn.values)
    assert loaded.fps == turn.fps


def test_files_stay_within_their_folders(call: Call) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=r"passwd"):
        call("THA4LoadPoses", file="input/../../../../etc/passwd.json", fps=0.0, turn=1.0)


def test_plot_is_a_picture(call: Call, turn: Any) -> None:
    assert call("THA4PlotPoses", poses=turn, width=640, height=480)[0].shape == (1, 480, 640, 3)


def test_a_tracked_face_becomes_poses(call: Call, base: Path) -> None:
    line = "eyeBlink_L&80|eyeBlink_R&0|jawOpen&40|=head#0,-10,0,0,0,0|rightEye#0,0,0|leftEye#0,0,0|"
    (base / "input" / "face.txt").write_text("\n".join([line] * 4))
    node = call("THA4TrackedFace", **tracked_settings(call) | {"file": "input/face.txt", "fps": 30.0})
    values = node[0].values
    assert values[0, NAMES.index("eye_wink_left")] == pytest.approx(1.0, abs=0.01)
    assert values[0, NAMES.index("eye_wink_right")] == 0


def tracked_settings(call: Call) -> dict[str, Any]:
    """Every input of Tracked Face at its default."""
    import nodes

    declared = nodes.NODE_CLASS_MAPPINGS["THA4TrackedFace"].INPUT_TYPES()["required"]
    return {name: entry[1].get("default") for name, entry in declared.items()}


def test_a_face_at_rest_within_the_neutral_seconds_is_at_rest(call: Call, base: Path) -> None:
    line = "eyeBlink_L&15|eyeBlink_R&15|browInnerUp&20|eyeLookDown_L&30|eyeLookDown_R&30|=head#9,5,0|"
    (base / "input" / "rest.txt").write_text("\n".join([line] * 30))
    given = tracked_settings(call) | {"file": "input/rest.txt"}
    resting = call("THA4TrackedFace", **given | {"neutral_end": 0.4})[0].values
    assert resting.abs().max() < 1e-6
    assert call("THA4TrackedFace", **given)[0].values.abs().max() > 0.1


def test_nodes_show_what_was_left_out(server: ComfyUI, base: Path, call: Call) -> None:
    (base / "input" / "cut.txt").write_text("jawOpen&40|=head#0,0,0|\njawOp\njawOpen&40|=head#0,0,0|\n")
    (base / "input" / "dance.vmd").write_bytes(VMD)
    prompt = {
        "1": {"class_type": "THA4TrackedFace", "inputs": tracked_settings(call) | {"file": "input/cut.txt"}},
        "2": {"class_type": "THA4LoadPoses", "inputs": {"file": "input/dance.vmd", "fps": 0.0, "turn": 1.0}},
        "3": {"class_type": "THA4PlotPoses", "inputs": {"poses": ["1", 0], "width": 480, "height": 360}},
        "4": {"class_type": "THA4PlotPoses", "inputs": {"poses": ["2", 0], "width": 480, "height": 360}},
    }
    run = server.queue(prompt)
    assert run.error == ""
    for node, told in (("1", ("1 packet was left out", "holds no head")), ("2", ("ほっぺ (31 frames)",))):
        assert all(text in run.outputs(node)["text"][0] for text in told)


def test_speech_becomes_a_video_in_sync(server: ComfyUI, base: Path, speech: Path) -> None:
    (base / "input" / "speech.wav").write_bytes(speech.read_bytes())
    render = {"background": "color", "background_color": "#305070", "rgba": False}
    prompt = {
        "1": {"class_type": "LoadAudio", "inputs": {"audio": "speech.wav"}},
        "2": {"class_type": "THA4LipSync", "inputs": {"audio": ["1", 0], "fps": 12.0, "timings": "", **SPEECH}},
        "3": {
            "class_type": "THA4IdleMotion",
            "inputs": {"poses": ["2", 0], "seed": 1, "seconds": 1.0, "fps": 12.0, "loop": False, **IDLE},
        },
        "4": {"class_type": "THA4LoadStudent", "inputs": {"student": "lambda_00", **NO_HUB}},
        "6": {"class_type": "THA4StudentRender", "inputs": {"student": ["4", 0], "poses": ["3", 0], **render}},
        "7": {"class_type": "CreateVideo", "inputs": {"images": ["6", 0], "audio": ["1", 0], "fps": ["3", 1]}},
        "8": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["7", 0], "filename_prefix": "talk", "format": "mp4", "codec": "h264"},
        },
    }
    run = server.queue(prompt)
    assert run.error == ""
    with av.open(str(saved(server, run, "8")[0])) as video:
        seconds = {stream.type: float(stream.duration * stream.time_base) for stream in video.streams}
    assert seconds["video"] == pytest.approx(seconds["audio"], abs=1 / 12)
