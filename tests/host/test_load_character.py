"""Load Character in whole graphs: what Load Image gives it, and files that are there no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.core.picture.doll import figure
from tests.core.picture.test_reading import profile
from tests.host.comfyui import ComfyUI, Prompt
from tests.host.test_graphs import NO_HUB, node, saved

PLACED = {"fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0, **NO_HUB}


def graph(file: str, **connected: Any) -> Prompt:
    """Load Character as node 2, behind a Load Image as node 1, with its picture and its report shown by 3 and 4."""
    return {
        "1": node("LoadImage", image="doll.png"),
        "2": node("THA4LoadCharacter", file=file, **PLACED, **connected),
        "3": node("PreviewImage", images=["2", 1]),
        "4": node("PreviewAny", source=["2", 2]),
    }


@pytest.fixture
def doll(base: Path) -> Path:
    path = base / "input" / "doll.png"
    figure().save(path, icc_profile=profile())
    return path


def test_the_profile_of_load_images_file_is_applied(server: ComfyUI, doll: Path) -> None:
    run = server.queue(graph("demo", image=["1", 0], mask=["1", 1]))
    assert run.error == ""
    red, green, blue = Image.open(saved(server, run, "3")[0]).convert("RGB").getpixel((220, 110))
    assert (red, green, blue) != (230, 120, 90)
    assert red > 240
    assert run.outputs("4")["text"] == [""]
    run = server.queue(graph("input/doll.png"))
    assert Image.open(saved(server, run, "3")[0]).convert("RGB").getpixel((220, 110)) == (red, green, blue)


def test_without_its_mask_a_picture_of_load_image_is_opaque(server: ComfyUI, doll: Path) -> None:
    run = server.queue(graph("demo", image=["1", 0]))
    assert "no transparency" in run.outputs("4")["text"][0]


@pytest.mark.parametrize("file", ["gone.png", "input/gone.png", "from the image input"])
def test_a_file_that_is_gone_matters_only_where_it_is_used(server: ComfyUI, doll: Path, file: str) -> None:
    run = server.queue(graph(file, image=["1", 0], mask=["1", 1]))
    assert run.error == ""
    with pytest.raises(RuntimeError, match=file if file.endswith("png") else "has no picture"):
        server.queue(graph(file))


def test_the_preview_is_not_shown_on_the_node_itself(server: ComfyUI, doll: Path) -> None:
    run = server.queue(graph("input/doll.png"))
    assert "images" not in run.outputs("2")


def test_an_uploaded_picture_is_listed_without_a_restart(server: ComfyUI, base: Path) -> None:
    figure().save(base / "input" / "Fresh.PNG")
    (base / "input" / "notes.txt").write_text("no picture")
    listed = server.get("/object_info/THA4LoadCharacter")["THA4LoadCharacter"]["input"]["required"]["file"]
    options = listed[1]["options"] if listed[0] == "COMBO" else listed[0]
    assert "input/Fresh.PNG" in options
    assert "input/notes.txt" not in options
    assert options[:2] == ["demo", "from the image input"]
    assert options[-1] == "from the hub"
