"""Whom editors and players show: the graph's own character, by a student or a teacher where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Response, expect

from tests.browser.comfy_page import ComfyPage
from tests.browser.editor_page import Editor, add_editor
from tests.browser.panels import PATIENCE, Panel, run
from tests.host.comfyui import ComfyUI
from tests.recipe import recipe_tha3
from tha4_core.demo import DEMO_STUDENT, demo_character

RECOLOURED = "recoloured.png"


@pytest.fixture(scope="session")
def own_picture(web_server: ComfyUI) -> str:
    """The name of a character's picture that is not the demo's: her colours are others."""
    pixels = demo_character().picture.numpy()[..., [1, 2, 0, 3]]
    Image.fromarray(np.ascontiguousarray(pixels)).save(web_server.base / "input" / RECOLOURED)
    return f"input/{RECOLOURED}"


def add_render(comfy: ComfyPage, poses: int, file: str, render: str = "THA4TeacherRender") -> tuple[int, int]:
    """A Load Character whose character is rendered in those poses; both nodes."""
    character, to = comfy.add("THA4LoadCharacter", 20, 60), comfy.add(render, 1200, 60)
    comfy.set(character, "file", file)
    comfy.connect(character, 0, to, "character")
    comfy.connect(comfy.add("THA4LoadTeacher", 20, 600), 0, to, "teacher")
    comfy.connect(poses, 0, to, "poses")
    return character, to


def caption(editor: Editor, text: str) -> None:
    expect(editor.find(".tha4-caption")).to_have_text(text, timeout=PATIENCE)


def shown_by(editor: Editor, who: str) -> None:
    expect(editor.find(".tha4-stage")).to_have_attribute("data-by", who, timeout=PATIENCE)
    editor.settle()


def test_a_character_without_a_student_is_her_picture(comfy: ComfyPage, own_picture: str) -> None:
    editor = add_editor(comfy)
    character, _ = add_render(comfy, editor.node, own_picture)
    caption(editor, f"{RECOLOURED} (the demo rig moves the demo character alone: this is her picture)")
    shown_by(editor, "picture")
    own, shown = demo_character().picture.numpy()[..., [1, 2, 0, 3]].astype(int), editor.picture().astype(int)
    opaque = own[..., 3] == 255
    assert np.abs(own - shown)[opaque].mean() < 6
    comfy.set(character, "offset_x", 40)
    moved = shown
    for _ in range(100):
        moved = editor.picture().astype(int)
        if np.abs(moved[:, 40:] - shown[:, :-40]).mean() < 2:
            break
        comfy.page.wait_for_timeout(100)
    assert np.abs(moved[:, 40:] - shown[:, :-40]).mean() < 2
    comfy.set(editor.node, "head_y", 1)
    editor.settle()
    comfy.set(character, "file", "demo")
    comfy.set(character, "offset_x", 0)
    caption(editor, "demo")
    shown_by(editor, "server")


@pytest.fixture(scope="module")
def small_teacher(web_server: ComfyUI) -> Iterator[str]:
    """The name of the smallest teacher, synthetic, which has its weights and is not open yet."""
    folder = web_server.base / "models" / "tha4" / "teacher" / "tha3_separable_float"
    folder.mkdir(parents=True)
    for name, state_dict in recipe_tha3("separable").items():
        torch.save(state_dict, folder / f"{name}.pt")
    yield "THA3 separable"
    shutil.rmtree(folder)


def teacher_frame(editor: Editor) -> np.ndarray:
    shown_by(editor, "teacher")
    return editor.picture().astype(int)


def test_the_teacher_that_is_open_shows_the_graphs_own_character(
    comfy: ComfyPage, own_picture: str, small_teacher: str
) -> None:
    answers: list[str] = []

    def note(got: Response) -> None:
        if "/tha4/teacher_frame" in got.url:
            answers.append(got.headers["content-type"].partition(";")[0])

    comfy.page.on("response", note)
    editor = add_editor(comfy)
    character, render = add_render(comfy, editor.node, own_picture)
    teacher = next(node for node in comfy.prompt() if comfy.prompt()[node]["class_type"] == "THA4LoadTeacher")
    comfy.set(int(teacher), "teacher", small_teacher)
    comfy.set(int(teacher), "precision", "float32" if comfy.nodes2 else "auto")  # not open from the test before
    name = f"{RECOLOURED} (no student yet: by the teacher)"
    caption(editor, f"{name} · run the graph once: then its teacher shows her")
    shown_by(editor, "picture")
    still = editor.picture().astype(int)
    assert set(answers) == {"application/json"}
    comfy.connect(render, 0, comfy.add("PreviewImage", 1500, 60), "images")
    run(comfy)
    caption(editor, name)
    first = teacher_frame(editor)
    assert np.abs(first - still).max() > 20
    answers.clear()
    comfy.drag(editor.zone("head"), (0.5, 0.3), (0.9, 0.3))
    caption(editor, f"{name} · rendering…")
    caption(editor, name)
    second = teacher_frame(editor)
    assert np.abs(second - first).max() > 20
    assert answers == ["image/webp"]  # on a CPU none while it is dragged
    comfy.set(character, "file", "demo")
    caption(editor, "demo")
    shown_by(editor, "server")
    comfy.page.remove_listener("response", note)


def test_the_demo_character_is_shown_by_her_student(comfy: ComfyPage) -> None:
    asked: list[str] = []
    editor = add_editor(comfy)
    comfy.page.on("request", lambda sent: asked.append(sent.post_data or "") if "/tha4/frame" in sent.url else None)
    add_render(comfy, editor.node, "demo")
    comfy.set(editor.node, "head_y", 0.5)
    caption(editor, "demo")
    editor.settle()
    comfy.page.wait_for_timeout(500)
    assert asked
    assert all('"kind":"student"' in body for body in asked)


def test_a_student_that_is_distilled_here_is_shown_once_it_is_there(
    comfy: ComfyPage, web_server: ComfyUI, own_picture: str
) -> None:
    panel = Panel(comfy, comfy.add("THA4PoseSequence", 600, 60), "tha4_player")
    name = f"just_made_{comfy.nodes2}"
    distill, render = comfy.add("THA4DistillStudent", 500, 700), comfy.add("THA4StudentRender", 1200, 500)
    character = comfy.add("THA4LoadCharacter", 20, 60)
    comfy.set(character, "file", own_picture)
    comfy.set(distill, "name", name)
    comfy.connect(character, 0, distill, "character")
    comfy.connect(distill, 0, render, "student")
    comfy.connect(panel.node, 0, render, "poses")
    missing = "no student and no Load Teacher yet: this is her picture"
    expect(panel.find(".tha4-player-caption")).to_contain_text(missing, timeout=PATIENCE)
    panel.wait("[data-by='picture'][data-resting='true']")
    file = Path(web_server.base / "models" / "tha4" / "students" / f"{name}.safetensors")
    file.write_bytes(DEMO_STUDENT.read_bytes())
    comfy.page.evaluate("async () => (await import('/extensions/tha4/js/library.js')).library.load(true)")
    expect(panel.find(".tha4-player-caption")).to_have_text(f"{name}.safetensors", timeout=PATIENCE)
    panel.wait("[data-by='server'][data-resting='true']")
    file.unlink()
    comfy.page.evaluate("async () => (await import('/extensions/tha4/js/library.js')).library.load(true)")


def test_a_student_and_a_picture_that_are_not_here_are_called_missing(comfy: ComfyPage) -> None:
    editor, panel = add_editor(comfy), Panel(comfy, comfy.add("THA4IdleMotion", 750, 60), "tha4_player")
    load, render = comfy.add("THA4LoadStudent", 20, 60), comfy.add("THA4StudentRender", 1200, 600)
    comfy.set(load, "student", "nobody.safetensors")
    comfy.connect(load, 0, render, "student")
    comfy.connect(editor.node, 0, render, "poses")
    add_render(comfy, panel.node, "input/nobody.png")
    caption(editor, "nobody.safetensors is missing: put it into models/tha4/students, or choose another one.")
    shown_by(editor, "nobody")
    assert not editor.picture().any()
    expect(panel.find(".tha4-player-problem")).to_have_text(
        "nobody.png is missing: put it into input, or choose another one.", timeout=PATIENCE
    )
    assert not panel.picture().any()
    comfy.set(load, "student", "demo")
    caption(editor, "demo")
    shown_by(editor, "server")


def test_a_student_that_appears_is_in_the_lists_without_a_reload(comfy: ComfyPage, web_server: ComfyUI) -> None:
    students = "(id) => app.graph.getNodeById(id).widgets.find(({ name }) => name === 'student').options.values"
    load, name = comfy.add("THA4LoadStudent", 320, 80), f"appeared_{comfy.nodes2}.safetensors"
    file = web_server.base / "models" / "tha4" / "students" / name
    file.write_bytes(DEMO_STUDENT.read_bytes())
    for is_there in (True, False):
        comfy.page.evaluate("() => window.dispatchEvent(new Event('focus'))")  # the user comes back to the page
        comfy.page.wait_for_function(f"([id, name, there]) => ({students})(id).includes(name) === there",
            arg=[load, name, is_there], timeout=PATIENCE)  # fmt: skip
        file.unlink(missing_ok=True)
