"""The student: the published one's frames, every format it comes in, and files that are wrong."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import tha4_core as tha4
from tha4_core.errors import PictureError, PoseError, THA4Error, WeightsError
from tha4_core.weights import read_safetensors, read_state_dict, write_safetensors

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


def test_batched_and_single_renders_agree(student: tha4.Student, expected: dict[str, Tensor]) -> None:
    poses = expected["poses"][:3]
    together = student.render(poses)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together, student.render(poses), atol=2e-3, rtol=0)


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


def to_tensorflow_js(published: Path, layout: Callable[[list[dict[str, object]]], object]) -> None:
    """Write the networks of a published folder as TensorFlow.js holds them, and take the .pt files away."""
    for network in NETWORKS:
        state_dict = read_state_dict(published / f"{network}.pt")
        kernels = {k: v.permute(2, 3, 1, 0) if v.ndim == 4 else v for k, v in state_dict.items()}
        data = b"".join(np.ascontiguousarray(v.numpy(), "<f4").tobytes() for v in kernels.values())
        (published / f"{network}.weights.bin").write_bytes(data)
        weights = [{"name": k, "shape": list(v.shape), "dtype": "float32"} for k, v in kernels.items()]
        groups: list[dict[str, object]] = [{"paths": [f"{network}.weights.bin"], "weights": weights}]
        (published / f"{network}.json").write_text(json.dumps(layout(groups)))
        (published / f"{network}.pt").unlink()
    (published / "character_model.yaml").unlink()


@pytest.mark.parametrize("layout", [lambda groups: {"weightsManifest": groups}, lambda groups: groups])
def test_tensorflow_js_students_are_the_same_student(published: Path, student: tha4.Student, layout) -> None:
    to_tensorflow_js(published, layout)
    converted = tha4.Student.load(published)
    for key, value in converted.state_dict().items():
        assert torch.equal(value, student.state_dict()[key])


def test_tensorflow_js_files_that_are_wrong(published: Path) -> None:
    to_tensorflow_js(published, lambda groups: {"weightsManifest": groups})
    binary, manifest = published / "body_morpher.weights.bin", published / "body_morpher.json"
    whole, listed = binary.read_bytes(), manifest.read_text()
    for content, says in ((whole[:-8], "cut off"), (whole + b"\0" * 4, "bytes where")):
        binary.write_bytes(content)
        with pytest.raises(WeightsError, match=rf"body_morpher\.json.*{says}"):
            tha4.Student.load(published)
    binary.write_bytes(whole)
    for before, after in (('"float32"', '"uint8"'), ("body_morpher.weights", "../../x"), ("[", "{"), ('"name"', '"n"')):
        manifest.write_text(listed.replace(before, after))
        with pytest.raises(WeightsError, match=r"body_morpher\.json"):
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
    with pytest.raises(PictureError, match=r"no character in this file"):
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
    with pytest.raises(OSError, match="No space"):
        student.save(ours)
    assert ours.read_bytes() == before
    assert len(list(ours.parent.glob("*ours*"))) == 1


@pytest.mark.parametrize("poses", [torch.zeros(1, 44), torch.full((1, 45), float("nan")), torch.full((1, 45), 2.0)])
def test_bad_poses_are_refused(student: tha4.Student, poses: Tensor) -> None:
    with pytest.raises(PoseError):
        student.render(poses)
