"""The demo's face: brows, eyes and mouth drawn on its skin for the first 39 numbers of a pose.

Everything that moves is the stretch between two curves, one row number for each column of texels; what a stretch
covers of a texel is its share of the texel's height, so lines thin out smoothly and move by fractions of a texel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .. import pose as poses
from ..picture.model_space import SIZE, srgb_to_linear
from . import shapes
from .layers import FINE, Layer

MIDDLE = SIZE / 2
EYE_ROWS, BROW_ROWS, MOUTH_ROWS = (126, 172), (108, 136), (166, 195)
EYE_REACH = (-18, 24)
"""Inner and outer end of an eye's columns, from its middle."""
MOUTH_COLUMNS = (-16, 16)
MOUTH_SAMPLES = 65
BROWS_CORNER = (-50, BROW_ROWS[0])
IRIS_TRAVEL = (5.0, 4.2)
"""How far the iris moves at a rotation of 1, in pixels: across, and up."""
LIGHT_FOLLOWS_LID = 0.45
"""How far the lights in the eye go down with a lid that closes."""


def colour(code: str) -> Tensor:
    """ "#rrggbb" in linear light, `[3]`."""
    return srgb_to_linear(torch.tensor([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]))


LASH, LASH_WARM, CREASE = colour("#3d2140"), colour("#8a3f48"), colour("#a8605c")
WHITE, WHITE_SHADE, EYE_SHADE = colour("#fffdfb"), colour("#d3cbe6"), colour("#7a5c8e")
LID_SHADE = colour("#f6c3b2")
BROW = colour("#223a70")
LIP_LINE, LIP_LINE_LOW = colour("#7d3440"), colour("#a1505a")
MOUTH_TOP, MOUTH_LOW, TONGUE, TEETH = colour("#86283a"), colour("#b8434f"), colour("#f58a8c"), colour("#fffaf6")
UNDER_LIP = colour("#edb09e")


def stretch(top: Tensor, bottom: Tensor, rows: Tensor, slope: Tensor | None = None) -> Tensor:
    """How much of each texel lies between two curves: `[..., C]` and `[..., C]` on rows `[R]` to `[..., R, C]`, 0..1.

    `slope` (rows a column) widens the average where a curve is steep, which keeps its edge smooth.
    """
    half = 0.5 / FINE * (1.0 if slope is None else slope.abs().clamp(min=1.0)[..., None, :])
    low = torch.minimum(bottom[..., None, :], rows[:, None] + half)
    high = torch.maximum(top[..., None, :], rows[:, None] - half)
    return ((low - high) / (2 * half)).clamp(0, 1)


def slope_of(curve: Tensor) -> Tensor:
    """Rows a column of curves `[..., C]` sampled at each texel."""
    return torch.gradient(curve, spacing=1 / FINE, dim=-1)[0]


def paint(canvas: Tensor, cover: Tensor, ink: Tensor) -> Tensor:
    """Ink (linear `[3]` or `[..., 3, R, C]`) over `canvas` `[..., 4, R, C]` where `cover` `[..., R, C]` says."""
    cover = cover[..., None, :, :]
    ink = ink[:, None, None] if ink.ndim == 1 else ink
    rgb = canvas[..., :3, :, :] * (1 - cover) + ink * cover
    return torch.cat([rgb, canvas[..., 3:, :, :] * (1 - cover) + cover], dim=-3)


def centres(first: int, last: int) -> Tensor:
    """The middles of the texels between two pixels."""
    return first + (torch.arange((last - first) * FINE) + 0.5) / FINE


