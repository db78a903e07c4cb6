"""The student rendered in the page: the library's frames on two WGSL compilers, and a page that lives with a GPU."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Error, Page
from torch import Tensor

import tha4_core as tha4
from tests.browser.puppet_site import (
    TO_BASE64,
    decode,
    folded,
    levels_off,
    premultiplied,
    psnr,
    puppet_site,
    random_poses,
)
from tha4_core.demo import DEMO_STUDENT

POSES = 5
STAGES = {"face": 4, "level0": 4, "level1": 2, "level2": 1}  # what a frame's side is divided by
BUILT_IN_SINE = "fn sine(turns: vec4f) -> vec4f { return sin(turns * 6.283185307); }"
OPEN = """async ([student, size, renderer]) => {
    const { Puppet } = await import("/puppet/puppet.js");
    window.puppet?.close();
    const canvas = document.createElement("canvas");
    document.body.replaceChildren(canvas);
    window.puppet = await Puppet.open(student, renderer.floats ? null : canvas, { size, renderer });
}"""
RENDER = """async (pose) => {
    await puppet.render(pose);
    return (TO_BASE64)(await puppet.pixels());
}""".replace("TO_BASE64", TO_BASE64)


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory, lambda_00: Path) -> dict[str, Path]:
    published = tmp_path_factory.mktemp("students") / "lambda_00.safetensors"
    tha4.Student.load(lambda_00).save(published)
    return {"demo": DEMO_STUDENT, "lambda_00": published}


@pytest.fixture(scope="module")
def site(students: dict[str, Path]) -> Iterator[str]:
    with puppet_site(students) as address:
        yield address


@pytest.fixture(scope="module")
def page(gpu_browser: Browser, site: str) -> Iterator[Page]:
    """A page of the site for all tests: a device compiles each kernel once, which takes ten seconds on a CPU.

    It asks no other host for anything, and nothing stands in its console as an error.
    """
    page = gpu_browser.new_page()
    hosts, errors = set(), []
    page.on("request", lambda request: hosts.add(request.url.split("/puppet")[0].split("/students")[0]))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{site}/puppet/puppet.js")
    yield page
    page.close()
    assert {host for host in hosts if not host.startswith(("data:", "blob:"))} == {site}
    assert [text for text in errors if "favicon" not in text and "404" not in text] == []


def rendered(page: Page, pose: Tensor, size: int, dtype: type = np.float32) -> NDArray[Any]:
    return np.frombuffer(decode(page.evaluate(RENDER, pose.tolist())), dtype).reshape(size, size, 4)


@pytest.mark.parametrize("student", ["demo", "lambda_00"])
def test_a_page_shows_the_librarys_frames(page: Page, students: dict[str, Path], student: str) -> None:
    size, poses = 64, random_poses(POSES)
    page.evaluate(OPEN, [f"/students/{student}", size, {}])
    expected = premultiplied(tha4.Student.load(students[student]), poses, size)
    for pose, frame in zip(poses, expected, strict=True):
        off = levels_off(rendered(page, pose, size, np.uint8) / np.float32(255), frame)
        assert off.max() <= 1
        assert off.mean() <= 0.01


def test_only_our_own_sine_is_exact_everywhere(page: Page, students: dict[str, Path]) -> None:
    size, pose = 64, random_poses(1)
    expected = premultiplied(tha4.Student.load(students["lambda_00"]), pose, size)[0]
    page.evaluate(OPEN, ["/students/lambda_00", size, {"floats": True}])
    assert psnr(rendered(page, pose[0], size), expected) >= 100
    page.evaluate(OPEN, ["/students/lambda_00", size, {"floats": True, "sine": BUILT_IN_SINE}])
    assert psnr(rendered(page, pose[0], size), expected) < 80


def test_a_canvas_shows_the_frame_with_its_alpha(page: Page) -> None:
    page.evaluate(OPEN, ["/students/demo", 64, {}])
    frame = rendered(page, torch.zeros(45), 64, np.uint8).astype(np.float64)
    picture = page.locator("canvas").screenshot(omit_background=True)
    shown = np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"), np.float64)
    assert frame[..., 3].min() == 0
    assert frame[..., 3].max() == 255
    assert np.abs(shown[..., 3] - frame[..., 3]).max() <= 1
    # The picture of the page has straight colour.
    assert np.abs(shown[..., :3] * shown[..., 3:] / 255 - frame[..., :3]).max() <= 2


def test_the_newest_pose_wins(page: Page) -> None:
    page.evaluate(OPEN, ["/students/demo", 64, {}])
    done = page.evaluate("""async () => {
        const poses = Array.from({ length: 12 }, (_, i) => Array(45).fill(i / 12));
        const times = await Promise.all(poses.map((pose) => puppet.render(pose)));
        return [times.map((time) => time !== null), puppet.last.pose[0]];
    }""")
    assert done == [[True, *[False] * 10, True], pytest.approx(11 / 12)]


def test_a_face_that_stays_is_not_computed_again_and_one_that_moves_is(page: Page, students: dict[str, Path]) -> None:
    size = 64
    page.evaluate(OPEN, ["/students/demo", size, {}])
    poses = torch.zeros(3, 45)
    poses[1:, 40] = 0.8
    poses[2, 26] = 1
    expected = premultiplied(tha4.Student.load(students["demo"]), poses, size)
    for pose, frame in zip(poses, expected, strict=True):
        assert levels_off(rendered(page, pose, size, np.uint8) / np.float32(255), frame).max() <= 1


def test_closing_gives_the_memory_back(page: Page) -> None:
    live = page.evaluate(
        """async ([student]) => {
        const { openGPU } = await import("/puppet/gpu.js");
        const { Puppet } = await import("/puppet/puppet.js");
        const { device } = await openGPU();
        let live = 0;
        const create = device.createBuffer.bind(device);
        device.createBuffer = (description) => {
            const buffer = create(description);
            const destroy = buffer.destroy.bind(buffer);
            let gone = false;
            live += description.size;
            buffer.destroy = () => { live -= gone ? 0 : description.size; gone = true; destroy(); };
            return buffer;
        };
        const [first, second] = await Promise.all([0, 1].map(() => Puppet.open(student, null, { size: 64 })));
        await Promise.all([first.render(Array(45).fill(0)), second.render(Array(45).fill(0.5), 96)]);
        const open = live;
        first.close();
        const half = live;
        await second.render(Array(45).fill(0));
        second.close();
        return [open, half, live];
    }""",
        ["/students/demo"],
    )
    assert live[0] > live[1] > live[2] == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "too short"),
        ("[255, 255, 255, 255, 255, 0, 0, 0]", "header is cut off"),
        ("[2, 0, 0, 0, 0, 0, 0, 0, 91, 93]", "header cannot be read"),
        ("[2, 0, 0, 0, 0, 0, 0, 0, 123, 125]", "no face_morpher"),
    ],
)
def test_a_file_that_is_no_student_is_named(page: Page, content: str, message: str) -> None:
    with pytest.raises(Error, match=message):
        page.evaluate(f"""async () => {{
            const {{ Puppet }} = await import("/puppet/puppet.js");
            await Puppet.open(new Uint8Array({content}), null);
        }}""")


def test_a_browser_without_an_adapter_is_told_apart(browser: Browser, site: str) -> None:
    page = browser.new_page()
    page.goto(f"{site}/puppet/puppet.js")
    kind = page.evaluate("""async () => {
        const { Puppet, NoGPU } = await import("/puppet/puppet.js");
        return Puppet.open("/students/demo", null).then(() => "opened", (error) => error instanceof NoGPU);
    }""")
    page.close()
    assert kind is True


@pytest.mark.parametrize(("inputs", "outputs"), [(512, 64), (512, 256), (512, 480), (512, 1024), (700, 512)])
def test_pictures_are_resized_as_the_library_does(page: Page, inputs: int, outputs: int) -> None:
    taps, shares, most = page.evaluate(f"""async () => {{
        const {{ axisWeights }} = await import("/puppet/resample.js");
        const {{ taps, shares, most }} = axisWeights({inputs}, {outputs});
        return [[...taps], [...shares], most];
    }}""")
    matrix = np.zeros((outputs, inputs))
    for i, (first, count) in enumerate(np.array(taps).reshape(-1, 2)):
        matrix[i, first : first + count] = shares[i * most : i * most + count]
    unit = torch.eye(inputs)[None, None]
    expected = torch.nn.functional.interpolate(
        unit, size=(outputs, inputs), mode="bicubic", align_corners=False, antialias=True
    )
    np.testing.assert_allclose(matrix, expected[0, 0].numpy(), atol=1e-4)  # PyTorch takes its weights in float32


def test_a_lost_device_comes_back_with_the_last_frame(page: Page) -> None:
    page.evaluate(OPEN, ["/students/demo", 64, {}])
    before, after, later = page.evaluate("""async () => {
        const pose = Array(45).fill(0.3);
        await puppet.render(pose);
        const before = [...await puppet.pixels()];
        await new Promise((done, failed) => {
            Object.assign(puppet, { onRestore: done, onLost: failed });
            puppet.gpu.device.destroy();
        });
        const after = [...await puppet.pixels()];
        await puppet.render(Array(45).fill(0));
        return [before, after, [...await puppet.pixels()]];
    }""")
    assert before == after
    assert later != after


@pytest.mark.parametrize(("size", "tiles"), [(64, 1), (64, 2), (256, 2), (512, 1)])
@pytest.mark.parametrize("student", ["demo", "lambda_00"])
def test_wgsl_gives_the_librarys_frames_by_vulkan(
    vulkan: Any, page: Page, students: dict[str, Path], student: str, size: int, tiles: int
) -> None:
    poses = random_poses(POSES if size == 64 else 1)  # large frames take a processor seconds
    model = tha4.Student.load(students[student])
    frames = by_vulkan(vulkan, *folded(page, student, poses, tiles), model.character.image_at(size), size)
    for made, expected in zip(frames, premultiplied(model, poses, size), strict=True):
        assert psnr(made, expected) >= 100
        assert levels_off(made, expected).max() <= 1
        assert levels_off(made, expected).mean() <= 0.01


def by_vulkan(
    vulkan: Any, stages: dict[str, Any], entries: list[dict[str, str]], image: Tensor, size: int
) -> Iterator[NDArray[np.float32]]:
    """The frames of every pose, `[size, size, 4]`, by `wgpu`: another WGSL compiler (naga) and Vulkan driver."""
    import wgpu

    usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC

    def buffer(content: bytes) -> Any:
        return vulkan.create_buffer_with_data(data=content, usage=usage)

    picture, frame = buffer(image[0].permute(1, 2, 0).contiguous().numpy().tobytes()), buffer(bytes(size * size * 16))
    below = [buffer(bytes((size // by) ** 2 * stages[f"level{i}"]["outputs"] * 4)) for i, by in enumerate((4, 2))]
    results = {
        "face": [picture],
        "level0": below[:1],
        "level1": [below[1], below[0]],
        "level2": [frame, below[1], picture],
    }
    weights = {name: [buffer(decode(stages[name][part])) for part in ("weights", "biases")] for name in STAGES}
    modules = {name: vulkan.create_shader_module(code=stages[name]["code"]) for name in STAGES}
    pipelines = {
        name: vulkan.create_compute_pipeline(layout="auto", compute={"module": module, "entry_point": "main"})
        for name, module in modules.items()
    }
    for entry in entries:
        encoder = vulkan.create_command_encoder()
        for name, pipeline in pipelines.items():
            buffers = [buffer(decode(entry[name])), *weights[name], *results[name]]
            bindings = [
                {"binding": i, "resource": {"buffer": one, "offset": 0, "size": one.size}}
                for i, one in enumerate(buffers)
            ]
            step = encoder.begin_compute_pass()
            step.set_pipeline(pipeline)
            step.set_bind_group(0, vulkan.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=bindings))
            side = size // STAGES[name]
            step.dispatch_workgroups(side // 8, side // stages[name]["height"], 1)
            step.end()
        vulkan.queue.submit([encoder.finish()])
        yield np.frombuffer(vulkan.queue.read_buffer(frame), np.float32).reshape(size, size, 4)
