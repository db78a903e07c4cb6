"""The batches of a step: pixels of faces and crops of frames, sampled more often where pictures change.

Every draw comes from a generator of (seed, step) alone: there is no random state to save, and every process of a run
draws the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ..networks.siren import FACE_SIZE
from ..picture.model_space import SIZE
from ..picture.warping import positions
from ..pose import HEAD_FREE
from .forward import crop_positions
from .recipe import BodyTerms, CropShares
from .target_cache import TargetCache

# The face that the teacher morphs, and the part of it that is the student's.
_MORPHED = (slice(32, 224), slice(160, 352))
_STUDENT = (slice(48, 176), slice(32, 160))

# How pixels of the face are drawn: anywhere, where it changes over the poses, where brows, eyes and mouth are.
_FACE_SHARES = (0.25, 0.5, 0.25)
_SAMPLED_POSES = 64  # show where pictures change
_ALIGNMENT = 4  # pixels: a crop starts on a whole pixel of the coarsest level
_VISIBLE = 0.02  # alpha


class FaceBatch(NamedTuple):
    """Pixels of faces: poses `[P, 39]`, positions `[P, 2]`, targets `[P, 4]`, mask `[P, 1]`."""

    poses: Tensor
    xy: Tensor
    target: Tensor
    mask: Tensor


class Pictures(NamedTuple):
    """The face-morphed pictures of K poses: `rest` `[512, 512, 4]` with the face `which[k]` of `faces`
    `[N, 192, 192, 4]`. The whole pictures, megabytes each, are never made."""

    rest: Tensor
    faces: Tensor
    which: Tensor

    def warped(self, coordinates: Tensor) -> Tensor:
        """Each looked up at its coordinates (x, y) `[K, h, w, 2]`, as `warping.look_up` does: `[K, h, w, 4]`."""
        pixels = ((coordinates + 1) * (SIZE / 2) - 0.5).clamp(0, SIZE - 1)
        first = pixels.detach().nan_to_num(0).floor().long()  # what is no number stays none in the result
        second = (first + 1).clamp(max=SIZE - 1)
        (left, top), (right, bottom) = first.unbind(-1), second.unbind(-1)
        # All four neighbours at once: on a GPU, what small operations cost is their number.
        rows, columns = torch.stack([top, top, bottom, bottom]), torch.stack([left, right, left, right])
        top_left, top_right, bottom_left, bottom_right = self._at(rows, columns).unbind()
        across, down = torch.split(pixels - first, 1, dim=-1)
        return torch.lerp(torch.lerp(top_left, top_right, across), torch.lerp(bottom_left, bottom_right, across), down)

    def _at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Pixels `[n, K, h, w, 4]`, by `[n, K, h, w]`."""
        height, width = self.faces.shape[1:3]
        row, column = rows - _MORPHED[0].start, columns - _MORPHED[1].start
        morphed = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        which = self.which[:, None, None].expand_as(row)
        faces = self.faces[which, row.clamp(0, height - 1), column.clamp(0, width - 1)].float()
        return torch.where(morphed[..., None], faces, self.rest[rows, columns])


class Draws(NamedTuple):
    """The random numbers of a batch of K: `chance` `[K]` (0..1) is looked up in a cumulative density, by `pick`;
    `which` `[K]` are the poses."""

    chance: Tensor
    which: Tensor


class BodyBatch(NamedTuple):
    """Crops of frames: poses `[K, 45]`, first rows and columns `[K]`, the pictures that are warped, targets."""

    poses: Tensor
    rows: Tensor
    columns: Tensor
    pictures: Pictures
    xy: Tensor
    target: BodyTerms


