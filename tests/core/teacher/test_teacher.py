"""The teacher against golden data, its caches against itself, and files that are not what they should be."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests import recipe
from tests.elsewhere import ELSEWHERE, NothingOnTheCPU
from tha4_core.errors import PoseError, WeightsError
from tha4_core.networks.encoder_decoder import with_brows
from tha4_core.picture.character import Character, square_picture
from tha4_core.picture.model_space import resize
from tha4_core.picture.reading import open_picture
from tha4_core.pose import make_pose
from tha4_core.teacher import Teacher
from tha4_core.weights import THA4_NETWORKS as NETWORKS

GOLDEN = recipe.REFERENCE / "golden" / "teacher.safetensors"
PICTURE = recipe.REFERENCE / "reference" / "lambda_00" / "character.png"

pytestmark = pytest.mark.skipif(not GOLDEN.is_file(), reason=f"the golden data {GOLDEN} is not here")

StateDicts = dict[str, dict[str, Tensor]]


@pytest.fixture(scope="module")
def weights() -> StateDicts:
    return recipe.recipe_teacher()


@pytest.fixture(scope="module")
def teacher(weights: StateDicts) -> Teacher:
    return Teacher.from_state_dicts(weights)


@pytest.fixture(scope="module")
def character() -> Character:
    return Character(square_picture(open_picture(PICTURE)))


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(GOLDEN)


@pytest.fixture(scope="module")
def frames(teacher: Teacher, character: Character, golden: dict[str, Tensor]) -> Tensor:
    """The two golden poses, rendered one by one without a cache to help."""
    made = []
    for pose in golden["poses"]:
        teacher.clear_cache()
        made.append(teacher.render(character, pose))
    return torch.cat(made)


def _relative(made: Tensor, expected: Tensor) -> float:
    if made.shape != expected.shape:  # most golden images hold every fourth row and column
        made = made[..., ::4, ::4]
    return ((made - expected).norm() / expected.norm()).item()


def _psnr(made: Tensor, expected: Tensor) -> float:
    """In decibels, of model space (2 from black to white)."""
    return (10 * torch.log10(4 / (made - expected).square().mean())).item()


# The networks and the chain


def test_state_dicts_are_exactly_the_published_ones(teacher: Teacher, weights: StateDicts) -> None:
    for name in NETWORKS:
        state_dict = teacher.get_submodule(name).state_dict()
        shapes = {key: list(value.shape) for key, value in state_dict.items()}
        assert shapes == recipe.published_shapes(f"teacher/{name}")
        assert all(torch.equal(value, weights[name][key]) for key, value in state_dict.items())


def test_chain_gives_all_33_golden_images_of_both_poses(
    teacher: Teacher, character: Character, golden: dict[str, Tensor]
) -> None:
    outputs = teacher.outputs(character, golden["poses"])
    assert len(outputs) == 33
    for index in range(2):
        names = {key.removeprefix(f"pose{index}/") for key in golden if key.startswith(f"pose{index}/")}
        assert set(outputs) == names
        for name, images in outputs.items():
            image = images[index if len(images) == 2 else 0][None]
            assert image.dtype == torch.float32
            assert _relative(image, golden[f"pose{index}/{name}"]) < 1e-3, name


def test_render_gives_the_golden_frames(frames: Tensor, golden: dict[str, Tensor]) -> None:
    for index, frame in enumerate(frames):
        assert _relative(frame[None], golden[f"pose{index}/upscaler.merged"]) < 1e-3


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_alone(name: str, teacher: Teacher, character: Character, golden: dict[str, Tensor]) -> None:
    expected = {key.removeprefix("pose0/"): value for key, value in golden.items() if key.startswith("pose0/")}
    pose, picture = golden["poses"][:1], character.image
    brows = (expected["eyebrow_decomposer.background_layer"], expected["eyebrow_decomposer.eyebrow_layer"])
    combined = expected["eyebrow_morphing_combiner.eyebrow_image_no_combine_alpha"]
    full = expected["face_morphed_full"]
    coarse = (expected["body_morpher.merged"], expected["body_morpher.grid_change"])
    inputs: dict[str, tuple[Tensor, ...]] = {
        "eyebrow_decomposer": (picture[:, :, 64:192, 192:320],),
        "eyebrow_morphing_combiner": (*brows, pose[:, :12]),
        "face_morpher": (with_brows(picture[:, :, 32:224, 160:352], combined), pose[:, 12:39]),
        "body_morpher": (resize(full, 256), pose[:, 39:]),
        "upscaler": (full, *coarse, pose[:, 39:]),
    }
    outputs = teacher.get_submodule(name)(*inputs[name])
    assert {f"{name}.{output}" for output in outputs} == {key for key in expected if key.startswith(f"{name}.")}
    for output, image in outputs.items():
        assert _relative(image, expected[f"{name}.{output}"]) < 3e-5, output
    if name in ("body_morpher", "upscaler"):
        alpha = outputs["alpha"][..., ::4, ::4]
        torch.testing.assert_close(alpha, expected[f"{name}.alpha"], rtol=0, atol=2e-5)


# Work not done twice


class Runs:
    """How many poses each network has been run for while this is open."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher
        self.of = dict.fromkeys(NETWORKS, 0)

    def __enter__(self) -> dict[str, int]:
        self._hooks = [
            self._teacher.get_submodule(name).register_forward_pre_hook(
                lambda _, inputs, name=name: self._add(name, inputs)
            )
            for name in NETWORKS
        ]
        return self.of

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _add(self, name: str, inputs: tuple[Tensor, ...]) -> None:
        self.of[name] += len(inputs[0])


