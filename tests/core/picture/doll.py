"""A drawn figure for the tests of pictures."""

from __future__ import annotations

from PIL import Image, ImageDraw


def figure(size: tuple[int, int] = (512, 512), scale: float = 1.0, x: float = 0, y: float = 0) -> Image.Image:
    """A plain doll that obeys the specification at scale 1: head in the box, face, neck, shoulders, a tuft of hair."""
    picture = Image.new("RGBA", size)
    draw = ImageDraw.Draw(picture)

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
        return (left * scale + x, top * scale + y, right * scale + x, bottom * scale + y)

    draw.rectangle(box(226, 150, 286, 240), fill=(250, 210, 190, 255))
    draw.rounded_rectangle(box(150, 220, 362, 620), 40 * scale, fill=(60, 90, 160, 255))
    draw.ellipse(box(196, 66, 316, 190), fill=(250, 215, 195, 255))
    draw.chord(box(192, 64, 320, 196), 180, 360, fill=(230, 120, 90, 255))
    for left in (220, 268):
        draw.ellipse(box(left, 132, left + 24, 164), fill=(60, 40, 110, 255))
    draw.ellipse(box(246, 174, 266, 180), fill=(190, 60, 70, 255))
    draw.line((*box(256, 70, 262, 30),), fill=(230, 120, 90, 255), width=max(1, round(4 * scale)))
    return picture