def generator(seed: int, step: int, stream: int) -> torch.Generator:
    """The randomness of one step; `stream` tells its users apart. Always the CPU's, so that devices draw the same."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) * 8 + stream)


def draw(count: int, poses: int, random: torch.Generator) -> Draws:
    """The random numbers of `count` pixels or crops, each of one of so many poses; on the CPU."""
    chance = torch.rand(count, generator=random)
    return Draws(chance, torch.randint(poses, (count,), generator=random))


def pick(cumulative: Tensor, chance: Tensor) -> Tensor:
    """Pixels `[K]` by their cumulative density and numbers in 0..1 `[K]`."""
    return torch.searchsorted(cumulative, chance * cumulative[-1]).clamp(max=len(cumulative) - 1)


def load_faces(targets: TargetCache, device: torch.device) -> Tensor:
    """All faces of the targets in the memory of a device, float16 `[N, 192, 192, 4]`."""
    return torch.cat([torch.from_numpy(faces.copy()).to(device) for _, _, faces in targets.chunks()])


class FaceSampler:
    """Draws pixels of the student's part of all faces."""

    def __init__(self, targets: TargetCache, faces: Tensor, mask: Tensor) -> None:
        device, (rows, columns) = faces.device, _STUDENT
        self._faces = faces[:, rows, columns]
        change = _change([face.float() for face in self._faces[_spread(len(faces))]])
        mask = mask.to(device)
        density = torch.stack([torch.ones_like(change), change, mask[0]])
        self._poses = targets.poses[:, HEAD_FREE].to(device)
        self._mask = mask.flatten()[:, None]
        self._xy = rearrange(positions(FACE_SIZE, FACE_SIZE, device=device), "1 xy h w -> (h w) xy").contiguous()
        self.cumulative = _mixed(density, _FACE_SHARES).flatten().cumsum(0).cpu()

    def pixels(self, count: int, random: torch.Generator) -> FaceBatch:
        """`count` pixels, each of a pose of its own."""
        chance, which = draw(count, len(self._poses), random)
        return self.batch(which.to(self._xy.device), pick(self.cumulative, chance).to(self._xy.device))

    def patches(self, count: int, random: torch.Generator) -> FaceBatch:
        """All pixels of `count` faces."""
        which = torch.randint(len(self._poses), (count,), generator=random).to(self._xy.device)
        pixels = torch.arange(FACE_SIZE**2, device=self._xy.device)
        return self.batch(which.repeat_interleave(len(pixels)), pixels.repeat(count))

    def batch(self, which: Tensor, where: Tensor) -> FaceBatch:
        """These pixels `[P]` of these poses `[P]`, both on the faces' device."""
        pixels = self._faces[which, where // FACE_SIZE, where % FACE_SIZE].float()
        return FaceBatch(self._poses[which], self._xy[where], pixels, self._mask[where])


class BodySampler:
    """Draws crops of frames, which stay on disk."""

    def __init__(self, targets: TargetCache, faces: Tensor, image: Tensor) -> None:
        """`image` `[1, 4, 512, 512]` is the picture at rest."""
        self._targets, self._faces, self._device = targets, faces, faces.device
        self._poses = targets.poses.to(faces.device)
        self._rest = rearrange(image, "1 c h w -> h w c").to(self._device).contiguous()
        frames = [targets.frame(index) for index in _spread(len(targets.poses)).tolist()]
        ever = torch.stack([frame[..., 3] for frame in frames]).amax(0) > 2 * _VISIBLE - 1
        self._densities = torch.stack([ever.float(), _change(frames), torch.ones_like(frames[0][..., 0])])
        self._cumulative: dict[tuple[int, CropShares], Tensor] = {}

    def crops(self, count: int, side: int, size: int, shares: CropShares, random: torch.Generator) -> BodyBatch:
        """`count` crops of `side` pixels of the frames at `size` x `size`, each of a pose of its own."""
        chance, which = draw(count, len(self._targets.poses), random)
        rows, columns = crop_origins(pick(self.cumulative(size, shares), chance), side, size)
        frame, grid_change = self._read(which, rows, columns, side, size)
        which, rows, columns, frame, grid_change = (
            tensor.to(self._device) for tensor in (which, rows, columns, frame, grid_change)
        )
        return self.batch(which, rows, columns, frame, grid_change, size)

    def cumulative(self, size: int, shares: CropShares) -> Tensor:
        """The cumulative density of crops' centres over frames at `size` x `size`, `[size * size]`, on the CPU."""
        if (size, shares) not in self._cumulative:
            density = functional.avg_pool2d(_mixed(self._densities, shares)[None], SIZE // size)
            self._cumulative[size, shares] = density.flatten().cumsum(0)
        return self._cumulative[size, shares]

    @staticmethod
    def part(batch: BodyBatch, items: slice) -> BodyBatch:
        """Some crops of a batch."""
        poses, rows, columns, pictures, xy, target = batch
        images = BodyTerms(*(image[items] for image in target))
        pictures = pictures._replace(which=pictures.which[items])
        return BodyBatch(poses[items], rows[items], columns[items], pictures, xy[items], images)

    def batch(
        self, which: Tensor, rows: Tensor, columns: Tensor, frame: Tensor, grid_change: Tensor, size: int
    ) -> BodyBatch:
        """Crops of these poses, from these rows and columns on (`[K]`), of frames at `size` x `size`.

        `frame` `[K, side, side, 4]` and `grid_change` `[K, side, side, 2]` are what the teacher shows there. All are on
        the sampler's device.
        """
        xy = crop_positions(rows, columns, frame.shape[1], size)
        pictures = Pictures(self._rest, self._faces, which)
        target = BodyTerms(frame, pictures.warped(xy + grid_change), grid_change, frame)
        return BodyBatch(self._poses[which], rows, columns, pictures, xy, target)

    def _read(self, which: Tensor, rows: Tensor, columns: Tensor, side: int, size: int) -> tuple[Tensor, Tensor]:
        """Frames and grid changes of crops, from the disk."""
        scale = SIZE // size
        where = [
            (index, slice(row * scale, (row + side) * scale), slice(column * scale, (column + side) * scale))
            for index, row, column in zip(which.tolist(), rows.tolist(), columns.tolist(), strict=True)
        ]
        frames = torch.stack([self._targets.frame(*part) for part in where])
        grid_changes = torch.stack([self._targets.grid_change(*part) for part in where])
        return smaller(frames, scale), smaller(grid_changes, scale)


def crop_origins(centre: Tensor, side: int, size: int) -> tuple[Tensor, Tensor]:
    """The first rows and columns `[K]` of crops of `side` pixels around pixels `[K]` of a `size` x `size` grid."""
    rows, columns = (
        ((index - side // 2) // _ALIGNMENT * _ALIGNMENT).clamp(0, size - side)
        for index in (centre // size, centre % size)
    )
    return rows, columns


def _spread(count: int) -> Tensor:
    """Indices of up to `_SAMPLED_POSES` of `count` poses, evenly apart."""
    return torch.linspace(0, count - 1, min(count, _SAMPLED_POSES)).round().long()


def _change(images: list[Tensor]) -> Tensor:
    """How much images `[H, W, 4]` differ among each other at every pixel: their standard deviation `[H, W]`."""
    mean = torch.stack(images).mean(0)
    return torch.stack([(image - mean).square() for image in images]).mean(0).sqrt().mean(-1)


def _mixed(densities: Tensor, shares: tuple[float, ...]) -> Tensor:
    """Densities `[n, H, W]` mixed by their shares `[1, H, W]`; the share of one that is 0 everywhere goes to others."""
    totals = densities.flatten(1).sum(1)
    nonzero = [(d / total, share) for d, total, share in zip(densities, totals, shares, strict=True) if total > 0]
    mixed = sum((density * share for density, share in nonzero), torch.zeros_like(densities[0]))
    return (mixed / mixed.sum())[None]


def smaller(images: Tensor, scale: int) -> Tensor:
    """Means over squares of `scale` pixels of `[K, h, w, C]`."""
    if scale == 1:
        return images
    return functional.avg_pool2d(images.movedim(-1, 1), scale).movedim(1, -1)