def test_batched_chunked_and_cached_are_the_single_frames(
    teacher: Teacher, character: Character, golden: dict[str, Tensor], frames: Tensor
) -> None:
    a, b = golden["poses"]
    teacher.clear_cache()
    with Runs(teacher) as runs:
        batched = teacher.render(character, torch.stack([a, b, a]), batch=2)
    assert runs == {**dict.fromkeys(NETWORKS, 2), "eyebrow_decomposer": 1}
    with Runs(teacher) as runs:
        cached = teacher.render(character, torch.stack([b, b, a]))
    assert runs == dict.fromkeys(NETWORKS, 0)
    torch.testing.assert_close(batched, frames[[0, 1, 0]], rtol=0, atol=1e-5)
    torch.testing.assert_close(cached, batched[[1, 1, 0]], rtol=0, atol=0)


def test_features_lie_where_those_of_the_frame_before_lay(
    teacher: Teacher, character: Character, golden: dict[str, Tensor]
) -> None:
    teacher.clear_cache()
    tracemalloc.start()  # sees NumPy's memory, not PyTorch's own
    try:
        teacher.render(character, golden["poses"][0])
        kept, most = tracemalloc.get_traced_memory()
        teacher.render(character, golden["poses"][1])
        assert tracemalloc.get_traced_memory()[1] < most + 2**20
        assert 150 * 2**20 < kept < 400 * 2**20
        teacher.clear_cache()
        assert tracemalloc.get_traced_memory()[0] < 2**20
    finally:
        tracemalloc.stop()


def test_only_the_head_moving_poses_the_face_once(
    teacher: Teacher, character: Character, golden: dict[str, Tensor], frames: Tensor
) -> None:
    still, turned = golden["poses"][0], golden["poses"][0].clone()
    turned[39:] = golden["poses"][1, 39:]
    teacher.to("cpu")  # a move empties the caches, even one to the same device
    with Runs(teacher) as runs:
        chunked = [teacher.render(character, pose) for pose in (turned, still)]
    assert runs == {name: 2 if name in ("body_morpher", "upscaler") else 1 for name in NETWORKS}
    torch.testing.assert_close(chunked[1][0], frames[0], rtol=0, atol=1e-5)
    assert (chunked[0][0] - frames[0]).abs().max() > 0.01


def test_bad_poses_are_refused(teacher: Teacher, character: Character) -> None:
    with pytest.raises(PoseError, match=r"\[1, 44\]"):
        teacher.render(character, torch.zeros(1, 44))
    with pytest.raises(PoseError, match="head_x"):
        teacher.outputs(character, make_pose({}).index_fill(1, torch.tensor(39), 2.0))


# Precision


def test_bfloat16_stays_near(
    weights: StateDicts, character: Character, golden: dict[str, Tensor], frames: Tensor
) -> None:
    frame = Teacher.from_state_dicts(weights, precision=torch.bfloat16).render(character, golden["poses"][:1])
    assert frame.dtype == torch.float32
    assert bool(torch.isfinite(frame).all())
    assert 30 < _psnr(frame, frames[:1]) < 60


