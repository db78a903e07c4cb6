"""The teacher: five networks as one pipeline, from a character and poses to frames (spec sections 4.3 and 8).

eyebrow decomposer      once a character
eyebrow combiner        by pose[0:12]  \\ once for each pose[0:39]: a sequence in which only the head moves
face morpher            by pose[12:39] / poses the face once
body morpher, upscaler  by pose[39:45], on the face-morphed picture: THA4
rotator, editor         instead of these two: THA3
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import pose as pose_numbers
from ..cpu import BufferPool
from ..errors import WeightsError
from ..networks.encoder_decoder import (
    EyebrowDecomposer,
    EyebrowMorphingCombiner,
    FaceMorpher,
    Images,
    with_brows,
)
from ..networks.tha3 import Editor, Rotator
from ..networks.unet import BodyMorpher, Upscaler
from ..picture import model_space as images
from ..picture.character import Character
from ..weights import (
    THA3_NETWORKS,
    THA4_NETWORKS,
    Publication,
    StateDict,
    find_any_teacher_files,
    load_strictly,
    read_state_dict,
)
from .cache import ImageCache
from .exclusive import ExclusiveModule, exclusive
from .outputs import EXPRESSIVE, Targets, face_alphas
from .stage_graphs import StageGraphs

PRECISIONS = (torch.float32, torch.float16, torch.bfloat16)

# Rectangles of the 512 x 512 character image: rows, columns.
_BROWS = (slice(64, 192), slice(192, 320))
_FACE = (slice(32, 224), slice(160, 352))
_STUDENT_IN_FACE = (slice(48, 176), slice(32, 160))  # the student's face, image[80:208, 192:320], as part of _FACE
_BODY_SIZE = 256
_FOR_FACE = ("picture", "background_layer", "eyebrow_layer")

_FACES_KEPT, _FRAMES_KEPT = 64, 16  # a face is 0.6 MB, a frame 4 MB: at most about 100 MB


class Teacher(ExclusiveModule, ABC):
    """The five published networks of either system. Evaluation only: nothing that it returns carries gradients.

    Here is what the systems share: the face, the caches, loading. THA4Teacher and THA3Teacher add the body; `load`,
    `load_files` and `from_state_dicts` give the one that the weights are of.

    Faces and frames of the last characters and poses are cached (`clear_cache` empties the caches, as does moving the
    teacher); frames are the same with and without. Threads may share a teacher: one at a time computes or moves it.
    """

    frame: ClassVar[str]
    """Which of `outputs` is the frame. The last network has `warped` and `grid_change` beside it."""

    def __init__(self, precision: torch.dtype = torch.float32, *, separable: bool = False) -> None:
        """Networks without weights: use `load` or `from_state_dicts`. `precision` is one of PRECISIONS."""
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision}; it must be one of {', '.join(map(str, PRECISIONS))}.")
        self.precision = precision
        self.eyebrow_decomposer = EyebrowDecomposer(separable=separable)
        self.eyebrow_morphing_combiner = EyebrowMorphingCombiner(separable=separable)
        self.face_morpher = FaceMorpher(separable=separable)
        self._rest: tuple[Character, Images] | None = None
        self._graphs = StageGraphs()
        self._faces = ImageCache(_FACES_KEPT)
        self._frames = ImageCache(_FRAMES_KEPT)

    @classmethod
    def load(cls, folder: str | Path, precision: torch.dtype = torch.float32) -> Teacher:
        """The teacher whose five files, NAME.safetensors or else NAME.pt, lie in `folder`; on the CPU.

        The convolutions run in `precision` (torch.float32, float16 or bfloat16), whatever the files hold. Raises
        WeightsError, naming the file, for what is missing, damaged, or another network's.
        """
        return cls.load_files(find_any_teacher_files(Path(folder)), precision)

    @classmethod
    def load_files(
        cls, files: Mapping[str, Path], precision: torch.dtype = torch.float32, publication: Publication | None = None
    ) -> Teacher:
        """As `load`, from the file of each network, wherever it lies; refused if it is not of `publication`."""
        weights = ((name, read_state_dict(path), str(path)) for name, path in files.items())
        return cls._build(_system(files), weights, precision, publication)

    @classmethod
    def from_state_dicts(cls, state_dicts: Mapping[str, StateDict], precision: torch.dtype = torch.float32) -> Teacher:
        """The teacher of five state dicts under the names of their networks; on the CPU. Raises WeightsError."""
        weights = ((name, state_dict, name) for name, state_dict in state_dicts.items())
        return cls._build(_system(state_dicts), weights, precision)

    @classmethod
    def shapes(cls, architecture: str = "THA4") -> dict[str, dict[str, tuple[int, ...]]]:
        """Network name -> state-dict key -> shape: what a file of weights is checked against.

        `architecture` is one of ARCHITECTURES, such as a Publication's.
        """
        return {name: dict(shapes) for name, shapes in _shapes(architecture).items()}

    @classmethod
    def _build(
        cls,
        system: str,
        weights: Iterator[tuple[str, StateDict, str]],
        precision: torch.dtype,
        publication: Publication | None = None,
    ) -> Teacher:
        """The teacher of five (name, state dict, file) that come one by one, so that one at a time takes memory."""
        first = next(weights)
        architecture = publication.architecture if publication else _architecture(system, first[1])
        model = publication.title if publication else first[2]
        with torch.device("meta"):  # no time for numbers that are overwritten
            teacher = ARCHITECTURES[architecture](precision)
        teacher.to_empty(device="cpu")
        for name, state_dict, source in chain([first], weights):
            _refuse_foreign(architecture, name, state_dict, source, model)
            load_strictly(teacher.get_submodule(name), state_dict, source)
        teacher._set_precision()
        teacher._lay_out()
        return teacher.eval().requires_grad_(False)

    @exclusive
    def render(self, character: Character, poses: Tensor, *, batch: int | None = None) -> Tensor:
        """Frames in model space, float32 `[N, 4, 512, 512]` on the teacher's device, of `poses` `[N, 45]`.

        `batch` is how many poses pass the networks at once: 4 unless given, and always 1 on a CPU, where more is no
        faster and so a frame never depends on the other poses. Equal poses are rendered once. Raises PoseError.
        """
        batch = self._batch(batch)

        def merged(poses: Tensor) -> Tensor:
            return self.body(self._face_morphed_full(character, poses, batch), poses)[self.frame]

        poses = pose_numbers.check_poses(poses).to(self._device())
        return self._frames.render(character, poses, merged, (4, images.SIZE, images.SIZE), batch)

    @exclusive
    def outputs(self, character: Character, poses: Tensor) -> Images:
        """Every image of spec section 4.3 (THA3: 8) for `poses` `[N, 45]`, named NETWORK.OUTPUT.

        33 for THA4, 31 for THA3. Float32 on the teacher's device; those of the eyebrow decomposer have a batch of 1.
        Raises PoseError.
        """
        poses = pose_numbers.check_poses(poses).to(self._device())
        made = []
        for chunk in torch.split(poses, self._batch()):
            face = self.face(character, chunk)
            made.append(self.body(face["face_morphed_full"], chunk) | face)
        images_of_all = {name: torch.cat([outputs[name] for outputs in made]) for name in made[0]}
        return images_of_all | _named("eyebrow_decomposer", self.layers(character))

    @exclusive
    def targets(self, character: Character, poses: Tensor) -> Targets:
        """What a student learns from, for `poses` `[N, 45]`, in one batch on the teacher's device. Raises PoseError.

        Where the face alone is wanted, `face` gives it without the body.
        """
        poses = pose_numbers.check_poses(poses).to(self._device())
        face = self.face(character, poses)
        body = self.body(face["face_morphed_full"], poses)
        last = self.frame.partition(".")[0]
        frame, warped, grid_change = (body[name] for name in (self.frame, f"{last}.warped", f"{last}.grid_change"))
        return Targets(frame, warped, grid_change, face["face_morphed_full"], face["face_morpher.output"])

    @exclusive
    def layers(self, character: Character) -> Images:
        """The eyebrow decomposer's six images `[1, C, 128, 128]`, without a prefix to their names."""
        return {name: image for name, image in self._at_rest(character).items() if name != "picture"}

    @exclusive
    def face(self, character: Character, poses: Tensor) -> Images:
        """The images up to `face_morphed_full`, for `poses` `[N, 45]` (or as many as 39 numbers each)."""
        picture, background, brows = (self._at_rest(character)[name] for name in _FOR_FACE)
        return self._graphs.run(self, self._face, picture, background, brows, poses.to(self._device()))

    def _face(self, picture: Tensor, background: Tensor, brows: Tensor, poses: Tensor) -> Images:
        background, brows = (layer.expand(len(poses), -1, -1, -1) for layer in (background, brows))
        combined = self.eyebrow_morphing_combiner(background, brows, poses[:, pose_numbers.EYEBROW])
        face = with_brows(images.crop(picture, *_FACE), combined["eyebrow_image_no_combine_alpha"])
        morphed = self.face_morpher(face, poses[:, pose_numbers.FACE])
        return {
            "face_morphed_full": images.paste(morphed["output"], picture, *_FACE),
            **_named("face_morpher", morphed),
            **_named("eyebrow_morphing_combiner", combined),
        }

    @exclusive
    def body(self, face_morphed_full: Tensor, poses: Tensor) -> Images:
        """The images of the last two networks, for `face_morphed_full` `[N, 4, 512, 512]` and `poses` `[N, 45]`."""
        rotation = poses.to(self._device())[:, pose_numbers.ROTATION]
        return self._graphs.run(self, self._body, face_morphed_full, rotation)

    @abstractmethod
    def _body(self, face_morphed_full: Tensor, rotation: Tensor) -> Images:
        """`body`, of `rotation` `[N, 6]`."""

    @exclusive
    def face_mask(self, character: Character) -> Tensor:
        """Where brows, eyes and mouth move: `[1, 128, 128]`, 0..1, over `image[80:208, 192:320]`, the student's face.

        The most that any of the teacher's own alphas (eyes, irises and mouth, brows) shows over a few expressive
        poses. Stands in for the mask that is otherwise painted by hand (spec section 6).
        """
        poses = torch.cat([pose_numbers.make_pose(values) for values in EXPRESSIVE])
        mask = torch.zeros(1, 1, 192, 192, device=self._device())
        for chunk in torch.split(poses, self._batch()):
            alphas = face_alphas(self.face(character, chunk))
            mask = torch.maximum(mask, alphas.amax(dim=0, keepdim=True))
        return images.crop(mask, *_STUDENT_IN_FACE)[0].clamp(0, 1)

    @exclusive
    def release_graphs(self) -> None:
        """Free the gigabytes that CUDA graphs keep: PyTorch counts them as unused, but nothing else can have them."""
        self._graphs.clear()

    @exclusive
    def clear_cache(self) -> None:
        """Free what was made for earlier characters and poses."""
        self._rest = None
        self._faces.clear()
        self._frames.clear()
        self._graphs.clear()

    def _face_morphed_full(self, character: Character, poses: Tensor, batch: int) -> Tensor:
        """`face_morphed_full` `[N, 4, 512, 512]`, every distinct pose[0:39] posed once and cached."""

        def output(poses: Tensor) -> Tensor:
            return self.face(character, poses)["face_morpher.output"]

        patches = self._faces.render(character, poses[:, pose_numbers.HEAD_FREE], output, (4, 192, 192), batch)
        return images.paste(patches, self._at_rest(character)["picture"], *_FACE)

    def _at_rest(self, character: Character) -> Images:
        """The last character's picture `[1, 4, 512, 512]`, and what the eyebrow decomposer makes of it; cached."""
        if self._rest is None or self._rest[0] is not character:
            picture = character.image.to(self._device())
            self._rest = character, self.eyebrow_decomposer(images.crop(picture, *_BROWS)) | {"picture": picture}
        return self._rest[1]

    def _device(self) -> torch.device:
        """Where the networks are, and where frames are made. (ComfyUI sets an attribute `device` of its own.)"""
        return next(self.parameters()).device

    def _batch(self, wanted: int | None = None) -> int:
        return 1 if self._device().type == "cpu" else max(1, wanted or 4)

    @exclusive
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Teacher:
        """Every move passes here: nothing cached stays on the old device."""
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


