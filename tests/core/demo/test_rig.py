"""The demo's rig as a teacher: what it draws at rest, what each number of a pose moves, what its grid change means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tha4_core.demo
from tha4_core.demo import DemoRig, demo_character, expression
from tha4_core.demo.layers import load_layers
from tha4_core.demo.shapes import EYE_MIDDLE
from tha4_core.errors import PoseError, THA4Error
from tha4_core.picture import model_space as images
from tha4_core.picture.character import Character
from tha4_core.picture.warping import positions
from tha4_core.pose import COUNT, NAMES, PARAMETERS, make_pose

REST = torch.zeros(1, COUNT)
HEAD_AND_BODY = {"head_x": -0.6, "head_y": 0.7, "neck_z": 0.5, "body_y": 0.4, "body_z": -0.8, "breathing": 1.0}


def within(rows: tuple[int, int], columns: tuple[int, int]) -> tuple[slice, slice]:
    """A drawn part without its outermost pixels: what reaches them is cut off."""
    return slice(rows[0] + 1, rows[1] - 1), slice(256 + columns[0] + 1, 256 + columns[1] - 1)


# What the face's groups may change, on the viewer's right; the left is their mirror image.
EYE_COLUMNS = (int(EYE_MIDDLE) + expression.EYE_REACH[0], int(EYE_MIDDLE) + expression.EYE_REACH[1])
REGIONS = {
    "eyebrow": within(expression.BROW_ROWS, EYE_COLUMNS),
    "eye": within(expression.EYE_ROWS, EYE_COLUMNS),
    "iris": within(expression.EYE_ROWS, EYE_COLUMNS),
    "mouth": within(expression.MOUTH_ROWS, expression.MOUTH_COLUMNS),
}
FACE = [p for p in PARAMETERS if p.index < 39]
EXTREMES = [(p, v) for p in PARAMETERS for v in (p.minimum, p.maximum) if v]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine, threads that wait for each other cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def rig() -> DemoRig:
    return DemoRig()


@pytest.fixture(scope="module")
def rest(rig: DemoRig) -> dict[str, Tensor]:
    return rig.outputs(demo_character(), REST)


def quantised(frame: Tensor) -> Tensor:
    return (images.to_srgb(frame)[0] * 255).round().to(torch.uint8)


def random_poses(count: int, seed: int, size: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    low = torch.tensor([p.minimum for p in PARAMETERS])
    return size * (low + (1 - low) * torch.rand(count, COUNT, generator=generator))


def mirrored(pose: Tensor) -> Tensor:
    """The pose that a mirror shows."""
    swapped = pose.clone()
    for left, name in enumerate(NAMES):
        if name.endswith("_left"):
            swapped[:, left], swapped[:, left + 1] = pose[:, left + 1], pose[:, left]
    for name in ("iris_rotation_y", "head_y", "neck_z", "body_y", "body_z"):
        swapped[:, NAMES.index(name)] *= -1
    swapped[:, NAMES.index("mouth_smirk")] = 0
    return swapped


def test_the_picture_is_a_character_image() -> None:
    picture = demo_character().picture
    assert demo_character() is demo_character()
    alpha = picture[..., 3]
    rows, columns = alpha.amax(1).nonzero()[:, 0], alpha.amax(0).nonzero()[:, 0]
    assert 16 <= rows[0] <= 64, "the head's box begins at row 64; hair may stand above it"
    assert rows[-1] == 511, "cut off by the lower edge, not floating"
    assert 100 < columns[0] < columns[-1] < 412
    assert not picture[alpha == 0].any(), "nothing hides in the background"
    assert alpha[144, 208:304].min() == 255, "the face is opaque"


def test_the_rest_pose_is_the_picture_bit_for_bit(rest: dict[str, Tensor]) -> None:
    picture = demo_character().picture
    for name in ("upscaler.merged", "face_morphed_full"):
        assert torch.equal(quantised(rest[name]), picture), name
    assert not rest["upscaler.grid_change"].any()
    assert (rest["upscaler.warped"] - rest["face_morphed_full"]).abs().max() < 1e-3


def test_outputs_have_the_shapes_of_a_teacher(rig: DemoRig) -> None:
    poses = random_poses(2, seed=0)
    outputs = rig.outputs(demo_character(), poses)
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "upscaler.merged": (2, 4, 512, 512),
        "upscaler.warped": (2, 4, 512, 512),
        "upscaler.grid_change": (2, 2, 512, 512),
        "face_morphed_full": (2, 4, 512, 512),
        "face_morpher.output": (2, 4, 192, 192),
    }
    assert all(value.dtype == torch.float32 and torch.isfinite(value).all() for value in outputs.values())
    assert torch.equal(outputs["face_morpher.output"], outputs["face_morphed_full"][..., 32:224, 160:352])
    assert torch.equal(outputs["upscaler.merged"], rig.render(demo_character(), poses))
    frame = outputs["upscaler.merged"]
    assert frame.min() >= -1
    assert frame.max() <= 1 + 1e-5
    assert (frame[:, :3] <= frame[:, 3:] + 1e-5).all(), "colour is multiplied by alpha"


@pytest.mark.parametrize("name", [p.name for p in FACE])
def test_a_face_parameter_changes_its_part_of_the_face_alone(rig: DemoRig, rest: dict[str, Tensor], name: str) -> None:
    parameter = PARAMETERS[NAMES.index(name)]
    rows, columns = REGIONS[parameter.group]
    allowed = torch.zeros(512, 512, dtype=torch.bool)
    if not name.endswith("_right"):
        allowed[rows, columns] = True
    if not name.endswith("_left"):
        allowed[rows, 512 - columns.stop : 512 - columns.start] = True
    for value in {parameter.minimum, parameter.maximum} - {0}:
        frame = rig.render(demo_character(), make_pose({name: value}))
        change = (frame - rest["upscaler.merged"]).abs().amax(1)[0]
        assert not (change > 1e-6)[~allowed].any(), f"{name} = {value} reaches beyond its part"
        assert (change > 0.1).sum() > 8, f"{name} = {value} does too little"


@pytest.mark.parametrize("name", ["head_x", "head_y", "neck_z"])
def test_the_head_moves_without_the_body(rig: DemoRig, rest: dict[str, Tensor], name: str) -> None:
    for value in (-1, 1):
        frame = rig.render(demo_character(), make_pose({name: value}))
        change = (frame - rest["upscaler.merged"]).abs().amax(1)[0]
        assert change[300:].max() == 0
        assert (change[64:192, 192:320] > 0.05).float().mean() > 0.2


@pytest.mark.parametrize(("name", "least"), [("body_y", 0.1), ("body_z", 0.2), ("breathing", 0.03)])
def test_the_body_moves(rig: DemoRig, rest: dict[str, Tensor], name: str, least: float) -> None:
    frame = rig.render(demo_character(), make_pose({name: 1}))
    change = (frame - rest["upscaler.merged"]).abs().amax(1)[0]
    assert (change[200:300, 156:356] > 0.02).float().mean() > least


def test_the_face_is_posed_before_the_head_turns(rig: DemoRig) -> None:
    face = {"eye_wink": 0.7, "mouth_aaa": 0.8, "eyebrow_raised_left": 1.0}
    still = rig.outputs(demo_character(), make_pose(face))["face_morphed_full"]
    turned = rig.outputs(demo_character(), make_pose(face | HEAD_AND_BODY))["face_morphed_full"]
    assert torch.equal(still, turned)
    inside = torch.zeros(512, 512, dtype=torch.bool)
    inside[80:208, 192:320] = True
    change = (still - demo_character().image).abs().amax(1)[0]
    # Outside, the picture's rounding to bytes is all that differs: half a step of sRGB, 2.3 times that in linear light.
    assert (change[~inside] < 2.4 / 255).all(), "all that the face does lies in the student's patch"


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [("head_x", 0, 1), ("head_y", 1, 0), ("neck_z", 1, 0), ("body_y", 1, 0), ("body_z", 1, 0)],
)
def test_directions_are_those_of_the_specification(rig: DemoRig, name: str, x: int, y: int) -> None:
    """Up is up; a turn or tilt above 0 goes to the viewer's left: the place looked up lies down, or right."""
    change = rig.outputs(demo_character(), make_pose({name: 1}))["upscaler.grid_change"][0, :, 145, 256] * 256
    assert (change * torch.tensor([x, y])).sum() > 1


