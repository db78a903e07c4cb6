"""The demo's character and its rig: a teacher without networks, which moves the layers of a drawing.

It needs no weights and gives what the networks give, under the same names (spec section 4.3), so that it can be
rendered, distilled and tested against like them.
"""

from __future__ import annotations

from functools import cache

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from ..errors import THA4Error
from ..picture import model_space as images
from ..picture.character import Character
from ..picture.warping import warp
from ..pose import COUNT, check_poses
from ..teacher import Targets
from . import expression, motion, shapes
from .layers import FINE, Layer, load_layers

REACH = {"back_hair": 56, "neck": 32, "body": 24, "ears": 56, "head": 56, "side_hair": 56, "front_hair": 64}
"""Pixels that a layer's rectangle is grown by to hold it in every pose."""
BROWS_THROUGH_HAIR = 0.7
"""How opaque the brows are where hair lies before them."""
Rectangle = tuple[tuple[int, int], tuple[int, int]]
"""First row and the row after the last; first column and the column after the last."""
FACE_ROWS, FACE_COLUMNS = slice(32, 224), slice(160, 352)
STUDENT_ROWS, STUDENT_COLUMNS = slice(80, 208), slice(192, 320)


class DemoRig(nn.Module):
    """The demo's teacher: renders `demo_character()` in any pose, on the device it is moved to."""

    picture: Tensor
    image: Tensor
    under: Tensor
    over: Tensor

    def __init__(self, layers: dict[str, Layer] | None = None) -> None:
        super().__init__()
        layers = layers or load_layers()
        self.face = expression.Expression(layers["head"], layers["iris"], layers["glint"])
        self.movement = motion.Movement()
        self.places = {name: (layers[name].left, layers[name].top) for name in motion.LAYERS}
        self.places["brows"] = (expression.BROWS_CORNER[0] + images.SIZE // 2, expression.BROWS_CORNER[1])
        self.rectangles = {name: rectangle(layers[name], REACH[name]) for name in motion.LAYERS}
        self.rectangles["brows"] = self.rectangles["head"]
        self.face_rectangle = rectangle(layers["head"], 0)
        for name in motion.LAYERS:
            self._constant(f"layer_{name}", filtered(layers[name].texture[None]))
        under, over = self._draw_around_face()
        self._constant("under", under)
        self._constant("over", over)
        self._constant("picture", self._draw_picture())
        self._constant("image", images.to_model(self.picture.float() / 255)[None])

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def render(self, character: Character, poses: Tensor) -> Tensor:
        """Frames for poses `[N, 45]`: model space, float32 `[N, 4, 512, 512]`.

        Raises THA4Error for another character than the demo's, PoseError for poses that are none.
        """
        poses = self._accept(character, poses)
        return self._merge(poses, *self.face(poses))[0]

    def outputs(self, character: Character, poses: Tensor) -> dict[str, Tensor]:
        """What distillation needs of a teacher, for poses `[N, 45]`, under the names of spec section 4.3.

        `upscaler.merged` (the frame), `upscaler.warped`, `upscaler.grid_change` (exact where the rest picture shows
        the surface that the frame shows), `face_morphed_full` and its part `face_morpher.output`. Raises as `render`.
        """
        poses = self._accept(character, poses)
        head, brows = self.face(poses)
        full = self._morph_face(head, brows)
        merged, grid_change = self._merge(poses, head, brows)
        return {
            "upscaler.merged": merged,
            "upscaler.warped": warp(grid_change, full),
            "upscaler.grid_change": grid_change,
            "face_morphed_full": full,
            "face_morpher.output": full[..., FACE_ROWS, FACE_COLUMNS],
        }

    def targets(self, character: Character, poses: Tensor) -> Targets:
        """What a student learns from, as `Teacher.targets`, for poses `[N, 45]`. Raises as `render`."""
        images_of = self.outputs(character, poses)
        return Targets(
            frame=images_of["upscaler.merged"],
            warped=images_of["upscaler.warped"],
            grid_change=images_of["upscaler.grid_change"],
            face_morphed_full=images_of["face_morphed_full"],
            face=images_of["face_morpher.output"],
        )

    def face_mask(self, character: Character) -> Tensor:
        """Brows, eyes and mouth in the student's face patch (rows 80..207, columns 192..319): `[1, 128, 128]`, 0..1."""
        self._check(character)
        rows = torch.arange(STUDENT_ROWS.start, STUDENT_ROWS.stop, device=self.picture.device)[:, None] + 0.5
        columns = torch.arange(STUDENT_COLUMNS.start, STUDENT_COLUMNS.stop, device=self.picture.device) + 0.5
        aside = (columns - images.SIZE / 2).abs() - shapes.EYE_MIDDLE
        eye = _ellipse(aside - 2, rows - shapes.IRIS_ROW, 24, 19)
        brow = _ellipse(aside, rows - 123, 24, 18)
        mouth = _ellipse(columns - images.SIZE / 2, rows - 179, 17, 14)
        return torch.maximum(torch.maximum(eye, brow), mouth)[None]

    def _accept(self, character: Character, poses: Tensor) -> Tensor:
        self._check(character)
        return check_poses(poses).to(self.picture.device)

    def _check(self, character: Character) -> None:
        if not torch.equal(character.picture, self.picture.to(character.picture.device)):
            raise THA4Error(
                f'The demo rig can only move its own character; "{character.name}" is another. '
                "Load the character named demo, or use a teacher with weights."
            )

    def _draw_picture(self) -> Tensor:
        rest = torch.zeros(1, COUNT)
        merged = self._merge(rest, *self.face(rest))[0]
        return (images.to_srgb(merged)[0] * 255).round().to(torch.uint8)

    def _draw_around_face(self) -> tuple[Tensor, Tensor]:
        """What lies behind the resting head, `[1, 4, h, w]`, and the layers before it, `[2, 4, h, w]`."""
        rows, columns = self.face_rectangle
        still = torch.zeros(1, 2, rows[1] - rows[0], columns[1] - columns[0])
        seen = {n: self._look_up(n, getattr(self, f"layer_{n}"), self.face_rectangle, still) for n in motion.LAYERS}
        behind, before = motion.LAYERS[:4], motion.LAYERS[5:]
        canvas = torch.zeros_like(seen["head"])
        for name in behind:
            _over(canvas, seen[name])
        return canvas, torch.cat([seen[name] for name in before])

    def _morph_face(self, head: Tensor, brows: Tensor) -> Tensor:
        """The picture with the posed face, the head as it was: step 4 of the system, model space."""
        rows, columns = self.face_rectangle
        still = head.new_zeros(head.shape[0], 2, rows[1] - rows[0], columns[1] - columns[0])
        canvas = self.under.repeat(head.shape[0], 1, 1, 1)
        _over(canvas, self._look_up("head", filtered(head), self.face_rectangle, still))
        for layer in self.over:
            _over(canvas, layer[None])
        _over(canvas, self._look_up("brows", filtered(brows * BROWS_THROUGH_HAIR), self.face_rectangle, still))
        return images.paste(model_space(canvas), self.image, slice(*rows), slice(*columns))

    def _merge(self, poses: Tensor, head: Tensor, brows: Tensor) -> tuple[Tensor, Tensor]:
        """The frame in model space and its grid change."""
        fields = self.movement(poses)
        canvas = head.new_zeros(poses.shape[0], 4, images.SIZE, images.SIZE)
        grid_change = motion.spread(_behind(fields), (0, images.SIZE), (0, images.SIZE)).contiguous()
        for name, texture, field in self._drawn_layers(fields, head, brows):
            rows, columns = self.rectangles[name]
            moved = motion.spread(field, rows, columns)
            seen = self._look_up(name, texture, (rows, columns), moved)
            _over(canvas[..., slice(*rows), slice(*columns)], seen)
            if name != "brows":
                part = grid_change[..., slice(*rows), slice(*columns)]
                part.addcmul_(moved - part, seen[:, 3:])
        return model_space(canvas), grid_change.mul_(2 / images.SIZE)

    def _drawn_layers(self, fields: Tensor, head: Tensor, brows: Tensor) -> list[tuple[str, Tensor, Tensor]]:
        """Name, texture and field of everything that is drawn, back to front."""
        textures = {name: getattr(self, f"layer_{name}") for name in motion.LAYERS}
        textures["head"] = filtered(head)
        layers = [(name, textures[name], fields[:, i]) for i, name in enumerate(motion.LAYERS)]
        return [*layers, ("brows", filtered(brows * BROWS_THROUGH_HAIR), fields[:, motion.LAYERS.index("head")])]

    def _look_up(self, name: str, texture: Tensor, place: Rectangle, moved: Tensor) -> Tensor:
        """A layer as it shows in a rectangle of the frame, `[N, 4, h, w]`, by displacements `[N, 2, h, w]`."""
        (rows, columns), (left, top) = place, self.places[name]
        y = torch.arange(*rows, device=moved.device) + (0.5 - top)
        x = torch.arange(*columns, device=moved.device) + (0.5 - left)
        still = torch.stack([x.expand(len(y), len(x)), y[:, None].expand(len(y), len(x))], dim=-1)
        # The filtered texture has its samples at the corners between texels, one fewer each way.
        height, width = texture.shape[-2:]
        scale = torch.tensor([2 * FINE / width, 2 * FINE / height], device=moved.device)
        shift = torch.tensor([1 / width + 1, 1 / height + 1], device=moved.device)
        grid = torch.addcmul(still * scale - shift, rearrange(moved, "n xy h w -> n h w xy"), scale)
        return functional.grid_sample(texture.expand(moved.shape[0], -1, -1, -1), grid, align_corners=False)


@cache
def demo_character() -> Character:
    """The demo's character at rest, drawn from its layers."""
    return Character(DemoRig().picture, "demo")


def filtered(texture: Tensor) -> Tensor:
    """Means of 2 x 2 texels: looked up bilinearly, they give the mean over a pixel wherever it lies."""
    return functional.avg_pool2d(texture, FINE, stride=1)


def model_space(canvas: Tensor) -> Tensor:
    """Linear light, colour multiplied by alpha, 0..1, turned to model space; what rounds to alpha 0 is background."""
    return canvas.mul_(2 * (canvas[:, 3:] >= 0.5 / 255)).sub_(1)


def rectangle(layer: Layer, reach: int) -> Rectangle:
    """Rows and columns, multiples of `motion.CELL`, that hold a layer moved by up to `reach` pixels."""

    def widen(first: int, last: int) -> tuple[int, int]:
        low, high = (first - reach) // motion.CELL, -(-(last + reach) // motion.CELL)
        return max(low, 0) * motion.CELL, min(high * motion.CELL, images.SIZE)

    return widen(layer.top, layer.bottom), widen(layer.left, layer.right)


def _over(canvas: Tensor, seen: Tensor) -> None:
    """Put what is seen over a canvas, in place."""
    canvas.mul_(1 - seen[:, 3:]).add_(seen)


def _behind(fields: Tensor) -> Tensor:
    """Where the empty background is looked up: with the head above, with the body below, smoothly between."""
    row = (torch.arange(motion.NODES, device=fields.device) - 0.5)[:, None] * motion.CELL
    share = ((row - 150) / 120).clamp(0, 1)
    head, body = (fields[:, motion.LAYERS.index(name)] for name in ("front_hair", "body"))
    return head * (1 - share) + body * share


def _ellipse(x: Tensor, y: Tensor, wide: float, high: float) -> Tensor:
    """1 inside an ellipse, 0 outside, over a soft edge of about 4 pixels."""
    return ((1 - ((x / wide) ** 2 + (y / high) ** 2).sqrt()) * min(wide, high) / 4 + 0.5).clamp(0, 1)