class THA4Teacher(Teacher):
    """THA4 (spec section 4): body morpher and upscaler, two U-Nets."""

    frame = "upscaler.merged"

    def __init__(self, precision: torch.dtype = torch.float32) -> None:
        super().__init__(precision)
        self._buffers_on_cpu = BufferPool()
        self.body_morpher = BodyMorpher(self._buffers_on_cpu)
        self.upscaler = Upscaler(self._buffers_on_cpu)

    def _body(self, face_morphed_full: Tensor, rotation: Tensor) -> Images:
        body = self.body_morpher(images.resize(face_morphed_full, _BODY_SIZE), rotation)
        upscaled = self.upscaler(face_morphed_full, body["merged"], body["grid_change"], rotation)
        return _named("upscaler", upscaled) | _named("body_morpher", body)

    @exclusive
    def clear_cache(self) -> None:
        """Free what was made for earlier characters and poses."""
        super().clear_cache()
        self._buffers_on_cpu.clear()


class THA3Teacher(Teacher):
    """THA3 (spec section 8): rotator and editor. `separable`: all five networks are of the small variant."""

    frame = "editor.output"

    def __init__(self, precision: torch.dtype = torch.float32, *, separable: bool = False) -> None:
        super().__init__(precision, separable=separable)
        self.two_algo_face_body_rotator = Rotator(separable=separable)
        self.editor = Editor(separable=separable)

    def _body(self, face_morphed_full: Tensor, rotation: Tensor) -> Images:
        rotated = self.two_algo_face_body_rotator(images.resize(face_morphed_full, _BODY_SIZE), rotation)
        edited = self.editor(face_morphed_full, rotated["warped"], rotated["grid_change"], rotation)
        return _named("editor", edited) | _named("two_algo_face_body_rotator", rotated)


