"""The demo's character in all her poses, for a person to look at.

    python3 dev.py bench contact_sheet

writes three sheets to output/demo: every parameter at its extremes (both sides of the two-sided ones), the head at nine
directions and the body at its extremes, and twenty random plausible poses.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from tha4_core.demo import DemoRig, demo_character
from tha4_core.picture import model_space as images
from tha4_core.pose import PARAMETERS, make_pose

FOLDER = Path(__file__).parents[2] / "output" / "demo"
PAPER = torch.full((1, images.SIZE, images.SIZE, 3), 0.93)
FACE = (slice(84, 214), slice(182, 330))
BUST = (slice(20, 330), slice(96, 416))
WHOLE = (slice(0, 512), slice(56, 456))

Cell = tuple[str, dict[str, float]]


def parameters() -> tuple[list[Cell], list[Cell]]:
    """Cells for the face's parameters and for the others."""
    face: list[Cell] = [("rest", {})]
    other: list[Cell] = [("rest", {})]
    names = {p.name for p in PARAMETERS}
    for p in PARAMETERS:
        cells = face if p.index < 39 else other
        cells += [(f"{p.name} {v:+.0f}", {p.name: v}) for v in (p.minimum, p.maximum) if v]
        stem = p.name.removesuffix("_right")
        if p.name.endswith("_right") and f"{stem}_left" in names:
            face.append((f"{stem} 0.5", {stem: 0.5}))
            face.append((f"{stem} both", {stem: 1.0}))
    return face, other


def directions() -> list[Cell]:
    """The head at nine directions."""
    return [(f"x {x:+d}  y {y:+d}", {"head_x": x, "head_y": y}) for x in (1, 0, -1) for y in (1, 0, -1)]


def random_pose(generator: torch.Generator) -> dict[str, float]:
    """A pose that a face could take: one mood for brows and eyes, one or two vowels, any direction."""

    def draw(low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    def pick(choices: Sequence[str]) -> str:
        return choices[int(draw(0, len(choices) - 1e-6))]

    pose = {name: draw(-1, 1) for name in ("head_x", "head_y", "neck_z", "body_y", "body_z")}
    pose |= {"iris_rotation_x": draw(-0.7, 0.7), "iris_rotation_y": draw(-0.8, 0.8), "breathing": draw()}
    brows = [p.name.removesuffix("_left") for p in PARAMETERS if p.group == "eyebrow" and p.name.endswith("_left")]
    pose[pick(brows)] = draw()
    eyes = ("eye_wink_left", "eye_happy_wink", "eye_relaxed", "eye_unimpressed", "eye_raised_lower_eyelid")
    pose |= {pick((*eyes, "eye_surprised", "iris_small")): draw(0, 0.8)}
    vowel = pick(("mouth_aaa", "mouth_iii", "mouth_uuu", "mouth_eee", "mouth_ooo", "mouth_delta", "mouth_smirk"))
    return pose | {vowel: draw(), pick(("mouth_raised_corner", "mouth_lowered_corner")): draw(0, 0.8)}


def sheet(cells: list[Cell], window: tuple[slice, slice], scale: int, columns: int) -> Image.Image:
    """One picture of all cells with their names."""
    rig, character = DemoRig(), demo_character()
    tiles = []
    for name, values in cells:
        frame = images.over_background(rig.render(character, make_pose(values)), PAPER)[0][window]
        tiles.append(labelled(enlarge(frame, scale), name))
    width, height = tiles[0].size
    result = Image.new("RGB", (width * columns, height * -(-len(tiles) // columns)), "white")
    for i, tile in enumerate(tiles):
        result.paste(tile, (i % columns * width, i // columns * height))
    return result


def enlarge(frame: Tensor, scale: int) -> Image.Image:
    """sRGB `[H, W, 3]` as a picture `scale` times as large."""
    large = functional.interpolate(frame.movedim(-1, 0)[None], scale_factor=scale, mode="bicubic").clamp(0, 1)
    return Image.fromarray((large[0].movedim(0, -1) * 255).round().to(torch.uint8).numpy())


def labelled(tile: Image.Image, name: str) -> Image.Image:
    """The tile with its name in the corner."""
    ImageDraw.Draw(tile).text((4, 2), name, fill=(60, 60, 60))
    return tile


def main() -> None:
    """Write the sheets."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    face, other = parameters()
    generator = torch.Generator().manual_seed(4)
    plausible = [(str(i), random_pose(generator)) for i in range(20)]
    sheet(face, FACE, 2, 8).save(FOLDER / "face.png")
    sheet(directions(), BUST, 1, 3).save(FOLDER / "head.png")
    sheet(other, WHOLE, 1, 4).save(FOLDER / "body.png")
    sheet(plausible, BUST, 1, 5).save(FOLDER / "random.png")
    print(FOLDER)


if __name__ == "__main__":
    main()
