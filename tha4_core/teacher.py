"""The teacher: five networks as one pipeline, from a character and poses to frames (spec section 4.3).

eyebrow decomposer      once a character
eyebrow combiner        by pose[0:12]  \\ once for each pose[0:39]: a sequence in which only the head moves
face morpher            by pose[12:39] / poses the face once
body morpher, upscaler  by pose[39:45], on the face-morphed picture
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

from . import image as images
from . import pose as pose_numbers
from .character import Character
from .errors import WeightsError
from .networks.encoder_decoder import (
    BROWS_IN_FACE,
    EyebrowDecomposer,
    EyebrowMorphingCombiner,
    FaceMorpher,
    Images,
    with_brows,
)
from .networks.unet import BodyMorpher, Upscaler
from .recent import Recent
from .weights import StateDict, load_strictly, read_state_dict
from .weights.sets import THA4_TEACHER, find_teacher_files

NETWORKS = THA4_TEACHER.networks
"""The five networks, by the names of their files."""

PRECISIONS = (torch.float32, torch.float16, torch.bfloat16)

# Rectangles of the 512 x 512 character image: rows, columns.
_BROWS = (slice(64, 192), slice(192, 320))
_FACE = (slice(32, 224), slice(160, 352))
# The student's face, image[80:208, 192:320], as part of _FACE.
_STUDENT_IN_FACE = (slice(48, 176), slice(32, 160))

_BODY_SIZE = 256

# A face is 0.6 MB, a frame 4 MB: at most about 100 MB.
_FACES_KEPT = 64
_FRAMES_KEPT = 16

_EXPRESSIVE: tuple[dict[str, float], ...] = (
    {},
    {"eyebrow_raised": 1, "eye_surprised": 1, "mouth_aaa": 1},
    {"eyebrow_lowered": 1, "eye_wink": 1, "mouth_ooo": 1},
    {"eyebrow_troubled": 1, "eye_unimpressed": 1, "mouth_lowered_corner": 1},
    {"eyebrow_angry": 1, "iris_small": 1, "mouth_delta": 1},
    {"eyebrow_happy": 1, "eye_happy_wink": 1, "mouth_raised_corner": 1},
    {"eyebrow_serious": 1, "eye_relaxed": 1, "mouth_iii": 1},
    {"eye_raised_lower_eyelid": 1, "iris_rotation_x": 1, "iris_rotation_y": 1, "mouth_uuu": 1},
    {"iris_rotation_x": -1, "iris_rotation_y": -1, "mouth_eee": 1, "mouth_smirk": 1},
)
"""What `Teacher.face_mask` looks at: between them every brow, eye, iris and mouth parameter at its full extent."""


class Teacher(nn.Module):
    """The five published networks. Evaluation only: nothing that it returns carries gradients.

    What it made for the last characters and poses is kept and used again (`clear_cache` forgets it, as does moving
    the teacher); frames are the same with and without.
    """

    def __init__(self, precision: torch.dtype = torch.float32) -> None:
        """Networks without weights: use `load` or `from_state_dicts`. `precision` is one of PRECISIONS."""
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision}; it must be one of {', '.join(map(str, PRECISIONS))}.")
        self.precision = precision
        self.body_morpher = BodyMorpher()
        self.eyebrow_decomposer = EyebrowDecomposer()
        self.eyebrow_morphing_combiner = EyebrowMorphingCombiner()
        self.face_morpher = FaceMorpher()
        self.upscaler = Upscaler()
        self._layers: tuple[Character, Images] | None = None
        self._faces = Recent(_FACES_KEPT)
        self._frames = Recent(_FRAMES_KEPT)

    @classmethod
    def load(cls, folder: str | Path, precision: torch.dtype = torch.float32) -> Teacher:
        """The teacher whose five files, NAME.safetensors or else NAME.pt, lie in `folder`; on the CPU.

        The convolutions run in `precision` (torch.float32, float16 or bfloat16). Raises WeightsError, naming the file,
        for what is missing, damaged, or another network's.
        """
        return cls.load_files(find_teacher_files([Path(folder)]), precision)

    @classmethod
    def load_files(cls, files: Mapping[str, Path], precision: torch.dtype = torch.float32) -> Teacher:
        """As `load`, from the file of each network, wherever it lies."""
        return cls._build(((name, read_state_dict(path), str(path)) for name, path in files.items()), precision)

    @classmethod
    def from_state_dicts(cls, state_dicts: Mapping[str, StateDict], precision: torch.dtype = torch.float32) -> Teacher:
        """The teacher of five state dicts under the names in NETWORKS; on the CPU. Raises WeightsError."""
        if set(state_dicts) != set(NETWORKS):
            raise WeightsError(
                f"A teacher is the five networks {', '.join(NETWORKS)}; given: {', '.join(state_dicts) or 'none'}."
            )
        return cls._build(((name, state_dicts[name], name) for name in NETWORKS), precision)

    @classmethod
    def shapes(cls) -> dict[str, dict[str, tuple[int, ...]]]:
        """Network name -> state-dict key -> shape: what a file of weights is checked against."""
        with torch.device("meta"):
            teacher = cls()
        return {
            name: {key: tuple(value.shape) for key, value in teacher.get_submodule(name).state_dict().items()}
            for name in NETWORKS
        }

    @classmethod
    def _build(cls, weights: Iterable[tuple[str, StateDict, str]], precision: torch.dtype) -> Teacher:
        with torch.device("meta"):  # no time for numbers that are overwritten
            teacher = cls(precision)
        teacher.to_empty(device="cpu")
        for name, state_dict, source in weights:
            _refuse_mixed_up(teacher, name, state_dict, source)
            load_strictly(teacher.get_submodule(name), state_dict, source)
        teacher._set_precision()
        teacher._lay_out()
        return teacher.eval().requires_grad_(False)

    @torch.no_grad()
    def render(self, character: Character, poses: Tensor, *, batch: int | None = None) -> Tensor:
        """Frames in model space, float32 `[N, 4, 512, 512]` on the teacher's device, of `poses` `[N, 45]`.

        `batch` is how many poses pass the networks at once: 4 unless given, and always 1 on a CPU, where more is no
        faster and so a frame never depends on its company. Equal poses are rendered once. Raises PoseError.
        """
        batch = self._batch(batch)

        def merged(poses: Tensor) -> Tensor:
            return self.body(self._face_morphed_full(character, poses, batch), poses)["upscaler.merged"]

        poses = pose_numbers.check_poses(poses).to(self._device())
        return self._frames.render(character, poses, merged, (4, images.SIZE, images.SIZE), batch)

    @torch.no_grad()
    def outputs(self, character: Character, poses: Tensor) -> Images:
        """All 33 images of spec section 4.3 for `poses` `[N, 45]`, named NETWORK.OUTPUT.

        Float32 on the teacher's device; those of the eyebrow decomposer have a batch of 1. Raises PoseError.
        """
        poses = pose_numbers.check_poses(poses).to(self._device())
        made = []
        for chunk in torch.split(poses, self._batch()):
            face = self.face(character, chunk)
            made.append(self.body(face["face_morphed_full"], chunk) | face)
        images_of_all = {name: torch.cat([outputs[name] for outputs in made]) for name in made[0]}
        return images_of_all | _named("eyebrow_decomposer", self.layers(character))

    @torch.no_grad()
    def layers(self, character: Character) -> Images:
        """The eyebrow decomposer's six images `[1, C, 128, 128]`, without a prefix to their names."""
        if self._layers is None or self._layers[0] is not character:
            picture = character.image.to(self._device())
            self._layers = character, self.eyebrow_decomposer(images.crop(picture, *_BROWS))
        return self._layers[1]

    @torch.no_grad()
    def face(self, character: Character, poses: Tensor) -> Images:
        """The images up to `face_morphed_full`, for `poses` `[N, 45]` (or as many as 39 numbers each)."""
        poses = poses.to(self._device())
        picture, layers = character.image.to(self._device()), self.layers(character)
        count = poses.shape[0]
        background, brows = (layers[name].expand(count, -1, -1, -1) for name in ("background_layer", "eyebrow_layer"))
        combined = self.eyebrow_morphing_combiner(background, brows, poses[:, pose_numbers.EYEBROW])
        face = with_brows(images.crop(picture, *_FACE), combined["eyebrow_image_no_combine_alpha"])
        morphed = self.face_morpher(face, poses[:, pose_numbers.FACE])
        return {
            "face_morphed_full": images.paste(morphed["output"], picture, *_FACE),
            **_named("face_morpher", morphed),
            **_named("eyebrow_morphing_combiner", combined),
        }

    @torch.no_grad()
    def body(self, face_morphed_full: Tensor, poses: Tensor) -> Images:
        """The images of body morpher and upscaler, for `face_morphed_full` `[N, 4, 512, 512]` and `poses` `[N, 45]`."""
        rotation = poses.to(self._device())[:, pose_numbers.ROTATION]
        body = self.body_morpher(images.resize(face_morphed_full, _BODY_SIZE), rotation)
        upscaled = self.upscaler(face_morphed_full, body["merged"], body["grid_change"], rotation)
        return _named("upscaler", upscaled) | _named("body_morpher", body)

    @torch.no_grad()
    def face_mask(self, character: Character) -> Tensor:
        """Where brows, eyes and mouth move: `[1, 128, 128]`, 0..1, over `image[80:208, 192:320]`, the student's face.

        The most that any of the teacher's own alphas (eyes, irises and mouth, brows) shows over a few expressive
        poses. Stands in for the mask that is otherwise painted by hand (spec section 6).
        """
        poses = torch.cat([pose_numbers.make_pose(values) for values in _EXPRESSIVE])
        mask = torch.zeros(1, 1, 192, 192, device=self._device())
        for chunk in torch.split(poses, self._batch()):
            shown = _alphas(self.face(character, chunk))
            mask = torch.maximum(mask, shown.amax(dim=0, keepdim=True))
        return images.crop(mask, *_STUDENT_IN_FACE)[0].clamp(0, 1)

    def clear_cache(self) -> None:
        """Forget, and free, what was made for earlier characters and poses."""
        self._layers = None
        self._faces.clear()
        self._frames.clear()

    def _face_morphed_full(self, character: Character, poses: Tensor, batch: int) -> Tensor:
        """`face_morphed_full` `[N, 4, 512, 512]`, every distinct pose[0:39] posed once and remembered."""

        def output(poses: Tensor) -> Tensor:
            return self.face(character, poses)["face_morpher.output"]

        patches = self._faces.render(character, poses[:, pose_numbers.HEAD_FREE], output, (4, 192, 192), batch)
        return images.paste(patches, character.image.to(self._device()), *_FACE)

    def _device(self) -> torch.device:
        """Where the networks are, and where frames are made. (ComfyUI sets an attribute `device` of its own.)"""
        return next(self.parameters()).device

    def _batch(self, wanted: int | None = None) -> int:
        return 1 if self._device().type == "cpu" else max(1, wanted or 4)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Teacher:
        """Every move passes here: what is remembered does not stay behind on the old device."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.clear_cache()
        self._lay_out()
        return self

    def _set_precision(self) -> None:
        """The convolutions of the trunks run in `precision`; first and last layers, norms and conditions in float32.

        So does the eyebrow decomposer: it runs once a character, and every later network enlarges its errors.
        """
        for name, module in self.named_modules():
            trunk = "_blocks." in name and not name.startswith("eyebrow_decomposer.")
            if trunk and isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.to(self.precision)

    def _lay_out(self) -> None:
        """Weights channels-last, which carries over to all features, where that is the faster layout."""
        last = self._device().type == "cpu" or (self._device().type == "cuda" and self.precision != torch.float32)
        layout = torch.channels_last if last else torch.contiguous_format
        for tensor in chain(self.parameters(), self.buffers()):
            if tensor.ndim == 4:
                tensor.data = tensor.data.contiguous(memory_format=layout)


def _refuse_mixed_up(teacher: Teacher, name: str, state_dict: StateDict, source: str) -> None:
    """Raise WeightsError where the weights are whole but another network's."""
    for other, network in teacher.named_children():
        shapes = {key: value.shape for key, value in network.state_dict().items()}
        if other != name and shapes == {key: value.shape for key, value in state_dict.items()}:
            raise WeightsError(f"{source}: these are the weights of {other}, not of {name}. Were two files swapped?")


def _named(network: str, outputs: Images) -> Images:
    return {f"{network}.{name}": image for name, image in outputs.items()}


def _alphas(face: Images) -> Tensor:
    """The largest of the alphas of eyes, irises and mouth, and brows `[N, 1, 192, 192]`."""
    alphas = torch.maximum(face["face_morpher.eye_alpha"], face["face_morpher.iris_mouth_alpha"])
    brows = images.crop(alphas, *BROWS_IN_FACE)
    brows.copy_(torch.maximum(brows, face["eyebrow_morphing_combiner.combine_alpha"]))
    return alphas
