"""Each node by itself, executed by ComfyUI's own machinery."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.core.picture.doll import figure
from tha4_core.picture.model_space import over_background, to_srgb
from tha4_core.pose import NAMES
from tha4_core.student import Student as CoreStudent

NO_HUB = {"repo_id": "", "file_name": "", "revision": "main"}
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def student(call: Call) -> Any:
    return call("THA4LoadStudent", student="lambda_00", **NO_HUB)[0]


@pytest.fixture(scope="module")
def smile(call: Call) -> Any:
    return call("THA4PoseVector", **dict.fromkeys(NAMES, 0.0) | {"head_y": 0.5, "mouth_aaa": 1.0})[0]


@pytest.fixture(scope="module")
def frame(lambda_00: Path, smile: Any) -> Tensor:
    """What the library renders for that pose, in model space."""
    return CoreStudent.load(lambda_00).render(smile.values)


def render(call: Call, student: Any, poses: Any, **changes: Any) -> tuple[Tensor, Tensor]:
    inputs = {"background": "none", "background_color": "#808080", "rgba": False} | changes
    return call("THA4StudentRender", student=student, poses=poses, **inputs)[:2]


def test_pose_vector_names_the_45_numbers_in_order(call: Call) -> None:
    poses = call("THA4PoseVector", **{name: 0.01 * i for i, name in enumerate(NAMES)})[0]
    torch.testing.assert_close(poses.values, 0.01 * torch.arange(45.0)[None])
    assert poses.fps > 0


def test_pose_vector_refuses_what_a_link_brings_out_of_range(call: Call) -> None:
    with pytest.raises(ValueError, match="head_x = 3 is outside its range"):
        call("THA4PoseVector", **dict.fromkeys(NAMES, 0.0) | {"head_x": 3.0})


def test_student_render_gives_straight_colour_and_load_images_mask(call: Call, student, smile, frame: Tensor) -> None:
    image, mask = render(call, student, smile)
    assert image.shape == (1, 512, 512, 3)
    assert mask.shape == (1, 512, 512)
    picture = to_srgb(frame)
    torch.testing.assert_close(1 - mask, picture[..., 3], atol=1e-5, rtol=0)
    visible = picture[..., 3] >= 1 / 255
    torch.testing.assert_close(image[visible], picture[visible][:, :3], atol=1e-4, rtol=0)
    edge = (mask > 0.5) & (torch.nn.functional.max_pool2d(1 - mask, 9, 1, 4) > 0.5)
    assert image[edge].mean() > 0.3  # hair, skin and jacket, where black would be 0


def test_rgba_carries_alpha_as_fourth_channel(call: Call, student, smile) -> None:
    image, mask = render(call, student, smile, rgba=True)
    assert image.shape == (1, 512, 512, 4)
    torch.testing.assert_close(image[..., 3], 1 - mask)


def test_color_background_is_mixed_in_linear_light(call: Call, student, smile, frame: Tensor) -> None:
    image, mask = render(call, student, smile, background="color", background_color="#00ff00")
    expected = over_background(frame, torch.tensor([0.0, 1.0, 0.0]).view(1, 1, 1, 3))
    torch.testing.assert_close(image, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(image[0, 0, 0], torch.tensor([0.0, 1.0, 0.0]), atol=1e-3, rtol=0)
    assert mask[0, 0, 0] > 0.999


def test_background_image_of_any_size_goes_behind(call: Call, student, smile) -> None:
    wall = torch.tensor([0.2, 0.4, 0.8]).expand(1, 300, 700, 3)
    image, _ = render(call, student, smile, background_image=wall)
    torch.testing.assert_close(image[0, 0, 0], torch.tensor([0.2, 0.4, 0.8]), atol=1e-3, rtol=0)


def test_frames_have_the_size_that_is_asked_for(call: Call, student, smile, frame: Tensor) -> None:
    image, mask = render(call, student, smile, size=1024, background_image=torch.full((1, 30, 50, 3), 0.5))
    assert image.shape == (1, 1024, 1024, 3)
    assert mask.shape == (1, 1024, 1024)
    half = torch.nn.functional.avg_pool2d(1 - mask, 2)
    assert (half - to_srgb(frame)[..., 3]).abs().mean() < 0.01
    with pytest.raises(ValueError, match="size is 500"):
        render(call, student, smile, size=500)


def test_a_precision_that_is_none_is_named(call: Call, student, smile) -> None:
    with pytest.raises(ValueError, match="bfloat16"):
        render(call, student, smile, precision="bfloat16")


def test_background_images_that_do_not_match_are_refused(call: Call, student, smile) -> None:
    with pytest.raises(ValueError, match="background_image has 2 pictures for 1 frames"):
        render(call, student, smile, background_image=torch.zeros(2, 8, 8, 3))


def test_bad_color_is_named(call: Call, student, smile) -> None:
    with pytest.raises(ValueError, match='"grun"'):
        render(call, student, smile, background="color", background_color="grun")


def test_load_student_gives_its_character_too(call: Call, lambda_00: Path) -> None:
    student, character = call("THA4LoadStudent", student="lambda_00", **NO_HUB)
    assert character is student.character
    assert character.name == "lambda_00"


def test_load_character_takes_image_and_mask_of_any_size(call: Call, student) -> None:
    picture = student.character.picture.float() / 255
    inputs = {"file": "from the image input", "fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0, **NO_HUB}
    character, preview, report = call(
        "THA4LoadCharacter", image=picture[None, ..., :3], mask=1 - picture[None, ..., 3], **inputs
    )
    assert torch.equal(character.picture, student.character.picture)
    assert report == ""
    assert preview.shape == (1, 512, 512, 3)
    wide = torch.nn.functional.pad(picture.movedim(-1, 0), (300, 100, 0, 200)).movedim(0, -1)[None]
    character, _, report = call("THA4LoadCharacter", image=wide, **inputs)
    assert "912 x 712" in report
    assert "head" not in report


def test_load_character_keeps_a_large_picture_for_large_frames(call: Call, student) -> None:
    large = torch.nn.functional.interpolate(student.character.picture.movedim(-1, 0)[None] / 255, scale_factor=3)
    inputs = {"file": "from the image input", "fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0, **NO_HUB}
    character = call("THA4LoadCharacter", image=large.movedim(1, -1), **inputs)[0]
    assert character.source.shape == (1536, 1536, 4)
    assert call("THA4LoadCharacter", file="demo", **{k: v for k, v in inputs.items() if k != "file"})[0].source is None


def test_load_character_reports_what_is_wrong(call: Call) -> None:
    inputs = {"file": "from the image input", "fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0, **NO_HUB}
    report = call("THA4LoadCharacter", image=torch.rand(1, 512, 512, 3), mask=torch.zeros(1, 64, 64), **inputs)[2]
    assert "no transparency" in report
    with pytest.raises(ValueError, match="has no picture"):
        call("THA4LoadCharacter", **inputs)
    report = call("THA4LoadCharacter", image=torch.zeros(2, 512, 512, 3), **inputs)[2]
    assert "batch of 2 pictures. The first one is used." in report
    with pytest.raises(ValueError, match="mask but no image"):
        call("THA4LoadCharacter", mask=torch.zeros(1, 64, 64), **inputs)


def test_load_character_from_its_folder(call: Call, base: Path, lambda_00: Path) -> None:
    (base / "models" / "tha4" / "characters" / "mine.png").write_bytes((lambda_00 / "character.png").read_bytes())
    inputs = {"fit": "auto", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0, **NO_HUB}
    character, _, report = call("THA4LoadCharacter", file="mine.png", **inputs)
    assert (character.name, report) == ("mine", "")


def test_load_character_from_the_input_folder(call: Call, base: Path) -> None:
    moving = [Image.new("RGBA", (512, 512), colour) for colour in ("red", "blue")]
    moving[0].save(base / "input" / "Moving.GIF", save_all=True, append_images=moving[1:])
    inputs = {"fit": "centered square", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0, **NO_HUB}
    character, _, report = call("THA4LoadCharacter", file="input/Moving.GIF", **inputs)
    assert character.name == "Moving"
    assert character.picture[0, 0].tolist() == [255, 0, 0, 255]
    assert report.splitlines()[0].startswith("The picture has no transparency")
    assert "several pictures" in report.splitlines()[-1]


@pytest.mark.parametrize(("fit", "moved"), [("centered square", False), ("head in box", True), ("auto", True)])
def test_a_fit_chosen_by_hand_is_kept_to(call: Call, fit: str, moved: bool) -> None:
    picture = torch.from_numpy(np.array(figure((900, 900), 1.0, 300, 350))) / 255
    inputs = {"file": "demo", "scale": 1.0, "offset_x": 0.0, "offset_y": 0.0, **NO_HUB}
    image, mask = picture[None, ..., :3], 1 - picture[None, ..., 3]
    character = call("THA4LoadCharacter", image=image, mask=mask, fit=fit, **inputs)[0]
    assert bool(character.picture[128, 256, 3] > 0) == moved


def test_pose_sequence_follows_its_script(call: Call, smile) -> None:
    inputs = {"fps": 10.0, "length": 0.0, "loop": False}
    poses, fps, frames = call("THA4PoseSequence", script="0 head_y=1 linear in 1", **inputs)
    assert (fps, frames, len(poses), poses.fps) == (10.0, 11, 11, 10.0)
    torch.testing.assert_close(poses.values[:, NAMES.index("head_y")], torch.linspace(0, 1, 11))
    poses = call("THA4PoseSequence", script="0 key 1", keys=smile, **inputs)[0]
    torch.testing.assert_close(poses.values[0], smile.values[0])


def test_pose_sequence_names_the_line_that_is_wrong(call: Call) -> None:
    with pytest.raises(ValueError, match="Line 2"):
        call("THA4PoseSequence", script="0 neutral\n1 fly", fps=10.0, length=0.0, loop=False)


def test_out_of_memory_retries_with_half_the_chunk(call: Call) -> None:
    from tests.host.pack import pack_module

    done: list[slice] = []

    def run(items: slice) -> None:
        if items.stop - items.start > 2:
            raise torch.cuda.OutOfMemoryError
        done.append(items)

    pack_module("nodes.host").in_chunks(5, 8, run)
    assert done == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_other_errors_and_hopeless_memory_are_not_retried(call: Call) -> None:
    from tests.host.pack import pack_module

    calls: list[slice] = []

    def run(error: Exception, items: slice) -> None:
        calls.append(items)
        raise error

    for size, error in ((4, RuntimeError("a shape is wrong")), (1, torch.cuda.OutOfMemoryError())):
        with pytest.raises(type(error)):
            pack_module("nodes.host").in_chunks(4, size, lambda items, error=error: run(error, items))
    assert len(calls) == 2
