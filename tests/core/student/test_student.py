"""The student: the published one's frames, every format it comes in, and files that are wrong."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import tha4_core as tha4
from tha4_core.errors import PictureError, PoseError, SizeError, THA4Error, WeightsError
from tha4_core.networks import siren
from tha4_core.picture.warping import blend, warp
from tha4_core.weights import read_safetensors, read_state_dict, write_safetensors

pytestmark = pytest.mark.usefixtures("windows_files")

NETWORKS = ("face_morpher", "body_morpher")


@pytest.fixture(scope="module")
def student(lambda_00: Path) -> tha4.Student:
    return tha4.Student.load(lambda_00)


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, Tensor]:
    return read_safetensors(golden / "student_lambda_00.safetensors")[0]


@pytest.fixture
def published(lambda_00: Path, tmp_path: Path) -> Path:
    """A copy of the published folder to spoil."""
    return Path(shutil.copytree(lambda_00, tmp_path / "lambda_00", copy_function=shutil.copyfile))


def assert_close(actual: Tensor, golden: Tensor, maximum: float) -> None:
    if actual.shape != golden.shape:
        actual = actual[..., ::4, ::4]
    assert (actual - golden).abs().max() <= maximum


@pytest.mark.parametrize("pose", range(6))
def test_frames_are_the_published_ones(student: tha4.Student, expected: dict[str, Tensor], pose: int) -> None:
    with torch.inference_mode():
        outputs = student(expected["poses"][pose : pose + 1])
    for name, maximum in {"alpha": 2e-4, "grid_change": 2e-4, "color_change": 4e-4, "face_patch": 2e-4}.items():
        assert_close(outputs[name], expected[f"pose{pose}/{name}"], maximum)
    assert_close(outputs["blended"], expected[f"pose{pose}/blended"], 2e-3)
    golden = expected[f"pose{pose}/blended"]
    frame = outputs["blended"] if outputs["blended"].shape == golden.shape else outputs["blended"][..., ::4, ::4]
    assert (frame - golden).norm() / golden.norm() <= 1e-4


def test_the_picture_in_model_space_is_the_published_one(student: tha4.Student, expected: dict[str, Tensor]) -> None:
    assert_close(student.character.image[0], expected["image"], 1e-6)


def test_rendered_picture_is_the_published_one(student: tha4.Student, expected: dict[str, Tensor]) -> None:
    picture = tha4.image.to_srgb(student.render(expected["poses"][1:2]))[0] * 255
    golden = expected["pose1/picture"].float()
    visible = golden[..., 3] > 0
    assert (picture - golden)[visible].abs().max() <= 1.01
    assert (picture - golden)[..., 3].abs().max() <= 1


@pytest.mark.parametrize("pose", range(6))
def test_rendered_frames_are_the_published_ones(student: tha4.Student, expected: dict[str, Tensor], pose: int) -> None:
    golden = expected[f"pose{pose}/blended"]
    frame = student.render(expected["poses"][pose : pose + 1])
    frame = frame if frame.shape == golden.shape else frame[..., ::4, ::4]
    assert (frame - golden).abs().max() <= 2e-3
    assert (frame - golden).norm() / golden.norm() <= 1e-4


def any_poses(count: int) -> Tensor:
    """Poses whose every number is anywhere in its range."""
    low, high = (torch.tensor([getattr(p, end) for p in tha4.PARAMETERS]) for end in ("minimum", "maximum"))
    return low + torch.rand(count, 45, generator=torch.Generator().manual_seed(4)) * (high - low)


def assert_same_frames(frames: Tensor, plain: Tensor) -> None:
    """Equal but for float32's rounding, which 30 (W x + b) and the picture's edges magnify: either way of computing
    is as far from the frame in float64."""
    assert frames.shape == plain.shape
    assert frames.dtype == torch.float32
    assert (frames - plain).abs().max() <= 1e-3
    assert (frames - plain).norm() / plain.norm() <= 2e-5


def test_rendered_frames_are_those_of_the_plain_modules(student: tha4.Student) -> None:
    poses = any_poses(2)
    with torch.inference_mode():
        assert_same_frames(student.render(poses), student(poses)["blended"])


@pytest.mark.parametrize("size", [64, 224, 544])
def test_other_sizes_are_the_plain_modules_on_other_grids(
    student: tha4.Student, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siren, "BODY_SIZES", (size // 4, size // 2, size))
    monkeypatch.setattr(siren, "FACE_SIZE", size // 4)
    pose = any_poses(1)
    with torch.inference_mode():
        image = functional.interpolate(student.image, (size, size), mode="bicubic", antialias=True).clamp(-1, 1)
        face = (slice(size * 5 // 32, size * 13 // 32), slice(size * 3 // 8, size * 5 // 8))
        image[:, :, face[0], face[1]] = student.face_morpher(pose[:, :39])
        grid_change, alpha, colour = student.body_morpher(pose)
        assert_same_frames(student.render(pose, size=size), blend(alpha, colour, warp(grid_change, image)))


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10(((a - b) / 2).square().mean()))


def test_frames_of_other_sizes_show_the_same(student: tha4.Student, expected: dict[str, Tensor]) -> None:
    pose = expected["poses"][1:2]
    frame, twice, half = (student.render(pose, size=size) for size in (512, 1024, 256))
    assert psnr(functional.avg_pool2d(twice, 2), frame) >= 43
    assert psnr(half, functional.avg_pool2d(frame, 2)) >= 36


@pytest.fixture(scope="module")
def with_source(student: tha4.Student) -> tha4.Student:
    """The same student, whose character was drawn at 1024 pixels: stripes on her picture, one of these pixels wide."""
    large = functional.interpolate(student.character.picture.movedim(-1, 0)[None], scale_factor=2)[0].movedim(0, -1)
    stripes = torch.where(torch.arange(1024) % 2 == 0, 1.0, 0.6)[:, None, None] * torch.tensor([1, 1, 1, 0.0])
    stripes[..., 3] = 1
    source = (large * stripes).to(torch.uint8)
    picture = functional.avg_pool2d(source.movedim(-1, 0)[None].float(), 2)[0].movedim(0, -1).round().to(torch.uint8)
    other = tha4.Student(tha4.Character(picture, "striped", source)).requires_grad_(False)
    other.load_state_dict(student.state_dict())
    return other


def test_large_frames_show_the_large_picture(with_source: tha4.Student) -> None:
    still = torch.zeros(1, 45)
    frame, twice = (with_source.render(still, size=size)[0, 0] for size in (512, 1024))
    rows = slice(600, 800), slice(400, 600)  # her jacket
    contrast = (twice[1:, :][rows] - twice[:-1][rows]).abs().mean()
    assert contrast > 0.1
    assert psnr(functional.avg_pool2d(twice[None], 2)[0], frame) >= 30
    small = with_source.render(still, size=256)[0, 0]
    assert psnr(small, functional.avg_pool2d(frame[None], 2)[0]) >= 30


def test_a_large_picture_is_saved_with_its_student(with_source: tha4.Student, tmp_path: Path) -> None:
    with_source.save(tmp_path / "ours.safetensors")
    again = tha4.Student.load(tmp_path / "ours.safetensors").character
    assert torch.equal(again.source, with_source.character.source)
    assert torch.equal(again.picture, with_source.character.picture)


@pytest.mark.parametrize("size", [0, -512, 32, 500, 2080, 512.5])
def test_sizes_that_cannot_be_are_refused(student: tha4.Student, size: int) -> None:
    with pytest.raises(SizeError, match="multiple of 32 from 64 to 2048"):
        student.render(torch.zeros(1, 45), size=size)


def test_frames_do_not_depend_on_what_is_rendered_with_them(student: tha4.Student) -> None:
    poses = any_poses(4)
    poses[1, :39] = poses[0, :39]  # two poses with one face, then another face, then a nearly equal one
    poses[3, :38] = poses[2, :38]
    together = student.render(poses, size=128)
    for pose, frame in zip(poses, together, strict=True):
        assert torch.equal(student.render(pose[None], size=128)[0], frame)


def test_frames_do_not_depend_on_the_number_of_threads(student: tha4.Student) -> None:
    threads = torch.get_num_threads()
    frames = []
    for count in (1, 3):
        torch.set_num_threads(count)
        frames.append(student.render(any_poses(1), size=192))
        assert torch.get_num_threads() == count
        assert threads_of_a_new_thread() == count
    torch.set_num_threads(threads)
    assert torch.equal(*frames)


def threads_of_a_new_thread() -> int:
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return counts[0]


def test_changed_weights_are_seen(student: tha4.Student) -> None:
    student, pose = copy.deepcopy(student), any_poses(1)
    other = {key: value * 1.01 for key, value in student.body_morpher.state_dict().items()}
    changes: list[Callable[[], object]] = [
        lambda: student.face_morpher.siren.last_linear.bias.add_(0.25),
        lambda: student.body_morpher.siren_layers[1][0].linear.weight.data.mul_(1.01),
        lambda: student.body_morpher.load_state_dict(other),
        lambda: student.double().float().body_morpher.last_linear.bias.add_(0.25),
        lambda: student.image.neg_(),
    ]
    frame = student.render(pose, size=64)
    for change in changes:
        before = frame
        change()
        frame = student.render(pose, size=64)
        assert (frame - before).abs().max() > 0.01
    with torch.inference_mode():
        assert_same_frames(student.render(pose), student(pose)["blended"])


def test_frames_are_ordinary_tensors(student: tha4.Student) -> None:
    student = copy.deepcopy(student).requires_grad_(True)
    for context in (torch.enable_grad(), torch.no_grad(), torch.inference_mode()):
        with context:
            frames = student.render(torch.zeros(2, 45), size=64)
        assert not frames.requires_grad
        assert frames.is_contiguous()
    frames = student.render(torch.zeros(2, 45), size=64)
    (frames.add_(1) * torch.ones(1, requires_grad=True)).sum().backward()


def test_what_tick_raises_ends_the_render(student: tha4.Student) -> None:
    poses, ticks = any_poses(3), 0
    before = (torch.get_num_threads(), threading.active_count())

    class StopError(Exception):
        pass

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 5:
            raise StopError

    with pytest.raises(StopError):
        student.render(poses, size=64, tick=tick)
    assert ticks == 5
    assert (torch.get_num_threads(), threading.active_count()) == before
    student.render(poses, size=64, tick=tick)
    assert ticks >= 5 + 3 * 4  # the face and three levels of every pose


def test_published_to_ours_renders_bit_equal(
    student: tha4.Student, expected: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "ours.safetensors"
    student.save(path)
    ours = tha4.Student.load(path)
    assert torch.equal(ours.render(expected["poses"][:1]), student.render(expected["poses"][:1]))
    assert path.stat().st_size < 2_000_000
    assert ours.character.name == "lambda_00"
    assert [file.name for file in tmp_path.iterdir()] == ["ours.safetensors"]


def test_metadata_is_kept(student: tha4.Student, tmp_path: Path) -> None:
    student.metadata["license"] = "CC BY-NC 4.0"
    student.save(tmp_path / "ours.safetensors")
    assert tha4.Student.load(tmp_path / "ours.safetensors").metadata["license"] == "CC BY-NC 4.0"


def test_description_file_opens_like_its_folder(lambda_00: Path, student: tha4.Student) -> None:
    by_file = tha4.Student.load(lambda_00 / "character_model.yaml")
    for key, value in by_file.state_dict().items():
        assert torch.equal(value, student.state_dict()[key])


def tensorflow_js(name: str, value: Tensor) -> tuple[str, Tensor]:
    """A weight as TensorFlow.js names it and lays it out."""
    layer, _, kind = name.rpartition(".")
    return (f"{layer}/kernel", value.permute(2, 3, 1, 0)) if kind == "weight" else (f"{layer}/bias", value)


def to_web_demo(published: Path, layout: Callable[[list[dict[str, object]]], object], split: int = 18) -> None:
    """Write the networks of a published folder as the web demo holds them, `split` weights in the first of two groups.

    The .pt files go.
    """
    for network in NETWORKS:
        weights = [tensorflow_js(*item) for item in read_state_dict(published / f"{network}.pt").items()]
        groups = [group(published, network, 1, weights[:split])]
        groups += [group(published, network, 2, weights[split:])] if weights[split:] else []
        (published / f"{network}.json").write_text(json.dumps(layout(groups)))
        (published / f"{network}.pt").unlink()
    (published / "character_model.yaml").unlink()


def group(folder: Path, network: str, number: int, weights: list[tuple[str, Tensor]]) -> dict[str, object]:
    """Write one group of weights into two files, cut where no weight ends, and describe it."""
    data = b"".join(np.ascontiguousarray(value.numpy(), "<f4").tobytes() for _, value in weights)
    names = [f"./{network}.group{number}-shard{shard}of2.bin" for shard in (1, 2)]
    for name, content in zip(names, (data[:1001], data[1001:]), strict=True):
        (folder / name).write_bytes(content)
    listed = [{"name": name, "shape": list(value.shape), "dtype": "float32"} for name, value in weights]
    return {"paths": names, "weights": listed}


@pytest.mark.parametrize("layout", [lambda groups: {"weightsManifest": groups}, lambda groups: groups])
def test_web_demo_students_are_the_same_student(published: Path, student: tha4.Student, layout) -> None:
    to_web_demo(published, layout, split=7)
    converted = tha4.Student.load(published)
    for key, value in converted.state_dict().items():
        assert torch.equal(value, student.state_dict()[key])


def test_a_real_web_demo_student_renders_the_published_frames(web_haru: Path, golden: Path) -> None:
    student = tha4.Student.load(web_haru)
    expected = read_safetensors(golden / "student_web_haru.safetensors")[0]
    for pose in range(3):
        blended = expected[f"pose{pose}/blended"]
        frame = student.render(expected["poses"][pose : pose + 1])[0, :, ::4, ::4]
        assert_close(frame, blended, 2e-3)
        assert (frame - blended).norm() / blended.norm() <= 1e-4


def test_web_demo_files_that_are_wrong(published: Path) -> None:
    to_web_demo(published, lambda groups: {"weightsManifest": groups})
    binary, manifest = published / "body_morpher.group1-shard2of2.bin", published / "body_morpher.json"
    whole, listed = binary.read_bytes(), manifest.read_text()
    for content, says in ((whole[:-8], "cut off"), (whole + b"\0" * 4, "bytes where")):
        binary.write_bytes(content)
        with pytest.raises(WeightsError, match=rf"body_morpher\.json.*{says}"):
            tha4.Student.load(published)
    binary.write_bytes(whole)
    changes = [
        ('"float32"', '"uint8"'),
        ("./body_morpher", "../../x"),
        ("[", "{"),
        ('"name"', '"n"'),
        ("/kernel", "/k"),
    ]
    for before, after in [*changes, ("[360]", "[-360]"), ("[360]", '["a"]')]:
        manifest.write_text(listed.replace(before, after))
        with pytest.raises(WeightsError, match=r"body_morpher"):
            tha4.Student.load(published)


@pytest.mark.parametrize("web_demo", [False, True])
def test_a_folder_without_its_picture_says_what_to_do(published: Path, web_demo: bool) -> None:
    if web_demo:
        to_web_demo(published, lambda groups: groups)
    (published / "character.png").unlink()
    with pytest.raises(PictureError, match=r"character\.png: this student's picture is missing.*save it under this"):
        tha4.Student.load(published)


class RunsCode:
    """What a malicious file holds: an object whose unpickling calls a function."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("executed"),))


