"""The student: two SIRENs and one picture as one renderer, under 2 MB and in real time (spec section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from torch import Tensor, nn

from ..networks.siren import BodyMorpher, FaceMorpher
from ..picture.character import Character
from ..picture.model_space import SIZE, paste
from ..picture.warping import blend, warp
from ..pose import HEAD_FREE, check_poses
from ..weights import StateDict, load_strictly
from . import files, gpu, renderer

FACE_ROWS, FACE_COLUMNS = slice(80, 208), slice(192, 320)
"""Where the face patch lies in the character's image."""


class Student(nn.Module):
    """A distilled character: renders any pose of the one character it was made for.

    `character` is that character; `metadata` is what the file says of itself (name, licence, how it was made).
    """

    image: Tensor

    def __init__(self, character: Character, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.character = character
        self.metadata = dict(metadata or {})
        self.face_morpher = FaceMorpher()
        self.body_morpher = BodyMorpher()
        self.register_buffer("image", character.image, persistent=False)
        self._autotuner = gpu.Autotuner()

    @classmethod
    def load(cls, path: str | Path) -> Student:
        """A student from any of the formats that exist.

        `path` is our own .safetensors, a published folder (or its character_model.yaml), or a folder of the web demo's
        TensorFlow.js files. Raises WeightsError or PictureError, naming the file and what is wrong with it.
        """
        path = Path(path)
        return cls.from_files(files.read(path), path)

    @classmethod
    def from_files(cls, content: files.StudentFiles, source: Path) -> Student:
        """A student from what was read of its files; `source` is the path that messages name."""
        student = cls(content.character, content.metadata)
        for name in files.NETWORKS:
            load_strictly(student.get_submodule(name), content.networks[name], f"{source} ({name})")
        return student.eval().requires_grad_(False)

    def save(self, path: str | Path) -> None:
        """Write one .safetensors file: both networks, the picture, the metadata. It is written whole or not at all.

        Raises WeightsError where it cannot be written.
        """
        files.write(Path(path), self._content(self.metadata))

    def to_bytes(self, largest: int | None = None) -> bytes:
        """The same file as bytes, of the metadata only name and licence: what a page needs to render it.

        `largest` is the size of the largest frame that it is for: the character's picture is no larger in it.
        """
        content = self._content({key: self.metadata[key] for key in ("licence",) if key in self.metadata})
        return files.to_bytes(
            content if largest is None else replace(content, character=content.character.for_frames(largest))
        )

    def _content(self, metadata: dict[str, str]) -> files.StudentFiles:
        networks = {name: _on_cpu(self.get_submodule(name)) for name in files.NETWORKS}
        return files.StudentFiles(self.character, networks, metadata)

    def render(
        self,
        poses: Tensor,
        *,
        size: int = SIZE,
        tick: Callable[[], None] | None = None,
        precision: str = "auto",
        keep_memory: bool = True,
    ) -> Tensor:
        """Poses `[N, 45]` -> frames `[N, 4, size, size]` in model space, float32, on the student's device.

        A student is a function of the position, sampled on a grid of pixels; `size` (a multiple of 32 from 64 to 2048)
        says how fine: the three levels of the body at size/4, size/2 and size, the face at size/4, over the character's
        picture resized (above 512: its source, if it has one). At 512 that is what the student was trained for, and the
        frame is `forward`'s. Other sizes show the same frame finer or coarser, not the same numbers; time is
        proportional to the pixels.

        `precision` (auto, float32, float16) is what the layers' products are computed in on an NVIDIA GPU; coordinates
        and everything else are float32. auto: what proves fastest in a first trial and shows the same picture. Other
        devices compute in float32. Single frames may become a CUDA graph, which keeps some of the GPU's memory; not so
        where `keep_memory` is False.

        One pose is rendered after another: memory beyond the result does not grow with N. `tick` is called from this
        thread at least once a level of a pose; what it raises ends the render. Raises PoseError, SizeError, and
        THA4Error for another precision.
        """
        poses = check_poses(poses).to(self.image.device)
        renderer.check_size(size)
        gpu.check_precision(precision)
        large = self.character.source is not None and size > SIZE
        image = self.character.image_at(size).to(self.image) if large else self.image
        render = partial(renderer.render, self.face_morpher, self.body_morpher, image, size=size)
        if image.device.type != "cuda":
            return render(poses, tick=tick)
        kernel = self._autotuner.kernel(precision, lambda kernel: render(poses[:1], kernel=kernel))
        if len(poses) == 1 and keep_memory and not large:
            key = precision, size, gpu.versions(chain([image], self.parameters()))
            replay = self._autotuner.cuda_graph(partial(render, kernel=kernel), poses, key)
            if replay is not None:
                if tick is not None:
                    tick()
                return replay(poses)
        return render(poses, tick=tick, kernel=kernel)

    def forward(self, poses: Tensor) -> dict[str, Tensor]:
        """One batch of poses `[N, 45]` -> every image on the way to the frame, by the names of the specification.

        `face_patch` `[N, 4, 128, 128]`; at 512 x 512 `blended` (the frame), `warped`, `grid_change`, `alpha`,
        `color_change`.
        """
        face_patch = self.face_morpher(poses[:, HEAD_FREE])
        grid_change, alpha, color_change = self.body_morpher(poses)
        warped = warp(grid_change, paste(face_patch, self.image, FACE_ROWS, FACE_COLUMNS))
        return {
            "face_patch": face_patch,
            "grid_change": grid_change,
            "alpha": alpha,
            "color_change": color_change,
            "warped": warped,
            "blended": blend(alpha, color_change, warped),
        }

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Student:
        """Every move passes here."""
        self._autotuner.release_cuda_graph()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _on_cpu(network: nn.Module) -> StateDict:
    return {key: value.detach().cpu() for key, value in network.state_dict().items()}
