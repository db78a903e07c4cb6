"""Files that are small and claim to be large, or hold what no such file holds: our own errors, before any memory."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.made_up_teacher import pt
from tha4_core import Student, video
from tha4_core.demo import DEMO_STUDENT
from tha4_core.errors import PictureError, PoseError, THA4Error, VideoError, WeightsError
from tha4_core.motion import formats
from tha4_core.picture.character import Character
from tha4_core.picture.published import published_files
from tha4_core.picture.reading import open_picture
from tha4_core.pose import Poses, check_poses, make_pose
from tha4_core.weights import read_safetensors, read_state_dict

NOBODY = 65534  # the user who owns nothing


def flat_png(side: int) -> bytes:
    """A PNG that says it is so large; it ends after its first rows, which nobody may come to see."""
    header = struct.pack(">2I5B", side, side, 8, 6, 0, 0, 0)
    rows = zlib.compress(bytes(10 * (1 + 4 * side)))
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def student_with(folder: Path, metadata: Mapping[str, str] | None = None, **tensors: Tensor) -> Path:
    """The demo's student with other tensors (`__` in a name is a dot) and metadata."""
    path = folder / "student.safetensors"
    own = read_safetensors(DEMO_STUDENT)[1] | dict(metadata or {})
    changed = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    save_file(load_file(DEMO_STUDENT) | changed, path, own)
    return path


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    content = flat_png(8200)
    (tmp_path / "huge.png").write_bytes(content)
    with pytest.raises(PictureError, match="67 million pixels; at most 64 million"):
        open_picture(tmp_path / "huge.png")
    inside = torch.frombuffer(bytearray(flat_png(4200)), dtype=torch.uint8)
    with pytest.raises(PictureError, match="18 million pixels; at most 16 million"):
        Student.load(student_with(tmp_path, character__picture=inside))
    with pytest.raises(PictureError, match="18 million pixels; at most 16 million"):
        Character.load(student_with(tmp_path, character__source=inside))


@pytest.mark.parametrize("picture", [torch.zeros(9, dtype=torch.bfloat16), torch.zeros(3, 3, dtype=torch.uint8)])
def test_a_picture_in_a_student_that_is_no_bytes(tmp_path: Path, picture: Tensor) -> None:
    with pytest.raises(PictureError, match="not the bytes of a PNG but torch"):
        Student.load(student_with(tmp_path, character__picture=picture))


@pytest.mark.parametrize("version", ["9" * 5000, "2", "-1", "", "1.0"])
def test_a_student_of_another_version(tmp_path: Path, version: str) -> None:
    with pytest.raises(WeightsError, match="made by a newer version") as error:
        Student.load(student_with(tmp_path, {"format_version": version}))
    assert len(str(error.value)) < 500


def test_weights_of_another_type_are_refused(tmp_path: Path) -> None:
    key = next(key for key in load_file(DEMO_STUDENT) if key.startswith("face_morpher"))
    shape = load_file(DEMO_STUDENT)[key].shape
    for dtype in (torch.int64, torch.bool, torch.float8_e4m3fn):
        with pytest.raises(WeightsError, match="weights are floating-point numbers"):
            Student.load(student_with(tmp_path, **{key.replace(".", "__"): torch.zeros(shape).to(dtype)}))