def spoil_truncate(folder: Path) -> None:
    path = folder / "body_morpher.pt"
    path.write_bytes(path.read_bytes()[:100_000])


def spoil_empty(folder: Path) -> None:
    (folder / "body_morpher.pt").write_bytes(b"")


def spoil_pickle(folder: Path) -> None:
    (folder / "body_morpher.pt").write_bytes(pickle.dumps({"last_linear.weight": RunsCode()}))


def spoil_torch_pickle(folder: Path) -> None:
    torch.save({"last_linear.weight": RunsCode()}, folder / "body_morpher.pt")


def spoil_list(folder: Path) -> None:
    torch.save([torch.zeros(3)], folder / "body_morpher.pt")


def spoil_swap(folder: Path) -> None:
    shutil.copyfile(folder / "face_morpher.pt", folder / "body_morpher.pt")


def spoil_state(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        state_dict = read_state_dict(folder / "body_morpher.pt")
        change(state_dict)
        torch.save(state_dict, folder / "body_morpher.pt")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_truncate, "not a whole PyTorch file"),
        (spoil_empty, "not a whole PyTorch file"),
        (spoil_pickle, "holds program code"),
        (spoil_torch_pickle, "holds program code"),
        (spoil_list, "not a state dict"),
        (spoil_swap, "another network"),
        (spoil_state(lambda d: d.pop("last_linear.bias")), "1 keys are missing, the first is last_linear.bias"),
        (spoil_state(lambda d: d.update(extra=torch.zeros(1))), "do not belong here, the first is extra"),
        (spoil_state(lambda d: d.update({"last_linear.bias": torch.zeros(8)})), r"shape \[8\] instead of \[7\]"),
        (spoil_state(lambda d: d["last_linear.bias"].fill_(float("nan"))), "last_linear.bias holds numbers"),
        (lambda folder: (folder / "body_morpher.pt").unlink(), "no such file"),
    ],
)
def test_spoiled_weights_are_named(published: Path, spoil, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(published)
    spoil(published)
    with pytest.raises(WeightsError, match=rf"(?s){published}.*{says}"):
        tha4.Student.load(published)
    assert not (published / "executed").exists()


@pytest.mark.parametrize(
    ("description", "says"),
    [
        (
            "character_image_file_name: ../../secret.png\nface_morpher_file_name: a\nbody_morpher_file_name: b",
            "outside",
        ),
        ("character_image_file_name: /etc/passwd\nface_morpher_file_name: a\nbody_morpher_file_name: b", "outside"),
        ("face_morpher_file_name: face_morpher.pt", "must name three files"),
        ("- a\n- b", "must name three files"),
        ("!!python/object/apply:os.system ['true']", "cannot be read"),
        ("a: [", "cannot be read"),
        ("\xff\xfe", "must name three files"),
    ],
)
def test_bad_descriptions_are_refused(published: Path, description: str, says: str) -> None:
    (published / "character_model.yaml").write_text(description)
    with pytest.raises(WeightsError, match=rf"character_model\.yaml.*{says}"):
        tha4.Student.load(published)


def test_a_link_out_of_the_folder_is_refused(published: Path, tmp_path: Path) -> None:
    shutil.move(published / "face_morpher.pt", tmp_path / "elsewhere.pt")
    (published / "face_morpher.pt").symlink_to(tmp_path / "elsewhere.pt")
    with pytest.raises(WeightsError, match="outside"):
        tha4.Student.load(published)


def test_bad_pictures_are_named(published: Path) -> None:
    (published / "character.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(PictureError, match=r"character\.png.*cannot be read"):
        tha4.Student.load(published)


@pytest.fixture
def ours(student: tha4.Student, tmp_path: Path) -> Path:
    path = tmp_path / "ours.safetensors"
    student.save(path)
    return path


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({}, "not a student of this pack"),
        ({"format": "tha4-student", "format_version": "99"}, "newer version"),
        ({"format": "tha4-student", "format_version": "x"}, "newer version"),
    ],
)
def test_other_safetensors_are_told_apart(ours: Path, metadata: dict[str, str], says: str) -> None:
    write_safetensors(ours, read_safetensors(ours)[0], metadata)
    with pytest.raises(WeightsError, match=says):
        tha4.Student.load(ours)