@pytest.mark.parametrize(("name", "axis"), [("iris_rotation_x", 0), ("iris_rotation_y", 1)])
def test_the_eyes_look_up_and_to_the_viewers_left(rig: DemoRig, name: str, axis: int) -> None:
    def pupil(value: float) -> Tensor:
        eye = rig.render(demo_character(), make_pose({name: value}))[0, :3, 141:160, 268:296]
        dark = (-1 - eye.amax(0)).exp().pow(8)
        weights = dark / dark.sum()
        rows, columns = torch.meshgrid(torch.arange(19.0), torch.arange(28.0), indexing="ij")
        return torch.stack([(rows * weights).sum(), (columns * weights).sum()])

    assert pupil(1)[axis] + 0.5 < pupil(-1)[axis]


def test_an_eye_closes(rig: DemoRig) -> None:
    def white(pose: dict[str, float]) -> float:
        """How much of the eyes is brighter than skin."""
        frame = rig.render(demo_character(), make_pose(pose))[0, 2, 130:168, 204:308]
        return float((frame > 0.75).float().sum())

    assert white({}) > 100
    for name in ("eye_wink", "eye_happy_wink"):
        assert white({name: 1}) == 0, name
    assert 0 < white({"eye_wink_left": 1}) < white({})


@pytest.mark.parametrize("pose", [{"head_y": 0.5}, HEAD_AND_BODY, {"head_x": 1.0, "head_y": -1.0, "neck_z": -1.0}])
def test_the_grid_change_says_where_each_surface_lies_at_rest(pose: dict[str, float]) -> None:
    """Layers that are coloured by their own position show it: the frame's colour is where the grid looks it up."""
    layers = load_layers()
    for name, layer in layers.items():
        height, width = layer.texture.shape[-2:]
        x = (layer.left + (torch.arange(width) + 0.5) / 2) / 1024
        y = (layer.top + (torch.arange(height) + 0.5) / 2) / 1024
        alpha = layer.texture[3]
        colours = torch.stack([x.expand(height, width), y[:, None].expand(height, width), torch.zeros(height, width)])
        layers[name] = replace(layer, texture=torch.cat([colours * alpha, alpha[None]]))
    coded = DemoRig(layers)
    outputs = coded.outputs(Character(coded.picture), make_pose(pose))
    frame = (outputs["upscaler.merged"][0] + 1) / 2
    grid = (positions(512, 512) + outputs["upscaler.grid_change"])[0]
    seen, expected = frame[:2] * 1024, (grid + 1) * 256
    opaque = frame[3] > 0.9999
    opaque[90:220, 180:332] = False  # the face is drawn over, with colours of its own
    error = (seen - expected).norm(dim=0)[opaque]
    assert opaque.sum() > 30000
    assert error.max() < 0.3, "pixels, everywhere, where layers meet included"
    assert error.mean() < 0.02


