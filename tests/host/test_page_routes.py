"""The routes of the fit editor and the players: motions and pictures before the graph is queued."""

from __future__ import annotations

import json
import math
import os
import random
import re
import urllib.error
import urllib.parse
import urllib.request
import wave
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tests.core.picture.doll import figure
from tests.host.comfyui import ComfyUI
from tests.host.test_graphs import NOD, node, pose_vector, sequence
from tests.host.test_routes import memory
from tha4_core.demo import DEMO_STUDENT, demo_character
from tha4_core.motion import groups, idle, script
from tha4_core.picture.character import Character
from tha4_core.pose import NAMES, Poses
from tha4_core.student import Student

IDLE = {
    "seed": 3,
    "seconds": 1.0,
    "fps": 8.0,
    "loop": False,
    "breathing_period": 4.0,
    **dict.fromkeys(("blink", "breathing", "gaze", "sway", "expression"), 1.0),
}
SPEECH = {
    "strength": 1.0,
    "attack": 0.04,
    "release": 0.08,
    "silence": -60.0,
    "blend": 1.5,
    "head": 0.3,
    "brows": 0.3,
}
PLACED = {"fit": "auto", "scale": 1, "offset_x": 0, "offset_y": 0}
DEMO = {"source": {"kind": "demo"}, **PLACED}