@torch.no_grad()
def test_float16_stays_near(weights: StateDicts, golden: dict[str, Tensor]) -> None:
    """The body morpher alone: a CPU takes half a minute for a whole frame in float16."""
    teacher = Teacher.from_state_dicts(weights, precision=torch.float16)
    full, pose = golden["pose0/face_morphed_full"], golden["poses"][:1]
    merged = teacher.get_submodule("body_morpher")(resize(full, 256), pose[:, 39:])["merged"]
    assert merged.dtype == torch.float32
    assert 42 < _psnr(merged, golden["pose0/body_morpher.merged"]) < 80


def test_elsewhere_nothing_waits_for_the_cpu(weights: StateDicts, character: Character) -> None:
    teacher = Teacher.from_state_dicts(weights, torch.float16).to(ELSEWHERE)
    poses = torch.zeros(2, 45, device=ELSEWHERE)
    face = teacher.face(character, poses)
    with NothingOnTheCPU():
        body = teacher.body(face["face_morphed_full"], poses)
    assert {image.dtype for image in (face | body).values()} == {torch.float32}


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        Teacher.from_state_dicts({name: {} for name in NETWORKS}, torch.float64)


# The mask


def test_face_mask_covers_what_the_alphas_show(teacher: Teacher, character: Character) -> None:
    mask = teacher.face_mask(character)
    assert mask.shape == (1, 128, 128)
    assert 0 <= mask.min() < mask.max() <= 1
    face = teacher.face(character, make_pose({"eyebrow_raised": 1, "eye_surprised": 1, "mouth_aaa": 1}))
    for name in ("eye_alpha", "iris_mouth_alpha"):
        assert bool((face[f"face_morpher.{name}"][0, :, 48:176, 32:160] <= mask + 1e-5).all())
    # The brows' picture begins at row 64 of the character's, the student's face at row 80.
    assert bool((face["eyebrow_morphing_combiner.combine_alpha"][0, :, 16:] <= mask[:, :112] + 1e-5).all())
    # Below the brows' picture only the face morpher has a say: nothing is there that its alphas did not show.
    assert mask[:, 112:].max() < 1


# Files


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as path:  # not tmp_path, which would keep a gigabyte
        yield Path(path)


def test_files_of_both_kinds_load_and_safetensors_come_first(folder: Path, weights: StateDicts) -> None:
    for name in NETWORKS[1:]:
        save_file(weights[name], folder / f"{name}.safetensors")
    torch.save(weights[NETWORKS[0]], folder / f"{NETWORKS[0]}.pt")
    (folder / f"{NETWORKS[1]}.pt").write_bytes(b"not looked at")
    loaded = Teacher.load(folder)
    for name in NETWORKS:
        state_dict = loaded.get_submodule(name).state_dict()
        assert all(torch.equal(value, weights[name][key]) for key, value in state_dict.items())


def test_missing_files_are_all_named(folder: Path) -> None:
    (folder / "face_morpher.pt").touch()
    with pytest.raises(WeightsError, match="body_morpher, eyebrow_decomposer, eyebrow_morphing_combiner, upscaler not"):
        Teacher.load(folder)
    with pytest.raises(WeightsError, match="nowhere"):
        Teacher.load(folder / "nowhere")


def test_swapped_files_are_named(folder: Path, weights: StateDicts) -> None:
    save_file(weights["face_morpher"], folder / "body_morpher.safetensors")
    for name in NETWORKS[1:]:
        (folder / f"{name}.safetensors").touch()
    with pytest.raises(WeightsError, match=r"body_morpher.safetensors: .*weights of face_morpher, not of body_morpher"):
        Teacher.load(folder)


def test_a_damaged_file_is_named(folder: Path, weights: StateDicts) -> None:
    save_file(weights["body_morpher"], folder / "body_morpher.safetensors")
    whole = (folder / "body_morpher.safetensors").read_bytes()
    (folder / "body_morpher.safetensors").write_bytes(whole[: len(whole) // 2])
    for name in NETWORKS[1:]:
        (folder / f"{name}.safetensors").touch()
    with pytest.raises(WeightsError, match=r"body_morpher.safetensors: not a whole"):
        Teacher.load(folder)


def test_state_dicts_that_do_not_fit_are_named(weights: StateDicts) -> None:
    with pytest.raises(WeightsError, match="given: upscaler"):
        Teacher.from_state_dicts({"upscaler": weights["upscaler"]})
    lacking = {key: value for key, value in weights["upscaler"].items() if key != "body.last.0.weight"}
    with pytest.raises(WeightsError, match=r"upscaler: 1 keys are missing, the first is body.last.0.weight"):
        Teacher.from_state_dicts({**weights, "upscaler": lacking})
