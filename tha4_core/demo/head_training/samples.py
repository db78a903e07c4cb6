"""Patches of made-up characters with the scores that the network should give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ...picture.head_finder import HEAD, REACH, STRIDE, network_input
from .figures import Figure
from .pen import Random, colour_matrix

SIDE = 2 * REACH + 16 * STRIDE
"""Height and width of a patch."""
Place = NDArray[np.float64]
"""Where the head's centre is, in pixels from the patch's middle: x, y."""
CELLS = (SIDE - 2 * REACH - 1) // STRIDE + 1
_RIGHT_SIZE = (
    0.14  # log of the factor that a head may be larger or smaller than it should, where it is meant to be right
)


@dataclass(frozen=True)
class Sheet:
    """A figure's picture in four resolutions, colour multiplied by alpha, `[4, H, W]` uint8, and its head."""

    levels: tuple[Tensor, ...]
    x: float
    y: float
    size: float
    face: bool

    @classmethod
    def of(cls, figure: Figure) -> Sheet:
        """The sheet of a figure."""
        pictures = [figure.picture if n == 1 else figure.picture.reduce(n) for n in (1, 2, 3, 4)]
        levels = tuple(torch.from_numpy(np.array(p.convert("RGBa"))).permute(2, 0, 1) for p in pictures)
        return cls(levels, figure.x, figure.y, figure.size, figure.face)


def draw_batch(sheets: list[Sheet], count: int, random: Random) -> tuple[Tensor, Tensor, Tensor]:
    """Patches `[N, 4, SIDE, SIDE]` as the network sees them, their scores `[N, 1, CELLS, CELLS]` and weights."""
    drawn = [_patch(sheets[random.integers(len(sheets))], random) for _ in range(count)]
    patches, scores, weights = (torch.stack(parts) for parts in zip(*drawn, strict=True))
    patches = _before_others(patches, random)
    return network_input(_recoloured(patches, random)), scores[:, None], weights[:, None]


def _before_others(patches: Tensor, random: Random) -> Tensor:
    """Some patches with another one, turned aside, behind the figure; some with an opaque background."""
    behind = patches.roll(1, 0).rot90(int(random.integers(1, 4)), (2, 3))
    plain = torch.from_numpy(random.random((len(patches), 4, 1, 1))).float()
    plain[:, 3] = 1
    chance = torch.from_numpy(random.random(len(patches)))[:, None, None, None]
    behind = torch.where(chance < 0.12, behind, plain * (chance < 0.18))
    return patches + behind * (1 - patches[:, 3:])


def _patch(sheet: Sheet, random: Random) -> tuple[Tensor, Tensor, Tensor]:
    """A patch on or off the head, turned, warped and cut; its scores and their weights."""
    right = random.random() < 0.6
    log_ratio = random.uniform(-1, 1) * (_RIGHT_SIZE if right else 1.6)
    scale = HEAD * np.exp(log_ratio) / sheet.size
    angle = random.normal(0, 0.1)
    reach = 0.5 * SIDE - REACH
    place = random.uniform(-reach, reach, 2)
    if random.random() < 0.35:
        place = place + scale * _away_from_head(sheet, random)
    upside_down = random.random() < 0.08
    turn = angle + (random.choice([0.5, 1, 1.5]) * np.pi if upside_down else 0.0)
    flip = random.choice([-1.0, 1.0])
    patch = _cut(_sampled(sheet, scale, place, turn, flip, random), place, scale * sheet.size, random)
    strength = np.exp(-((log_ratio / 0.16) ** 2) / 2) if abs(log_ratio) <= 0.3 else 0.0
    scores = _scores(place) * strength
    if sheet.face and not upside_down:
        return patch, scores, (1.0 if right else 1.5) * (1 + 20 * scores)
    return patch, torch.zeros_like(scores), 1 + 6 * scores