def post(server: ComfyUI, path: str, content: object, **headers: str) -> tuple[int, bytes]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    request = urllib.request.Request(
        f"{server.address}/tha4/{path}", body, {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def motion(server: ComfyUI, graph: dict[str, Any], of: str = "1") -> Poses:
    return unpacked(answer(server, graph, of))


def answer(server: ComfyUI, graph: dict[str, Any], of: str = "1") -> dict[str, Any]:
    status, body = post(server, "poses", {"graph": graph, "node": of})
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def unpacked(answer: dict[str, Any]) -> Poses:
    values = np.zeros((answer["frames"], len(NAMES)), np.float32)
    for name, curve in answer["curves"].items():
        values[:, NAMES.index(name)] = np.array(curve) / 1000
    return Poses(values, answer["fps"])


def refusal(answer: tuple[int, bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[1])["error"]


def equal(a: Poses, b: Poses) -> bool:
    return (
        a.fps == b.fps and len(a) == len(b) and float((a.values - b.values).abs().max()) <= 0.0011
    )  # thousandths, twice


def test_the_motion_of_a_script_is_what_the_node_makes(server: ComfyUI) -> None:
    assert equal(motion(server, {"1": sequence(NOD, 24.0)}), script.render(NOD, 24.0))


def test_nodes_before_a_node_are_executed_too(server: ComfyUI) -> None:
    graph = {
        "1": node("THA4IdleMotion", **IDLE, poses=["2", 0]),
        "2": node("THA4PoseSequence", script="0 key 1 in 1", fps=8.0, length=0.0, loop=False, keys=["7:3", 0]),
        "7:3": pose_vector(head_y=0.5),
    }
    found = motion(server, graph)
    assert found.values[-1, NAMES.index("head_y")] > 0.3
    how = idle.IdleSettings(**{name: IDLE[name] for name in ("blink", "breathing", "gaze", "sway", "expression")})
    assert equal(found, idle.over(motion(server, graph, "2"), 3, how, False))


def test_speech_is_heard_from_written_timings_and_from_an_input_file(server: ComfyUI, base: Path) -> None:
    assert len(motion(server, {"1": node("THA4LipSync", **SPEECH, fps=10.0, timings="0 sil\n0.5 a\n1 sil")})) > 9
    with wave.open(str(base / "input" / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        tone = np.sin(np.arange(32000) * 2 * math.pi * 220 / 16000)
        file.writeframes((tone * 20000).astype("<i2").tobytes())
    graph = {
        "1": node("THA4LipSync", **SPEECH, fps=10.0, timings="", audio=["2", 0]),
        "2": node("LoadAudio", audio="tone.wav"),
    }
    assert len(motion(server, graph)) == 20


def silence(path: Path, seconds: int) -> None:
    """A FLAC of silence: 1.3 kB a minute."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        second = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        second.sample_rate = 8000
        for _ in range(seconds):
            container.mux(stream.encode(second))
        container.mux(stream.encode(None))


def test_a_sound_that_is_too_long_to_play_is_not_decoded(server: ComfyUI, base: Path) -> None:
    silence(base / "input" / "hours.flac", 3 * 3600)
    listening = node("THA4LipSync", **SPEECH, fps=20.0, timings="", audio=["2", 0])
    graph = {"1": listening, "2": node("LoadAudio", audio="hours.flac")}
    answer(server, graph | {"2": node("LoadAudio", audio="missing.flac")})
    before = memory(server)
    problem = answer(server, graph)["problem"]
    assert "hours.flac is 180.0 minutes long or longer; at most 8.3 minutes are played here." in problem
    assert memory(server) - before < 60 * 2**20  # all of it would be 346 MB, twice


def test_a_sound_whose_length_is_not_told_is_decoded_as_far_as_it_can_be_played(server: ComfyUI, base: Path) -> None:
    whole = base / "input" / "hours.flac"
    silence(whole, 1200)
    content = bytearray(whole.read_bytes())
    content[21] &= 0xF0  # the number of samples in the FLAC's first block of metadata: 0 means unknown
    content[22:26] = bytes(4)
    whole.write_bytes(content)
    listening = node("THA4LipSync", **SPEECH, fps=240.0, timings="", audio=["2", 0])
    graph = {"1": listening, "2": node("LoadAudio", audio="hours.flac")}
    assert "at most 0.7 minutes" in answer(server, graph)["problem"]


def test_a_file_that_takes_long_to_read_waits_for_the_run(server: ComfyUI, base: Path) -> None:
    (base / "input" / "long.json").write_bytes(b"[" + b" " * 17 * 2**20 + b"]")
    for name, settings in (("THA4LoadPoses", {"fps": 0.0, "turn": 1.0}), ("THA4TrackedFace", tracked_face(server))):
        graph = {"1": node(name, file="input/long.json", **settings)}
        assert answer(server, graph)["problem"] == "long.json is too large to be read before the graph runs."


def tracked_face(server: ComfyUI) -> dict[str, Any]:
    """The defaults of Tracked Face's widgets."""
    inputs = server.get("/object_info/THA4TrackedFace")["THA4TrackedFace"]["input"]["required"]
    return {name: declared[1]["default"] for name, declared in inputs.items() if name != "file"}


def test_a_graph_whose_nodes_share_inputs_is_evaluated_once_a_node(server: ComfyUI) -> None:
    """Each of these nodes uses the one before twice: 2 to the power of 60 evaluations without a memo."""
    graph = {"0": pose_vector(head_y=0.5)}
    blend = {"how": "blend", "amount": 0.5, "seconds": 0.0, **dict.fromkeys(groups.GROUPS, True)}
    for i in range(1, 61):
        graph[str(i)] = node("THA4CombinePoses", a=[str(i - 1), 0], b=[str(i - 1), 0], **blend)
    assert answer(server, graph, "60")["frames"] == 1


def test_every_wrong_line_is_told(server: ComfyUI) -> None:
    problem = answer(server, {"1": sequence("0 neutral\n1 fly\n2 smile\n3 swim", 8.0)})["problem"]
    assert [line.split(",")[0] for line in problem.splitlines()] == ["Line 2", "Line 4"]


def test_what_of_timings_is_not_spoken_is_told(server: ComfyUI) -> None:
    timings = "1\n00:00:00,000 --> 00:00:01,000\nANN: [sighs] a\nBOB: 今\n"
    told = answer(server, {"1": node("THA4LipSync", **SPEECH, fps=10.0, timings=timings)})["notes"]
    assert told[0].startswith("2 speakers")
    assert told[1:] == [
        "Not spoken: [sighs].",
        "今 cannot be spoken: write it in kana (Chinese: in pinyin).",
    ]
    graph = {"1": node("THA4LipSync", **SPEECH, fps=10.0, timings=timings, speaker="Ann")}
    assert answer(server, graph)["notes"][0] == "Spoken: ANN. Left out: BOB."
    assert answer(server, {"1": sequence(NOD, 24.0)})["notes"] == []


def test_a_motion_that_needs_a_run_comes_after_the_run(server: ComfyUI) -> None:
    graph = {
        "1": node("THA4LipSync", **SPEECH, fps=10.0, timings="", audio=["2", 0]),
        "2": node("EmptyAudio", duration=1.0, sample_rate=16000, channels=1),
        "3": node("THA4SavePoses", poses=["1", 0], filename_prefix="spoken", format="json"),
    }
    assert answer(server, graph) == {"problem": "audio is known once the graph has run.", "after_run": True}
    key = server.queue(graph).outputs("1")["tha4_motion"][0]
    status, body = post(server, "poses", {"run_result": key})
    assert status == 200
    assert len(unpacked(json.loads(body))) == 10
    assert post(server, "poses", {"run_result": "0" * 16})[0] == 404


LISTENING = node("THA4LipSync", **SPEECH, fps=9.0, timings="", audio=["2", 0])


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        ({"1": node("THA4SavePoses")}, "known once the graph has run"),
        ({"1": node("THA4PoseSequence")}, "script is not connected"),
        ({"1": sequence(NOD, 1e9)}, "fps = 1e"),
        ({"1": sequence("0 smile\nhold 80000", 24.0)}, "1,920,000 frames"),
        ({"1": node("THA4IdleMotion", **(IDLE | {"seconds": 86400.0, "fps": 24.0}))}, "2,073,600 frames"),
        ({"1": node("THA4IdleMotion", **(IDLE | {"seed": 1.5e300}))}, "outside"),
        ({"1": node("THA4IdleMotion", **(IDLE | {"loop": 1}))}, "loop must be true or false"),
        ({"1": node("THA4LoadPoses", file="../../secret.json", fps=0.0, turn=1.0)}, "there is no"),
        ({"1": LISTENING, "2": node("LoadAudio", audio="../../etc/passwd")}, "There is no sound"),
        ({"1": LISTENING, "2": node("LoadAudio", audio="")}, "choose one"),
        ({"1": LISTENING, "2": node("LoadAudio")}, "choose one"),
    ],
)
def test_a_problem_of_a_node_is_reported(server: ComfyUI, graph: dict[str, Any], says: str) -> None:
    assert says in answer(server, graph)["problem"]


@pytest.mark.parametrize(
    "graph",
    [
        {},
        {"1": 5},
        {"1": {"class_type": "THA4PoseSequence", "inputs": 3}},
        {"1": node("THA4IdleMotion", **(IDLE | {"poses": ["1", 0]}))},
        {"1": node("THA4IdleMotion", **(IDLE | {"poses": [1, 2, 3]}))},
        {"1": LISTENING, "2": node("LoadAudio", audio=7)},
    ],
)
def test_an_invalid_graph_is_refused(server: ComfyUI, graph: dict[str, Any]) -> None:
    assert refusal(post(server, "poses", {"graph": graph, "node": "1"}))[0] == 400


def look(server: ComfyUI, **changes: Any) -> dict[str, Any]:
    status, body = post(server, "fit", DEMO | changes)
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def test_the_demo_character_fits_until_it_is_moved(server: ComfyUI) -> None:
    start = {"scale": 1.0, "x": 0.0, "y": 0.0}
    assert look(server) == {"size": [512, 512], "changed": 0, "start": start, "choices": [], "findings": []}
    moved = look(server, offset_x=100)["findings"]
    assert [(finding["code"], finding["warning"]) for finding in moved] == [("head_outside_box", True)]
    assert "columns 192 to 319" in moved[0]["text"]


def test_pictures_of_the_input_folder_are_fitted_with_and_without_their_mpost(server: ComfyUI, base: Path) -> None:
    folder = base / "input" / "clipspace"
    folder.mkdir(exist_ok=True)
    picture = Image.fromarray(demo_character().picture.numpy()).resize((1024, 1024))
    picture.save(folder / "painted.png")
    source = {"kind": "input", "name": "clipspace/painted.png"}
    found = look(server, source=source)
    assert found["size"] == [1024, 1024]
    assert found["start"]["scale"] == 0.5
    assert [(finding["code"], finding["warning"]) for finding in found["findings"]] == [("size", False)]
    assert look(server, source={**source, "opaque": True})["findings"][0]["code"] == "no_alpha"


def test_a_picture_drawn_anew_under_its_name_is_another(server: ComfyUI, base: Path) -> None:
    path, source = base / "input" / "again.png", {"kind": "file", "name": "input/again.png"}
    figure().save(path)
    first = look(server, source=source)
    figure((800, 800)).save(path)
    os.utime(path, (1, 1))
    second = look(server, source=source)
    assert (first["size"], second["size"]) == ([512, 512], [800, 800])
    assert first["changed"] != second["changed"]


def faceless(base: Path) -> dict[str, str]:
    """The demo character with hair all over her face: nobody can tell where the head is."""
    picture = Image.fromarray(demo_character().picture.numpy())
    ImageDraw.Draw(picture).ellipse((192, 66, 320, 200), fill=(40, 130, 160, 255))
    picture.save(base / "input" / "faceless.png")
    return {"kind": "file", "name": "input/faceless.png"}


def test_where_the_fit_is_not_sure_both_placements_are_offered(server: ComfyUI, base: Path) -> None:
    source = faceless(base)
    choices = {choice["fit"]: choice["start"] for choice in look(server, source=source)["choices"]}
    assert set(choices) == {"centered square", "head in box"}
    for fit, start in choices.items():
        chosen = look(server, source=source, fit=fit)
        assert (chosen["start"], chosen["choices"]) == (start, [])
    assert look(server, source=source, offset_x=3)["choices"] == []


def test_notes_of_the_file_come_after_the_warnings(server: ComfyUI, base: Path) -> None:
    frames = [Image.new("RGB", (512, 512), colour) for colour in ("red", "blue")]
    frames[0].save(base / "input" / "moving.gif", save_all=True, append_images=frames[1:])
    found = look(server, source={"kind": "file", "name": "input/moving.gif"})["findings"]
    assert [(finding["code"], finding["warning"]) for finding in found] == [("no_alpha", True), ("animated", False)]


def test_a_file_that_is_no_picture_is_told(server: ComfyUI, base: Path) -> None:
    (base / "input" / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    assert "none of PNG" in look(server, source={"kind": "file", "name": "input/page.png"})["problem"]


def test_a_picture_from_other_nodes_is_kept_by_the_run(server: ComfyUI) -> None:
    graph = {
        "1": node("LoadImage", image="lambda_00.png"),
        "2": node(
            "THA4LoadCharacter", file="demo", **PLACED, repo_id="", file_name="", revision="main",
            image=["1", 0], mask=["1", 1],
        ),
        "3": node("PreviewAny", source=["2", 2]),
    }  # fmt: skip
    name = server.queue(graph).outputs("2")["tha4_picture"][0]
    source = {"kind": "run", "name": name}
    assert look(server, source=source)["findings"] == []
    status, body = post(server, "picture", {"source": source})
    assert status == 200
    assert body[8:12] == b"WEBP"


def test_the_picture_is_the_characters(server: ComfyUI, tmp_path: Path) -> None:
    status, body = post(server, "picture", {"source": {"kind": "demo"}})
    assert status == 200
    (tmp_path / "demo.webp").write_bytes(body)
    shown = Character.load(tmp_path / "demo.webp").picture.int()
    seen = demo_character().picture.int()
    assert (shown - seen)[..., 3].abs().float().mean() < 1


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "demo"},
        {"source": {"kind": "url", "name": "x"}},
        {"source": {"kind": "input", "name": ["x"]}},
        {"fit": "stretch"},
        {"scale": 0},
        {"scale": "NaN"},
        {"offset_x": 1e300},
        {"offset_y": True},
    ],
)
def test_bad_requests_for_a_fit_are_refused(server: ComfyUI, changes: dict[str, Any]) -> None:
    assert refusal(post(server, "fit", DEMO | changes))[0] == 400


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("file", "../../../etc/passwd"),
        ("file", "input/../models/tha4/x.png"),
        ("file", "input//etc/passwd"),
        ("input", "/etc/passwd"),
        ("run", "tha4_source_../x.png"),
        ("input", ".."),
    ],
)
def test_no_picture_outside_the_folders_is_given(server: ComfyUI, kind: str, name: str) -> None:
    source = {"kind": kind, "name": name}
    assert "There is no picture" in look(server, source=source)["problem"]
    assert refusal(post(server, "picture", {"source": source}))[0] == 422


