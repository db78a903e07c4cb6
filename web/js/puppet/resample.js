// How PyTorch resizes with `mode="bicubic", antialias=True`: the library's own way to other sizes of the picture.

const SHARPNESS = -0.5; // the cubic's parameter
const REACH = 2; // inputs on either side, where nothing is made smaller

/**
 * The weights of one axis from `inputs` to `outputs` pixels: `taps` `[outputs][2]` (the first input, how many) and
 * `shares` `[outputs][most]`.
 */
export function axisWeights(inputs, outputs) {
  const scale = inputs / outputs;
  const stretch = Math.max(1, scale);
  const reach = REACH * stretch;
  const most = Math.ceil(reach) * 2 + 1;
  const taps = new Uint32Array(2 * outputs);
  const shares = new Float32Array(most * outputs);
  for (let i = 0; i < outputs; i++) {
    const centre = scale * (i + 0.5);
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const count = Math.min(inputs, Math.trunc(centre + reach + 0.5)) - first;
    const weights = Array.from({ length: count }, (_, j) => cubic((first + j - centre + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    taps.set([first, count], 2 * i);
    shares.set(weights.map((weight) => weight / sum), most * i);
  }
  return { taps, shares, most };
}

/** Keys' cubic convolution kernel. */
function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return ((SHARPNESS + 2) * x - (SHARPNESS + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * SHARPNESS;
  return 0;
}
