// Curves over steps, drawn on a canvas as large as it is shown.

const COLOURS = { 1: "hsl(20 85% 58%)", 2: "hsl(210 80% 60%)" }; // by column
const [LEFT, BOTTOM] = [34, 13];

/** Draw rows [step, face, body]; on a logarithmic scale where `log`. Marks have their numbers at the left. */
export function drawChart(canvas, rows, steps, log) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const style = getComputedStyle(canvas);
  Object.assign(context, { font: "10px system-ui, sans-serif", fillStyle: style.color, strokeStyle: style.color, lineWidth: 1.5 });
  const scale = log ? (value) => Math.log10(Math.max(value, 1e-9)) : (value) => value;
  const values = rows.flatMap(([, face, body]) => [face, body]).filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (!values.length) return;
  let [low, high] = [Math.min(...values.map(scale)), Math.max(...values.map(scale))];
  if (high - low < (log ? 0.3 : 2)) [low, high] = [low - (log ? 0.15 : 1), high + (log ? 0.15 : 1)];
  const x = (step) => LEFT + (step / Math.max(1, steps)) * (width - LEFT - 4);
  const y = (value) => 6 + ((high - scale(value)) / (high - low)) * (height - BOTTOM - 8);
  drawMarks(context, marks(low, high, log), y, width);
  context.textAlign = "right";
  context.fillText(String(steps), width - 3, height - 2);
  for (const [column, colour] of Object.entries(COLOURS)) drawCurve(context, rows, column, colour, x, y);
}

function marks(low, high, log) {
  if (!log) {
    const step = [1, 2, 5, 10, 20].find((one) => (high - low) / one <= 4) ?? 50;
    return Array.from({ length: Math.floor(high / step) - Math.ceil(low / step) + 1 }, (_, i) => (Math.ceil(low / step) + i) * step);
  }
  const decades = Array.from({ length: Math.floor(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  const within = decades.flatMap((decade) => [1, 2, 5].map((digit) => digit * 10 ** decade));
  const seen = within.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
  return seen.length > 5 ? seen.filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6)) : seen;
}

function drawMarks(context, at, y, width) {
  context.textAlign = "right";
  for (const value of at) {
    context.globalAlpha = 0.9;
    context.fillText(value < 0.001 ? value.toExponential(0) : String(+value.toPrecision(2)), LEFT - 4, y(value) + 3);
    context.globalAlpha = 0.15;
    context.fillRect(LEFT, y(value), width - LEFT - 4, 1);
  }
  context.globalAlpha = 1;
}

function drawCurve(context, rows, column, colour, x, y) {
  const seen = rows.filter((row) => Number.isFinite(row[column]));
  Object.assign(context, { strokeStyle: colour, fillStyle: colour });
  context.beginPath();
  for (const row of seen) context.lineTo(x(row[0]), y(row[column]));
  context.stroke();
  const last = seen.at(-1);
  if (last) context.fillRect(x(last[0]) - 2, y(last[column]) - 2, 4, 4);
}
