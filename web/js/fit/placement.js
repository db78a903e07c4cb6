// Where a picture lies in the frame of 512 pixels.

export const SIZE = 512;
export const CENTRE = [256, 128]; // of the head's box

/** A placement `{scale, x, y}` scaled about the head's box, then moved. */
export const adjusted = (start, { scale, x, y }) => ({
  scale: start.scale * scale,
  x: (start.x - CENTRE[0]) * scale + CENTRE[0] + x,
  y: (start.y - CENTRE[1]) * scale + CENTRE[1] + y,
});

/** Draw a picture of so many pixels (width, height) where it lies. */
export function drawPlaced(context, bitmap, size, at) {
  context.drawImage(bitmap, at.x, at.y, size[0] * at.scale, size[1] * at.scale);
}
