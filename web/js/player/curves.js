// The curves of a motion, a band for each part of the character that moves, drawn on a canvas.

const HUES = { brows: 30, eyes: 209, mouth: 349, gaze: 173, head: 119, body: 281 };
const GAP = 3;

/** The bands of a motion: for each moving part its name, lowest value, and curves. `parameters` are the library's. */
export function bands(motion, parameters) {
  const found = new Map();
  for (const { name, group, minimum } of parameters) {
    const curve = motion.curves[name];
    if (!curve) continue;
    const band = found.get(group) ?? { group, lowest: 0, curves: [] };
    band.lowest = Math.min(band.lowest, minimum);
    band.curves.push({ name, curve });
    found.set(group, band);
  }
  return [...found.values()];
}

/** Draw the bands into a canvas that is as large as it is shown, with a line at `frame`. */
export function drawCurves(canvas, motion, shown, frame) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  const each = (height - GAP * (shown.length - 1)) / Math.max(1, shown.length);
  shown.forEach((band, row) => drawBand(context, band, motion, { top: row * (each + GAP), height: each, width }, style));
  const x = (frame / Math.max(1, motion.frames - 1)) * (width - 1);
  context.fillStyle = style.color;
  context.fillRect(x, 0, 1.5, height);
}

function drawBand(context, band, motion, box, style) {
  context.fillStyle = style.getPropertyValue("--tha4-band");
  context.fillRect(0, box.top, box.width, box.height);
  const low = band.lowest * 1000;
  const y = (value) => box.top + box.height - 2 - ((value - low) / (1000 - low)) * (box.height - 4);
  context.fillStyle = style.getPropertyValue("--tha4-zero");
  context.fillRect(0, y(0), box.width, 1);
  band.curves.forEach(({ curve }, index) => {
    context.strokeStyle = `hsl(${HUES[band.group] + (index - (band.curves.length - 1) / 2) * 9} 75% 55%)`;
    context.lineWidth = 1.3;
    context.beginPath();
    for (const [x, value] of points(curve, motion.frames, box.width)) context.lineTo(x, y(value));
    context.stroke();
  });
  context.font = "10px system-ui, sans-serif";
  context.fillStyle = `hsl(${HUES[band.group]} 70% 55%)`;
  if (box.height > 11) context.fillText(band.label ?? band.group, 4, box.top + 10);
}

/** The points of a curve; of more frames than pixels each pixel's lowest and highest. */
function* points(curve, frames, width) {
  const place = (frame) => (frame / Math.max(1, frames - 1)) * (width - 1);
  if (frames === 1) yield* [[0, curve[0]], [width, curve[0]]];
  else if (frames <= 2 * width) for (let i = 0; i < frames; i += 1) yield [place(i), curve[i]];
  else {
    const step = frames / width;
    for (let x = 0; x < width; x += 1) {
      const part = curve.slice(Math.floor(x * step), Math.max(Math.floor(x * step) + 1, Math.floor((x + 1) * step)));
      yield [x, Math.min(...part)];
      yield [x, Math.max(...part)];
    }
  }
}
