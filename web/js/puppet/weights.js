// A student's weights as the kernels read them.
//
// A sine layer is sin(30 (W x + b)). The kernels' sine counts in whole turns, so that 30 / (2 pi) is folded into W and
// b here. The pose is the same at every pixel: its product with a first layer's weights is a part of that layer's bias,
// computed here for each pose (33,000 products). What a level's first layer makes of the features of the level before
// is that level's last matrix: a 1x1 convolution and a bilinear resize may change places, and there are four times
// fewer pixels to multiply before the resize.

const TURNS = 30 / (2 * Math.PI);
const POSE = 45;
const FACE_POSE = 39;
const FACE_LAYERS = 8;
const LEVELS = 3;

/** The next multiple: the channels that a kernel computes. Those that are added are zero. */
const padded = (channels, multiple) => Math.ceil(channels / multiple) * multiple;

/**
 * Fold the networks of a student (`tensors` of `readSafetensors`): four stages `face`, `level0`, `level1`, `level2`.
 *
 * A stage has `first` (the first layer as it is trained), its `channels`, `layers` and `exit`: each `{inputs, outputs,
 * each, weights, biases}` with padded sizes; a thread makes `each` outputs. Weights are in blocks of 4 inputs x 4
 * outputs, `[inputs / 4][outputs / 4][4][4]`, the innermost index being the output; in the last layer of a network,
 * which has few outputs, the input. Throws an Error where a tensor is missing.
 */
export function foldStudent(tensors) {
  const linear = (name) => readLinear(tensors, name);
  const face = Array.from({ length: FACE_LAYERS }, (_, i) => linear(`face_morpher.siren.sine_layers.${i}.linear`));
  const levels = Array.from({ length: LEVELS }, (_, level) =>
    [0, 1, 2].map((i) => linear(`body_morpher.siren_layers.${level}.${i}.linear`)),
  );
  const last = linear("body_morpher.last_linear");
  const stages = { face: stage(face, FACE_POSE, linear("face_morpher.siren.last_linear"), true) };
  levels.forEach((layers, level) => {
    const next = levels[level + 1]?.[0];
    stages[`level${level}`] = stage(layers, POSE, next ? featurePart(next) : last, !next);
  });
  return stages;
}

/**
 * What the first layers make of x, y and 1 in a pose (45 numbers), for each stage by name: `[channels][4]`, the fourth
 * number being unused.
 */
export function entries(stages, pose) {
  return Object.fromEntries(Object.entries(stages).map(([name, { first }]) => [name, entry(first, pose)]));
}

function entry({ weight, bias, inputs, outputs, pose: count }, pose) {
  const result = new Float32Array(padded(outputs, 8) * 4);
  for (let n = 0; n < outputs; n++) {
    const row = n * inputs + inputs - count - 2;
    let sum = bias[n];
    for (let i = 0; i < count; i++) sum += weight[row + 2 + i] * pose[i];
    result.set([TURNS * weight[row], TURNS * weight[row + 1], TURNS * sum], 4 * n);
  }
  return result;
}

function stage([first, ...others], pose, exit, isLast) {
  const channels = padded(first.outputs, 8);
  const groups = channels / 8;
  let inputs = channels;
  const layers = others.map((one) => {
    // Where half the threads would do, each makes half as much.
    const each = one.outputs <= 4 * groups ? 4 : 8;
    const folded = layer(one, inputs, padded(one.outputs, each), TURNS, false);
    inputs = folded.outputs;
    return { ...folded, each };
  });
  const end = layer(exit, inputs, padded(exit.outputs, isLast ? 8 : 4), isLast ? 1 : TURNS, isLast);
  return { first: { ...first, pose }, channels, layers, exit: end };
}

/** A 1x1 convolution: weight `[outputs][inputs]`, bias `[outputs]`. */
function readLinear(tensors, name) {
  const [weight, bias] = [tensors[`${name}.weight`], tensors[`${name}.bias`]];
  if (!weight || !bias) throw new Error(`This is no student: it has no ${name}.`);
  const [outputs, inputs] = weight.shape;
  return { weight: weight.data, bias: bias.data, inputs, outputs };
}

/** The part of a first layer that sees the features of the level before; it has no bias of its own. */
function featurePart({ weight, inputs, outputs }) {
  const features = inputs - 2 - POSE;
  const part = new Float32Array(outputs * features);
  for (let n = 0; n < outputs; n++) part.set(weight.subarray(n * inputs, n * inputs + features), n * features);
  return { weight: part, bias: new Float32Array(outputs), inputs: features, outputs };
}

function layer({ weight, bias, inputs, outputs }, rows, columns, factor, transposed) {
  const weights = new Float32Array(rows * columns);
  for (let n = 0; n < outputs; n++) {
    for (let k = 0; k < inputs; k++) {
      const block = (k >> 2) * (columns >> 2) + (n >> 2);
      const within = transposed ? (n & 3) * 4 + (k & 3) : (k & 3) * 4 + (n & 3);
      weights[block * 16 + within] = factor * weight[n * inputs + k];
    }
  }
  const biases = new Float32Array(columns);
  for (let n = 0; n < outputs; n++) biases[n] = factor * bias[n];
  return { inputs: rows, outputs: columns, weights, biases };
}
