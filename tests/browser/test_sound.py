"""The sound in players: the file of a Load Audio, in step with the frames."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.panels import PATIENCE, Panel
from tests.host.comfyui import ComfyUI

NAME = "la la &.wav"
FPS = 10.0
_WATCHED = """(id) => {
    const panel = document.querySelector(`.tha4-panel[data-test='${id}']`);
    const { paused, currentTime } = panel.querySelector("audio");
    const frame = Number(panel.querySelector(".tha4-player-time").innerText.match(/(\\d+) \\//)[1]) - 1;
    return { paused, currentTime, frame };
}"""


@pytest.fixture(scope="session")
def sound(web_server: ComfyUI) -> str:
    """The name of a sound of three seconds in the input folder."""
    write_tone(web_server.base / "input" / NAME, 3.0)
    return NAME


def write_tone(path: Path, seconds: float) -> None:
    tone = 0.4 * np.sin(2 * np.pi * 220 * np.arange(int(16000 * seconds)) / 16000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((tone * 32767).astype("<i2").tobytes())


def add_speech(comfy: ComfyPage, sound: str) -> Panel:
    """A Lip Sync that hears the sound."""
    loader, speech = comfy.add("LoadAudio", 20, 500), comfy.add("THA4LipSync", 420, 60)
    comfy.set(loader, "audio", sound)
    comfy.set(speech, "fps", FPS)
    comfy.connect(loader, 0, speech, "audio")
    return Panel(comfy, speech, "tha4_player")


def watched(panel: Panel) -> dict[str, float]:
    """The sound's state and the frame that is shown, of the same moment."""
    state: dict[str, float] = panel.comfy.page.evaluate(_WATCHED, panel.node)
    return state


def wait_for_sound(panel: Panel, seconds: float) -> None:
    panel.comfy.page.wait_for_function(
        "([id, s]) => document.querySelector(`[data-test='${id}'] audio`).currentTime > s",
        arg=[str(panel.node), seconds],
        timeout=PATIENCE,
    )


def test_sound_and_frames_play_in_step(comfy: ComfyPage, sound: str) -> None:
    panel = add_speech(comfy, sound)
    panel.wait("[data-frames='30']")
    comfy.drag(panel.find(".tha4-player-curves"), (0.2, 0.5), (0.4, 0.5))
    start = watched(panel)
    assert start["paused"]
    assert 10 <= start["frame"] <= 13
    panel.find("audio").evaluate("(audio) => { audio.playbackRate = 0.5; }")  # as where a sound is slow to come
    panel.find("[data-name='play']").click()
    wait_for_sound(panel, start["frame"] / FPS + 0.6)
    now = watched(panel)
    assert not now["paused"]
    assert now["currentTime"] > start["frame"] / FPS
    assert abs(now["frame"] - now["currentTime"] * FPS) < 2.5
    panel.find("[data-name='play']").click()
    stopped = watched(panel)
    comfy.page.wait_for_timeout(300)
    assert watched(panel) == stopped
    assert stopped["paused"]


def test_it_begins_again_with_the_motion(comfy: ComfyPage, sound: str) -> None:
    panel = add_speech(comfy, sound)
    panel.wait("[data-frames='30']")
    panel.find(".tha4-player-curves").focus()
    comfy.page.keyboard.press("End")
    for _ in range(4):
        comfy.page.keyboard.press("ArrowLeft")
    panel.find("[data-name='play']").click()
    wait_for_sound(panel, 2.6)
    comfy.page.wait_for_function(
        "(id) => { const { currentTime: at, paused } = document.querySelector(`[data-test='${id}'] audio`);"
        " return at < 1 && at > 0.1 && !paused; }",
        arg=str(panel.node),
        timeout=PATIENCE,
    )
    panel.find("[data-name='loop']").click()
    comfy.page.wait_for_function(
        "(id) => document.querySelector(`[data-test='${id}'] audio`).paused", arg=str(panel.node), timeout=PATIENCE
    )
    expect(panel.find(".tha4-player-time")).to_contain_text("30 / 30", timeout=PATIENCE)
    expect(panel.find("[data-name='play']")).to_have_text("▶")


def test_mute_is_remembered(comfy: ComfyPage, sound: str) -> None:
    panel = add_speech(comfy, sound)
    mute = panel.find("[data-name='mute']")
    mute.click()
    expect(mute).to_have_attribute("data-muted", "true")
    assert panel.find("audio").evaluate("(audio) => audio.muted")
    comfy.clear()
    again = add_speech(comfy, sound)
    expect(again.find("[data-name='mute']")).to_have_attribute("data-muted", "true", timeout=PATIENCE)
    again.find("[data-name='mute']").click()
    assert not again.find("audio").evaluate("(audio) => audio.muted")


def test_a_motion_after_it_keeps_the_sound(comfy: ComfyPage, sound: str) -> None:
    speech = add_speech(comfy, sound)
    edit, idle = comfy.add("THA4EditPoses", 850, 60), comfy.add("THA4IdleMotion", 1150, 60)
    comfy.connect(speech.node, 0, edit, "poses")
    comfy.connect(edit, 0, idle, "poses")
    panel = Panel(comfy, idle, "tha4_player")
    expect(panel.find("[data-name='mute']")).to_be_visible(timeout=PATIENCE)
    comfy.set(edit, "speed", 2.0)
    expect(panel.find("[data-name='mute']")).to_be_hidden(timeout=PATIENCE)


def test_where_no_file_is_chosen_it_says_so(comfy: ComfyPage) -> None:
    load, speech = comfy.add("LoadAudio", 20, 500), comfy.add("THA4LipSync", 420, 60)
    comfy.set(load, "audio", "")
    comfy.connect(load, 0, speech, "audio")
    panel = Panel(comfy, speech, "tha4_player")
    expect(panel.find(".tha4-player-problem")).to_have_text("Load Audio has no file yet: choose one.", timeout=PATIENCE)
    expect(panel.find(".tha4-player-caption")).not_to_contain_text("no sound")


def test_a_sound_that_other_nodes_make_is_not_heard_and_it_says_so(comfy: ComfyPage) -> None:
    silence, speech = comfy.add("EmptyAudio", 20, 500), comfy.add("THA4LipSync", 420, 60)
    comfy.connect(silence, 0, speech, "audio")
    panel = Panel(comfy, speech, "tha4_player")
    expect(panel.find(".tha4-player-caption")).to_contain_text("no sound", timeout=PATIENCE)
    expect(panel.find("[data-name='mute']")).to_be_hidden()


def test_a_sound_that_the_browser_cannot_play_leaves_the_motion(comfy: ComfyPage, sound: str) -> None:
    comfy.page.route("**/view?*", lambda route: route.fulfill(body="no sound at all", content_type="audio/wav"))
    try:
        panel = add_speech(comfy, sound)
        panel.wait("[data-frames='30']")
        panel.find("[data-name='play']").click()
        expect(panel.find(".tha4-player-caption")).to_contain_text("cannot play this sound", timeout=PATIENCE)
        expect(panel.find(".tha4-player-time")).not_to_contain_text(" 1 / 30", timeout=PATIENCE)
    finally:
        comfy.page.unroute("**/view?*")


def test_a_browser_that_refuses_to_play_is_told_of(comfy: ComfyPage, sound: str) -> None:
    """A browser refuses before a person has clicked anything; a test that plays has clicked. So the refusal is made."""
    panel = add_speech(comfy, sound)
    panel.wait("[data-frames='30']")
    panel.find("audio").evaluate(
        "(audio) => { audio.play = () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
    )
    panel.find("[data-name='play']").click()
    expect(panel.find(".tha4-player-caption")).to_contain_text("click ▶ again", timeout=PATIENCE)
    expect(panel.find(".tha4-player-time")).not_to_contain_text(" 1 / 30", timeout=PATIENCE)
    panel.find("audio").evaluate("(audio) => { delete audio.play; }")
    panel.find("[data-name='play']").click()
    panel.find("[data-name='play']").click()
    wait_for_sound(panel, 0.1)
    expect(panel.find(".tha4-player-caption")).not_to_contain_text("click ▶ again", timeout=PATIENCE)
