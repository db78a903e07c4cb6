"""Draws every layer of the demo's character again, from this folder's source to `../layers`:

    pip install skia-python
    python -m tha4_core.demo.art.draw

Only who changes the drawing needs it. The same source, Skia (144.1 made these) and Pillow give the same files, byte
for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from . import body, eyes, face, hair
from .pen import KEPT, Array, Pen

LAYERS: dict[str, Callable[[Pen], None]] = {
    "back_hair": hair.back_hair,
    "neck": face.neck,
    "body": body.body,
    "ears": face.ears,
    "head": face.head,
    "side_hair": hair.side_hair,
    "front_hair": hair.front_hair,
    "iris": eyes.iris,
    "glint": eyes.glint,
}
FOLDER = Path(__file__).parent.parent / "layers"
MARGIN = 2
"""Transparent pixels kept around a layer."""


def main() -> None:
    """Draw all layers and write them and their places to `tha4_core/demo/layers`."""
    FOLDER.mkdir(exist_ok=True)
    corners = {}
    for name, draw in LAYERS.items():
        pen = Pen()
        draw(pen)
        pixels, corners[name] = crop(pen.pixels())
        Image.fromarray(pixels).save(FOLDER / f"{name}.webp", lossless=True, quality=100, method=6, exact=True)
    (FOLDER / "layers.json").write_text(json.dumps(corners, indent=1) + "\n", encoding="utf-8")


def crop(pixels: Array) -> tuple[Array, tuple[int, int]]:
    """The painted part with a margin, cut at whole pixels, and its left and top in pixels."""
    rows, columns = np.flatnonzero(pixels[..., 3].any(1)), np.flatnonzero(pixels[..., 3].any(0))
    top, left = (max(int(v[0]) // KEPT - MARGIN, 0) for v in (rows, columns))
    bottom, right = (int(v[-1]) // KEPT + 1 + MARGIN for v in (rows, columns))
    return pixels[top * KEPT : bottom * KEPT, left * KEPT : right * KEPT].copy(), (left, top)


if __name__ == "__main__":
    main()