@pytest.mark.parametrize("pose", [{"head_x": 0.4}, {"head_y": -0.5}, {"body_z": 0.5}, {"breathing": 1.0}])
def test_warping_by_the_grid_change_gives_the_frame(rig: DemoRig, pose: dict[str, float]) -> None:
    """Up to what a second lookup blurs, and to what was hidden at rest: 92 of 100 visible pixels within 0.1."""
    outputs = rig.outputs(demo_character(), make_pose(pose))
    frame, warped = outputs["upscaler.merged"], outputs["upscaler.warped"]
    error = (frame - warped).abs().amax(1)[frame[:, 3] > 0.99]
    assert (error > 0.1).float().mean() < 0.08
    assert error.mean() < 0.03
    unwarped = (frame - outputs["face_morphed_full"]).abs().amax(1)[frame[:, 3] > 0.99]
    assert error.mean() < 0.7 * unwarped.mean()


def test_every_number_acts_continuously(rig: DemoRig) -> None:
    """A thousandth of any number's range changes no pixel by much, wherever the pose is."""
    step = 1e-3
    base = random_poses(1, seed=3, size=0.9).expand(COUNT, -1)
    before = rig.render(demo_character(), base[:1])
    for poses in (base + step * torch.eye(COUNT)).split(9):
        change = (rig.render(demo_character(), poses) - before).abs().amax(dim=(1, 2, 3))
        assert change.max() < 0.08, NAMES[int(change.argmax())]