@pytest.mark.parametrize("path", ["fit", "picture", "poses"])
def test_other_sites_are_refused(server: ComfyUI, path: str) -> None:
    assert post(server, path, DEMO, Origin="https://elsewhere.example")[0] == 403
    assert post(server, path, DEMO, **{"Sec-Fetch-Site": "cross-site"})[0] == 403


def test_no_hostile_request_causes_a_server_error(server: ComfyUI, hostile: Callable[[str], Counter[str]]) -> None:
    chance = random.Random(7)
    odd: list[Any] = [
        *(None, True, -1, 0, 1e308, float("nan"), 2**70, "", "demo", "../x", "\x00", "a" * 5000),
        *([], {}, [["1", 0]], {"kind": "demo"}, {"kind": "file", "name": "\u202e"}, ["1", 0], [None, None]),
    ]
    graph = json.dumps({"graph": {"1": node("THA4IdleMotion", **IDLE), "2": sequence(NOD, 8.0)}, "node": "1"})
    for _ in range(400):
        path = chance.choice(("fit", "picture", "poses"))
        content = json.loads(graph if path == "poses" else json.dumps(DEMO))
        inner = content["graph"] if path == "poses" else content["source"]
        place = chance.choice(
            (content, inner, *(entry["inputs"] for entry in inner.values() if isinstance(entry, dict)))
        )
        place[chance.choice([*place, "client", "run_result"])] = chance.choice(odd)
        status, body = post(server, path, content)
        outcome = "accepted" if status < 400 else "own error" if status < 500 else "other"
        hostile("requests").update(("tried", outcome))
        assert status < 500, (path, content, body)