def test_a_compressed_archive_of_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "body.pt"
    with (
        zipfile.ZipFile(io.BytesIO(pt({"x": torch.zeros(80_000_000 // 4)}))) as stored,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(WeightsError, match=r"body\.pt: refused, because it unpacks to 80,"):
        read_state_dict(path)


HOLLOW: dict[str, Callable[[], object]] = {
    "stride 0": lambda: {"x": torch.zeros(1).expand(1_800_000_000)},
    "many of them": lambda: {f"x{i}": torch.zeros(1).expand(10**7) for i in range(40)},
    "overlapping": lambda: {"x": torch.zeros(50_000).as_strided((20_000, 30_000), (1, 1))},
    "sparse": lambda: {"x": torch.sparse_coo_tensor([[0]], [1.0], (10**9,), check_invariants=False)},
    "without numbers": lambda: {"x": torch.zeros(10**9, device="meta")},
    "bare": lambda: torch.zeros(1).expand(10**9),
    "deep": lambda: {"a": [{"b": torch.zeros(1).expand(10**9)}]},
}


@pytest.mark.parametrize("content", HOLLOW.values(), ids=HOLLOW)
def test_tensors_that_are_not_all_there_are_refused(tmp_path: Path, content: Callable[[], object]) -> None:
    path = tmp_path / "body.pt"
    path.write_bytes(pt(content()))
    with pytest.raises(WeightsError, match=r"body\.pt: refused, because a tensor"):
        read_state_dict(path)


def test_a_transposed_tensor_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "body.pt"
    path.write_bytes(pt({"x": torch.arange(6.0).reshape(2, 3).t()}))
    assert read_state_dict(path)["x"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("value", [1e39, -1e39, 10**400, float("inf"), float("nan")])
def test_a_number_beyond_float32_is_refused_as_a_pose(value: float) -> None:
    with pytest.raises(PoseError):
        check_poses([value] + [0] * 44)
    with pytest.raises(PoseError):
        make_pose({"head_y": value})


DESCRIPTIONS = {
    "a date that is none": "a: 2023-99-99",
    "a time that is none": "a: 2001-12-14 99:99:99",
    "a long number": f"a: {'9' * 5000}",
    "deep": "[" * 5000,
    "long": "a: b\n" * 200_000,
    "a list as a key": "? [a]\n: b",
    "a nul in a name": "character_image_file_name: 'a'\nface_morpher_file_name: \"a\\0b\"\nbody_morpher_file_name: b",
    "a long name": f"character_image_file_name: {'a' * 5000}\nface_morpher_file_name: a\nbody_morpher_file_name: b",
}


@pytest.mark.parametrize("text", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_an_odd_description_of_a_character(tmp_path: Path, text: str) -> None:
    path = tmp_path / "character_model.yaml"
    path.write_text(text)
    try:
        files = published_files(path)
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017
        assert len(str(error)) < 1000  # noqa: PT017
    else:
        assert all(file.parent == tmp_path for file in files.values())
        with pytest.raises(THA4Error):
            Student.load(path)


@pytest.mark.parametrize("place", ["a folder in its place", "a file as its folder"])
def test_a_save_that_fails_names_its_target(tmp_path: Path, place: str) -> None:
    for suffix, save in SAVES.items():
        path = tmp_path / suffix / ("target" + suffix)
        path.parent.mkdir()
        if place == "a folder in its place":
            (path / "something").mkdir(parents=True)
        else:
            path.touch()
            path /= f"x{suffix}"
        with pytest.raises(THA4Error, match=str(path)):
            save(path)
        assert not list(tmp_path.rglob("*.part"))


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder in which this process can write nothing, root or not."""
    if not hasattr(os, "geteuid"):
        pytest.skip("on Windows, folders cannot be made read-only")
    for suffix, save in SAVES.items():  # what is imported late must be imported by who may read it
        save(tmp_path / f"x{suffix}")
    with tempfile.TemporaryDirectory() as name:  # not in tmp_path, which belongs to one user
        folder = Path(name)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def test_a_save_in_a_read_only_folder_names_its_target(read_only: Path) -> None:
    for suffix, save in SAVES.items():
        path = read_only / f"x{suffix}"
        with pytest.raises(THA4Error, match=f"{path}.* cannot be written.*Permission denied.*Make sure that files can"):
            save(path)
        with pytest.raises(THA4Error, match="Permission denied"):
            save(read_only / "new" / f"x{suffix}")
    assert not list(read_only.iterdir())


@pytest.mark.parametrize("metadata", [{"a": 1}, {"a": None}, {1: "a"}, {"a": "\ud800"}])
def test_metadata_that_is_no_text_is_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    student = Student.load(DEMO_STUDENT)
    student.metadata = metadata
    with pytest.raises(WeightsError, match=r"x\.safetensors: cannot be written, because its metadata is not text"):
        student.save(tmp_path / "x.safetensors")
    for suffix, kind in video.FORMATS.items():
        content = video.Video([torch.rand(2, 64, 64, 3)], 2, (64, 64), Fraction(24), metadata=metadata)
        with pytest.raises(VideoError, match=rf"x\.{suffix}: cannot be written, because its metadata is not text"):
            video.save(content, tmp_path / f"x.{suffix}", kind)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", video.FORMATS)
def test_a_video_of_nothing_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(VideoError, match=rf"x\.{suffix}: cannot be written, because there are no pictures"):
        video.save(video.Video([], 0, (64, 64), Fraction(24)), tmp_path / f"x.{suffix}", video.FORMATS[suffix])
    with pytest.raises(PoseError, match="at least 1"):
        Poses(torch.zeros(0, 45))
    assert not list(tmp_path.iterdir())


def test_a_save_on_a_full_disk_names_its_target(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk).free - 5000))
    for suffix, save in SAVES.items():
        path = small_disk / f"x{suffix}"
        with pytest.raises(THA4Error, match=str(path)):
            save(path)
        assert [file.name for file in small_disk.iterdir()] == ["ballast"]


def save_poses(path: Path) -> None:
    formats.files.save(Poses(torch.rand(2000, 45)), path)


@cache
def demo_student() -> Student:
    return Student.load(DEMO_STUDENT)


def save_student(path: Path) -> None:
    demo_student().save(path)


def save_video(path: Path) -> None:
    noise = torch.rand(6, 128, 128, 3, generator=torch.Generator().manual_seed(1))
    video.save(video.Video([noise], len(noise), (128, 128), Fraction(24)), path, video.FORMATS[path.suffix[1:]])


SAVES: dict[str, Callable[[Path], None]] = {
    ".json": save_poses,
    ".csv": save_poses,
    ".npz": save_poses,
    ".safetensors": save_student,
    **{f".{kind}": save_video for kind in video.FORMATS},
}