class Expression(nn.Module):
    """Draws the face. Made from the layers `head`, `iris` and `glint`."""

    head: Tensor
    iris: Tensor
    glint: Tensor
    across: Tensor
    eye_rows: Tensor
    brow_rows: Tensor
    mouth_columns: Tensor
    mouth_rows: Tensor
    lids_rest: Tensor
    lids: Tensor
    lower_lash: Tensor
    brow: Tensor
    brows: Tensor
    mouths: Tensor
    mouth_sizes: Tensor
    lash_ink: Tensor

    def __init__(self, head: Layer, iris: Layer, glint: Layer) -> None:
        super().__init__()
        self.corner = (head.left - int(MIDDLE), head.top)
        self._constant("head", head.texture[None])
        self._constant("iris", _two_sides(iris))
        self._constant("glint", _two_sides(glint))
        self.iris_top, self.glint_top = (layer.top - shapes.IRIS_ROW for layer in (iris, glint))
        across, places = centres(*EYE_REACH), torch.linspace(-1, 1, MOUTH_SAMPLES)
        self._constant("across", across)
        self._constant("eye_rows", centres(*EYE_ROWS))
        self._constant("brow_rows", centres(*BROW_ROWS))
        self._constant("mouth_columns", centres(*MOUTH_COLUMNS))
        self._constant("mouth_rows", centres(*MOUTH_ROWS))
        self._constant("lids_rest", _lids(shapes.OPEN, across))
        self._constant("lids", torch.stack([_lids(lids, across) for lids in shapes.LIDS.values()]) - self.lids_rest)
        self._constant("lower_lash", shapes.sample(shapes.EYE_PLACES, shapes.LOWER_LASH, across))
        self._constant("brow", _brows((shapes.BROW, shapes.BROW_WIDTH), across))
        self._constant("brows", _brows(tuple(shapes.BROWS.values()), across))
        mouths = shapes.MOUTHS.values()
        self._constant("mouths", torch.stack([_mouth(mouth, places) for mouth in mouths]))
        self._constant("mouth_sizes", torch.tensor([[m.half_width, m.teeth, m.tongue] for m in mouths]))
        ends = 0.55 * ((across.abs() - 9) / 7).clamp(0, 1)
        self._constant("lash_ink", (LASH[:, None] * (1 - ends) + LASH_WARM[:, None] * ends)[:, None, :])

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def forward(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Poses `[N, 45]` to the head's texture with its face on, `[N, 4, h, w]`, and the brows' own layer.

        The brows' layer `[N, 4, 56, 200]` lies at `BROWS_CORNER`; it is for showing them through the hair.
        """
        head = self.head.expand(pose.shape[0], -1, -1, -1).clone()
        brows = head.new_zeros(pose.shape[0], 4, (BROW_ROWS[1] - BROW_ROWS[0]) * FINE, -4 * BROWS_CORNER[0])
        cover = self._brow_cover(pose)
        for canvas, corner in ((brows, BROWS_CORNER), (head, self.corner)):
            self._on_both_sides(canvas, corner, BROW_ROWS, lambda part: paint(part, cover, BROW.to(part)))
        self._on_both_sides(head, self.corner, EYE_ROWS, lambda part: self._paint_eyes(part, pose))
        rows, columns = _window(self.corner, MOUTH_ROWS, MOUTH_COLUMNS)
        head[..., rows, columns] = self._paint_mouth(head[..., rows, columns], pose)
        return head, brows

    def _on_both_sides(
        self, canvas: Tensor, corner: tuple[int, int], rows: tuple[int, int], draw: Callable[[Tensor], Tensor]
    ) -> None:
        """Draw `[N, 2, 4, R, C]` (the character's left, then its right, mirrored) into a canvas `[N, 4, h, w]`."""
        near, far = (shapes.EYE_MIDDLE + end for end in EYE_REACH)
        left = (..., *_window(corner, rows, (near, far)))
        right = (..., *_window(corner, rows, (-far, -near)))
        drawn = draw(torch.stack([canvas[left], canvas[right].flip(-1)], dim=1))
        canvas[left], canvas[right] = drawn[:, 0], drawn[:, 1].flip(-1)

    def _brow_cover(self, pose: Tensor) -> Tensor:
        weights = rearrange(pose[:, poses.EYEBROW], "n (kind side) -> n side kind", side=2)
        row = self.brow[0] + torch.einsum(
            "nsk,kc->nsc", weights / weights.sum(2, keepdim=True).clamp(min=1), self.brows
        )
        half = self.brow[1] / 2
        return stretch(row - half, row + half, self.brow_rows, slope_of(row))

    def _lid_curves(self, pose: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Upper lid, lash thickness, lower lid `[N, 2, C]`, and how far the eye is closed `[N, 2, 1]`."""
        wink, happy, wide, relaxed, flat, raised = (pose[:, 12 + 2 * k : 14 + 2 * k, None] for k in range(6))
        total = (wink + happy + relaxed + flat).clamp(min=1)
        wink, happy, relaxed, flat = (w / total for w in (wink, happy, relaxed, flat))
        closed = wink + happy
        wide = wide * (1 - closed - relaxed - flat)
        weights = torch.cat([wink, happy, wide, relaxed, flat, raised * (1 - closed)], dim=2)
        curves = self.lids_rest + torch.einsum("nsk,kqc->nsqc", weights, self.lids)
        upper, lash, lower = curves.unbind(2)
        return upper, lash, torch.maximum(lower, upper), closed

    def _paint_eyes(self, canvas: Tensor, pose: Tensor) -> Tensor:
        upper, lash, lower, closed = self._lid_curves(pose)
        rows, slope = self.eye_rows, slope_of(upper)
        canvas = self._paint_lid(canvas, upper, closed)
        opening = stretch(upper - 0.8 * (lower - upper).clamp(max=1), lower + 0.2 * (lower - upper).clamp(max=1), rows)
        canvas = self._paint_ball(canvas, opening, upper, pose)
        edge = lower + 0.15
        canvas = paint(
            canvas, stretch(edge, edge + self.lower_lash * (1 - closed), rows, slope_of(lower)), LASH_WARM.to(canvas)
        )
        return paint(canvas, stretch(upper - lash, upper, rows, slope), self.lash_ink)

    def _paint_lid(self, canvas: Tensor, upper: Tensor, closed: Tensor) -> Tensor:
        """The fold above the eye, and the shade of a lid that has come down."""
        rest, lash = self.lids_rest[0], self.lids_rest[1]
        fold = rest - lash - 2.7 + 0.3 * (upper - rest)
        width = 0.85 * torch.sin((self.across + 7).clamp(0, 20) / 20 * torch.pi)
        shade = (
            stretch(fold + 2, upper, self.eye_rows)
            * (closed * 0.35)[..., None]
            * ((13 - self.across.abs()) / 4).clamp(0, 1)
        )
        canvas = paint(canvas, shade, LID_SHADE.to(canvas))
        return paint(canvas, stretch(fold, fold + width, self.eye_rows, slope_of(fold)), CREASE.to(canvas))

    def _paint_ball(self, canvas: Tensor, opening: Tensor, upper: Tensor, pose: Tensor) -> Tensor:
        """White, iris, the shade that the lid throws on both, and the lights."""
        below = self.eye_rows[:, None] - upper[..., None, :]
        share = (below[..., None, :, :] / 8).clamp(0, 1)
        white = WHITE_SHADE.to(canvas)[:, None, None] * (1 - share) + WHITE.to(canvas)[:, None, None] * share
        canvas = paint(canvas, opening, white)
        small = pose[:, 24:26] * 0.66
        wide = pose[:, 16:18] * 0.1
        canvas = self._paste(canvas, self.iris, self.iris_top, pose, (1 - small) * (1 - wide), 1.0, opening)
        shade = (opening * (1 - (below - 1.2) / 3.6).clamp(0, 1) * 0.5)[..., None, :, :]
        rgb = canvas[..., :3, :, :] * (1 - shade * (1 - EYE_SHADE.to(canvas)[:, None, None]))
        canvas = torch.cat([rgb, canvas[..., 3:, :, :]], dim=-3)
        lowered = (upper - self.lids_rest[0]).mean(-1, keepdim=True).clamp(min=0)
        glint_top = self.glint_top + LIGHT_FOLLOWS_LID * lowered
        return self._paste(canvas, self.glint, glint_top, pose, (1 - small) ** 0.7, 0.6, opening)

    def _paste(
        self,
        canvas: Tensor,
        texture: Tensor,
        top: Tensor | float,
        pose: Tensor,
        size: Tensor,
        follow: float,
        opening: Tensor,
    ) -> Tensor:
        """A round texture on both eyes, moved by the iris rotation, seen through the opening."""
        side = torch.tensor([-1.0, 1.0], device=pose.device)
        x = self.across - (0.3 + IRIS_TRAVEL[0] * follow * pose[:, 38, None] * side)[..., None]
        y = self.eye_rows - (shapes.IRIS_ROW - IRIS_TRAVEL[1] * follow * pose[:, 37, None, None])
        x, y = x / size[..., None], (y / size[..., None])
        height, width = texture.shape[-2:]
        u = x * FINE / width * 2
        v = (y - top) * FINE / height * 2 - 1
        grid = torch.stack([u[..., None, :].expand(*opening.shape), v[..., :, None].expand(*opening.shape)], dim=-1)
        textures = texture.expand(pose.shape[0], -1, -1, -1, -1).flatten(0, 1)
        seen = functional.grid_sample(textures, grid.flatten(0, 1), align_corners=False).reshape(canvas.shape)
        seen = seen * opening[..., None, :, :]
        result: Tensor = seen + canvas * (1 - seen[..., 3:, :, :])
        return result

    def _paint_mouth(self, canvas: Tensor, pose: Tensor) -> Tensor:
        top, bottom, teeth, tongue, half_width, u = self._mouth_curves(pose)
        rows, inside = self.mouth_rows, (u.abs() < 1).float()
        lean = slope_of(torch.where(u.abs() < 1, bottom, bottom.detach()))
        opening = stretch(top, bottom, rows, lean) * inside[:, None]
        depth = ((rows[:, None] - top[:, None]) / 9).clamp(0, 1)[:, None]
        flesh = MOUTH_TOP.to(canvas)[:, None, None] * (1 - depth) + MOUTH_LOW.to(canvas)[:, None, None] * depth
        canvas = paint(canvas, opening, flesh)
        tongue_top = bottom - tongue * (1 - (u / 0.85) ** 2).clamp(min=0)
        canvas = paint(
            canvas, stretch(torch.maximum(tongue_top, top), bottom, rows, lean) * inside[:, None], TONGUE.to(canvas)
        )
        canvas = paint(
            canvas, stretch(top, torch.minimum(top + teeth, bottom), rows) * inside[:, None], TEETH.to(canvas)
        )
        thin = (1 - u.abs().clamp(max=1) ** 5).sqrt() * inside
        canvas = paint(canvas, stretch(bottom - 0.4 * thin, bottom + 0.5 * thin, rows, lean), LIP_LINE_LOW.to(canvas))
        canvas = paint(canvas, stretch(top - 0.65 * thin, top + 0.65 * thin, rows, slope_of(top)), LIP_LINE.to(canvas))
        x = u * half_width
        under = 0.9 * (1 - (x / 3.2) ** 2).clamp(min=0)
        middle = bottom.gather(1, u.abs().argmin(1, keepdim=True)) + 3.2
        return paint(canvas, stretch(middle, middle + under, rows), UNDER_LIP.to(canvas))

    def _mouth_curves(self, pose: Tensor) -> tuple[Tensor, ...]:
        """Top and bottom edge, teeth, tongue `[N, C or 1]`, half width `[N, 1]` and place u `[N, C]` of each column."""
        vowels = pose[:, 26:32]
        vowels = vowels / vowels.sum(1, keepdim=True).clamp(min=1)
        weights = torch.cat([1 - vowels.sum(1, keepdim=True), vowels], dim=1)
        half_width, teeth, tongue = (weights @ self.mouth_sizes).chunk(3, dim=1)
        low_left, low_right, up_left, up_right, smirk = (pose[:, k, None] for k in range(32, 37))
        half_width = half_width + 0.5 * (up_left + up_right)
        u = (self.mouth_columns - 1.4 * smirk) / half_width
        place = (u.clamp(-1, 1) + 1) * ((MOUTH_SAMPLES - 1) / 2)
        first = place.long().clamp(max=MOUTH_SAMPLES - 2)
        curves = torch.einsum("nk,kqp->nqp", weights, self.mouths)
        index = first[:, None].expand(-1, 2, -1)
        share = (place - first)[:, None]
        top, bottom = (curves.gather(2, index) * (1 - share) + curves.gather(2, index + 1) * share).unbind(1)
        left, right = u.clamp(0, 1) ** 2, (-u).clamp(0, 1) ** 2
        bend = left * (3.6 * (low_left - up_left) - 3.8 * smirk) + right * (3.6 * (low_right - up_right) + 0.8 * smirk)
        return top + bend, bottom + bend, teeth, tongue, half_width, u


def _lids(lids: shapes.Lids, across: Tensor) -> Tensor:
    return torch.stack([shapes.sample(shapes.EYE_PLACES, c, across) for c in (lids.upper, lids.lash, lids.lower)])


def _brows(curves: tuple[shapes.Curve, ...], across: Tensor) -> Tensor:
    return torch.stack([shapes.sample(shapes.BROW_PLACES, curve, across) for curve in curves])


def _mouth(mouth: shapes.Mouth, places: Tensor) -> Tensor:
    return torch.stack([shapes.sample(shapes.MOUTH_PLACES, curve, places.abs()) for curve in (mouth.top, mouth.bottom)])


def _two_sides(layer: Layer) -> Tensor:
    """The texture as each eye's local columns see it, `[1, 2, 4, h, w]`, padded to have the middle in its middle."""
    reach = max(MIDDLE - layer.left, layer.right - MIDDLE)
    sides = [int((reach - MIDDLE + layer.left) * FINE), int((reach + MIDDLE - layer.right) * FINE)]
    texture = functional.pad(layer.texture, sides)
    return torch.stack([texture, texture.flip(-1)])[None]


def _window(corner: tuple[float, float], rows: tuple[int, int], columns: tuple[float, float]) -> tuple[slice, slice]:
    """The texels of a rectangle (columns from the character's middle) in a texture whose corner is so placed."""
    left, top = corner
    return (
        slice(int((rows[0] - top) * FINE), int((rows[1] - top) * FINE)),
        slice(int((columns[0] - left) * FINE), int((columns[1] - left) * FINE)),
    )