def get_student(server: ComfyUI, name: str, **headers: str) -> tuple[int, bytes, str]:
    query = urllib.parse.urlencode({"name": name})
    request = urllib.request.Request(f"{server.address}/tha4/student?{query}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers["ETag"]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers.get("ETag", "")


@pytest.mark.parametrize("name", ["demo", "lambda_00"])
def test_a_student_of_any_format_comes_as_one_file(server: ComfyUI, lambda_00: Path, tmp_path: Path, name: str) -> None:
    status, content, etag = get_student(server, name)
    assert status == 200
    path = tmp_path / "student.safetensors"
    path.write_bytes(content)
    opened, original = Student.load(path), Student.load(DEMO_STUDENT if name == "demo" else lambda_00)
    assert torch.equal(opened.character.picture, original.character.picture)
    for key, value in original.state_dict().items():
        assert torch.equal(opened.state_dict()[key], value), key
    assert "history" not in opened.metadata
    assert get_student(server, name, **{"If-None-Match": etag})[:2] == (304, b"")


@pytest.mark.parametrize("name", ["", "none", "../../student", "x" * 400])
def test_only_listed_students_are_given(server: ComfyUI, name: str) -> None:
    status, content, _ = get_student(server, name)
    assert status in (400, 404)
    assert "error" in json.loads(content)


def test_other_sites_get_no_student(server: ComfyUI) -> None:
    assert get_student(server, "demo", **{"Sec-Fetch-Site": "cross-site"})[0] == 403


def test_the_live_page_loads_its_own_files_and_nothing_else(server: ComfyUI) -> None:
    with urllib.request.urlopen(f"{server.address}/tha4/live", timeout=30) as answer:
        document = answer.read().decode()
    assert "default-src 'self'" in document
    assert "<script>" not in document
    assert "style=" not in document
    linked = re.findall(r'(?:src|href)="(web/[^"]+)"', document)
    assert len(linked) == 2
    for path in linked:
        with urllib.request.urlopen(f"{server.address}/tha4/{path}", timeout=30) as answer:
            assert answer.status == 200
    for outside in ("web/../nodes/host.py", "web/%2e%2e/nodes/host.py", "web//etc/passwd"):
        with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
            urllib.request.urlopen(f"{server.address}/tha4/{outside}", timeout=30)