def _away_from_head(sheet: Sheet, random: Random) -> Place:
    """From some visible point of the figure (nowhere, where nothing is visible) to its head."""
    rows, columns = sheet.levels[-1][3].nonzero(as_tuple=True)
    if not len(rows):
        return np.zeros(2)
    chosen = int(random.integers(len(rows)))
    reduced = len(sheet.levels)
    return np.array([sheet.x - reduced * float(columns[chosen]), sheet.y - reduced * float(rows[chosen])])


def _scores(place: Place) -> Tensor:
    """How near each cell is to the head at `place` from the middle of the patch, 1 at its centre: `[CELLS, CELLS]`."""
    cells = torch.arange(CELLS) * STRIDE + 0.5 + REACH - SIDE / 2
    x, y = ((cells - float(p)) ** 2 for p in place)
    return torch.exp(-(x[None] + y[:, None]) / (2 * 3.0**2))


def _sampled(sheet: Sheet, scale: float, place: Place, turn: float, flip: float, random: Random) -> Tensor:
    """The figure with its head at `place` from the patch's middle, turned and elastically warped, `[4, SIDE, SIDE]`."""
    ticks = torch.arange(SIDE) + 0.5 - SIDE / 2
    points = torch.stack([ticks.expand(SIDE, SIDE), ticks[:, None].expand(SIDE, SIDE)], -1)
    coarse = torch.from_numpy(random.normal(0, random.uniform(0, 1.2), (1, 2, 8, 8))).float()
    warp = functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=False)[0].permute(1, 2, 0)
    aspect = np.exp(random.uniform(-0.06, 0.06))
    cos, sin = np.cos(turn), np.sin(turn)
    back = torch.tensor([[cos * flip * aspect, sin / aspect], [-sin * flip * aspect, cos / aspect]]) / scale
    source = (points - torch.from_numpy(place) + warp).float() @ back.T.float()
    source = source + torch.tensor([sheet.x, sheet.y])
    level = sheet.levels[int(np.clip(1 / scale, 1, len(sheet.levels))) - 1]
    width = sheet.levels[0].shape[-1]
    grid = (source * (2 / width) - 1)[None].float()
    return functional.grid_sample(level[None].float() / 255, grid, align_corners=False)[0]


def _cut(patch: Tensor, place: Place, size: float, random: Random) -> Tensor:
    """Sometimes the canvas ends: nothing is left beyond a line below or beside the head."""
    if random.random() < 0.25:
        row = int(SIDE / 2 + place[1] + size * random.uniform(0.5, 1.2))
        patch[:, max(row, 0) :] = 0
    if random.random() < 0.1:
        column = int(SIDE / 2 + place[0] + size * random.uniform(0.4, 0.7))
        patch[..., max(column, 0) :] = 0
    if random.random() < 0.08:
        row = int(SIDE / 2 + place[1] - size * random.uniform(0.4, 0.6))
        patch[:, : max(row, 0)] = 0
    return patch


def _recoloured(patches: Tensor, random: Random) -> Tensor:
    """Hue, saturation, tint and gamma of each patch changed a little; some blurred, all a little noisy."""
    matrices = torch.stack([colour_matrix(random, 0.25) for _ in patches])
    rgb, alpha = patches[:, :3], patches[:, 3:]
    straight = torch.einsum("nij,njhw->nihw", matrices, rgb / alpha.clamp(min=1e-3)).clamp(1e-4, 1)
    gamma = torch.from_numpy(np.exp(random.uniform(-0.5, 0.5, len(patches)))).float()[:, None, None, None]
    noise = torch.from_numpy(random.normal(0, 1, rgb.shape).astype(np.float32)) * random.uniform(0, 0.04)
    changed = torch.cat([(straight**gamma + noise).clamp(0, 1) * alpha, alpha], 1)
    blurred = functional.avg_pool2d(changed, 3, stride=1, padding=1)
    chosen = torch.from_numpy(random.random(len(patches)) < 0.2)[:, None, None, None]
    return torch.where(chosen, blurred, changed)