ARCHITECTURES: dict[str, Callable[[torch.dtype], Teacher]] = {
    "THA4": THA4Teacher,
    "THA3 standard": THA3Teacher,
    "THA3 separable": partial(THA3Teacher, separable=True),
}
"""The teachers that there are, by the architecture that a Publication names. Half variants differ in nothing here."""


def _refuse_foreign(architecture: str, name: str, state_dict: StateDict, source: str, model: str) -> None:
    """Raise WeightsError, naming the file `source`, where weights are whole but another network's or architecture's.

    `model` is what says that the architecture is this one. THA4's first three networks and those of THA3 standard have
    the same keys and shapes: nothing tells these apart.
    """
    found = {key: tuple(value.shape) for key, value in state_dict.items()}
    if found == _shapes(architecture)[name]:
        return
    owners = [(a, n) for a in (architecture, *ARCHITECTURES) for n, shapes in _shapes(a).items() if shapes == found]
    if not owners:
        return
    network = owners[0][1]
    if owners[0][0] == architecture:
        raise WeightsError(f"{source}: these are the weights of {network}, not of {name}. Were two files swapped?")
    others = " or ".join(dict.fromkeys(owner for owner, owned in owners if owned == network))
    why = f", as {model} is" if model != source else ""
    raise WeightsError(
        f"{source}: these are the weights of {network} of {others}, not of {name} of {architecture}{why}. Take all "
        "five files from one folder of one publication."
    )