def test_a_student_without_its_picture_is_named(ours: Path) -> None:
    tensors, metadata = read_safetensors(ours)
    write_safetensors(ours, {k: v for k, v in tensors.items() if not k.startswith("character")}, metadata)
    with pytest.raises(PictureError, match=r"no picture of a character in this file.*fetch or distill"):
        tha4.Student.load(ours)


def test_a_cut_off_student_is_named(ours: Path) -> None:
    ours.write_bytes(ours.read_bytes()[:50_000])
    with pytest.raises(WeightsError, match=r"ours\.safetensors: not a whole"):
        tha4.Student.load(ours)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_what_is_no_student_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(THA4Error, match=name):
        tha4.Student.load(tmp_path / name)


def test_a_failed_save_keeps_the_old_file(student: tha4.Student, ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ours.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WeightsError, match=f"{ours}: cannot be written .No space"):
        student.save(ours)
    assert ours.read_bytes() == before
    assert len(list(ours.parent.glob("*ours*"))) == 1


@pytest.mark.parametrize("poses", [torch.zeros(1, 44), torch.full((1, 45), float("nan")), torch.full((1, 45), 2.0)])
def test_bad_poses_are_refused(student: tha4.Student, poses: Tensor) -> None:
    with pytest.raises(PoseError):
        student.render(poses)