@pytest.mark.parametrize("name", ["eye_wink_left", "mouth_ooo", "head_y"])
def test_sweeps_have_no_jumps(rig: DemoRig, name: str) -> None:
    """Through a parameter's whole range in 24 steps, and beyond where others crowd it, the mean change stays even."""
    crowd = {"eye_happy_wink_left": 0.5, "eye_relaxed_left": 0.3, "mouth_aaa": 0.6, "body_y": 0.5}
    poses = make_pose(crowd).repeat(25, 1)
    poses[:, NAMES.index(name)] = torch.linspace(0, 1, 25)
    frames = torch.cat([rig.render(demo_character(), part)[..., 80:208, 192:320] for part in poses.split(8)])
    steps = frames.diff(dim=0).abs().mean(dim=(1, 2, 3))
    assert steps.max() < 6 * steps.median() + 1e-6


def test_a_batch_is_its_members_and_again_the_same(rig: DemoRig) -> None:
    poses = random_poses(2, seed=5)
    together = rig.outputs(demo_character(), poses)
    again = rig.outputs(demo_character(), poses)
    for name, value in together.items():
        assert torch.equal(value, again[name]), name
        for i in range(2):
            alone = rig.outputs(demo_character(), poses[i : i + 1])[name]
            # Matrix products of one row and of two round differently, by how much depends on the processor.
            assert (alone[0] - value[i]).abs().max() < 5e-5, name


def test_left_and_right_are_alike() -> None:
    """The drawing is not symmetric everywhere; the movements are: of mirrored layers, the mirrored pose is the mirror
    image.
    """
    layers = load_layers()
    rig, other = DemoRig(layers), DemoRig({name: layer.mirrored() for name, layer in layers.items()})
    pose = random_poses(1, seed=7)
    pose[:, NAMES.index("mouth_smirk")] = 0
    expected = rig.outputs(Character(rig.picture), pose)
    found = other.outputs(Character(other.picture), mirrored(pose))
    difference = (expected["upscaler.merged"].flip(-1) - found["upscaler.merged"]).abs()
    assert difference.max() < 5e-3  # half a step of alpha, where rounding decides what is still seen
    sign = torch.tensor([-1.0, 1.0])[None, :, None, None]
    grids = expected["upscaler.grid_change"].flip(-1) * sign - found["upscaler.grid_change"]
    assert grids.abs().max() < 1e-4


def test_the_face_mask_covers_what_the_face_moves(rig: DemoRig, rest: dict[str, Tensor]) -> None:
    mask = rig.face_mask(demo_character())
    assert mask.shape == (1, 128, 128)
    assert mask.min() == 0
    assert mask.max() == 1
    assert 0.1 < mask.mean() < 0.5
    stems = [(p.name.removesuffix("_left"), v) for p, v in EXTREMES if not p.name.endswith("_right") and p.index < 39]
    poses = torch.cat([make_pose({stem: value}) for stem, value in stems])
    for part in poses.split(12):
        patch = rig.outputs(demo_character(), part)["face_morpher.output"][..., 48:176, 32:160]
        change = (patch - rest["face_morpher.output"][..., 48:176, 32:160]).abs().amax(1)
        assert not ((change > 0.1) & (mask < 0.5)).any()


def test_it_refuses_what_it_cannot_render(rig: DemoRig) -> None:
    stranger = Character(torch.zeros(512, 512, 4, dtype=torch.uint8), "stranger.png")
    with pytest.raises(THA4Error, match=r"stranger\.png"):
        rig.render(stranger, REST)
    with pytest.raises(THA4Error, match=r"stranger\.png"):
        rig.face_mask(stranger)
    with pytest.raises(PoseError, match="45"):
        rig.render(demo_character(), torch.zeros(1, 44))
    with pytest.raises(PoseError, match="head_x"):
        rig.outputs(demo_character(), torch.where(torch.arange(COUNT) == NAMES.index("head_x"), 3.0, 0.0)[None])
    assert rig.render(Character(demo_character().picture.clone()), REST).shape == (1, 4, 512, 512)


def test_art_and_rig_are_small() -> None:
    folder = Path(tha4_core.demo.__file__).parent
    files = [f for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    assert sum(f.stat().st_size for f in files) < 3_000_000