def _system(networks: Collection[str]) -> str:
    """THA4 or THA3, by the names of the five networks. Raises WeightsError."""
    for system, names in (("THA4", THA4_NETWORKS), ("THA3", THA3_NETWORKS)):
        if set(networks) == set(names):
            return system
    raise WeightsError(
        f"A teacher is five networks, THA4's ({', '.join(THA4_NETWORKS)}) or THA3's ({', '.join(THA3_NETWORKS)}); "
        f"given: {', '.join(networks) or 'none'}."
    )


def _architecture(system: str, state_dict: StateDict) -> str:
    """Which of ARCHITECTURES a network of a system is of. Only depthwise convolutions have one input channel."""
    if system == "THA4":
        return system
    separable = any(value.ndim == 4 and value.shape[1] == 1 for value in state_dict.values())
    return "THA3 separable" if separable else "THA3 standard"


@cache
def _shapes(architecture: str) -> dict[str, dict[str, tuple[int, ...]]]:
    with torch.device("meta"):
        teacher = ARCHITECTURES[architecture](torch.float32)
    return {
        name: {key: tuple(value.shape) for key, value in network.state_dict().items()}
        for name, network in teacher.named_children()
    }


def _named(network: str, outputs: Images) -> Images:
    return {f"{network}.{name}": image for name, image in outputs.items()}
