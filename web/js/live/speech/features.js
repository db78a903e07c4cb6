// What is heard in a short window of a sound: the library's tha4_core/motion/speech/features.py, window by window.

const NOTHING = 1e-12;
const QUIETEST = 1e-20;
// The sound is thinned to at least so many samples a second, as the library does.
const LEAST_RATE = 16000;

/** Of how many samples of a sound at `rate` one is made before it is measured. */
export const thinningOf = (rate) => Math.max(1, Math.floor(rate / LEAST_RATE));

/**
 * Makes the function that measures a window of `size` samples at `rate` Hz (after thinning). It returns `{cepstra, level,
 * upper, hiss, voicing}` as the library's Features have them. `constants` are the library's.
 */
export function featureMeter(constants, rate) {
  const width = Math.max(16, Math.round(constants.window * rate));
  const size = 2 ** Math.ceil(Math.log2(width));
  const window = hanning(width);
  const bands = bandWeights(constants, size, rate, window);
  const cosines = cosineTable(constants);
  const voicing = voicingMeter(constants, size, rate, window);
  const upperFirst = constants.bandEdges.slice(1, -1).findIndex((edge) => edge >= constants.upperFrom);
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  const power = new Float64Array(size / 2 + 1);
  const turns = turnTable(size);
  const measure = (samples) => {
    real.fill(0);
    imaginary.fill(0);
    for (let i = 0; i < width; i += 1) real[i] = samples[i] * window[i];
    transform(real, imaginary, turns);
    for (let i = 0; i < power.length; i += 1) power[i] = real[i] ** 2 + imaginary[i] ** 2;
    const sums = bands.map((weights) => weightedSum(weights, power));
    const hiss = sums.pop();
    const spoken = sum(sums);
    const total = spoken + hiss + NOTHING;
    return {
      cepstra: cepstraOf(sums, cosines, constants.floor),
      level: 10 * Math.log10(total),
      upper: 10 * Math.log10(sum(sums.slice(upperFirst)) + NOTHING),
      hiss: hiss / total,
      voicing: voicing(power),
    };
  };
  return Object.assign(measure, { size: width });
}

function sum(values) {
  let total = 0;
  for (let i = 0; i < values.length; i += 1) total += values[i];
  return total;
}

/** The cosine transform of the logarithms of the power in mel bands. */
function cepstraOf(bands, cosines, floor) {
  const peak = Math.max(...bands, QUIETEST);
  const logs = bands.map((band) => Math.log(band / peak + floor));
  return cosines.map((row) => row.reduce((total, share, i) => total + share * logs[i], 0));
}

const hanning = (width) => Float64Array.from({ length: width }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (width - 1)));

/** For each mel band, and for the hiss, which part of the spectrum is in it and how much each line of it counts. */
function bandWeights({ bandEdges, hissFrom }, size, rate, window) {
  const unit = 2 / (size * sum([...window].map((value) => value ** 2)));
  const lines = Array.from({ length: size / 2 + 1 }, (_, i) => (i * rate) / size);
  const triangle = (i) => (frequency) => {
    const [low, centre, high] = bandEdges.slice(i, i + 3);
    return Math.max(0, Math.min((frequency - low) / (centre - low), (high - frequency) / (high - centre)));
  };
  const hiss = (frequency) => (frequency >= hissFrom ? 1 : 0);
  const shapes = [...bandEdges.slice(2).map((_, i) => triangle(i)), hiss];
  return shapes.map((shape) => sparse(lines.map((line) => shape(line) * unit)));
}

/** Weights without the zeros before and after them. */
function sparse(weights) {
  const first = Math.max(0, weights.findIndex((weight) => weight > 0));
  const end = weights.findLastIndex((weight) => weight > 0) + 1;
  return { first, weights: Float64Array.from(weights.slice(first, Math.max(first, end))) };
}

function weightedSum({ first, weights }, power) {
  let total = 0;
  for (let i = 0; i < weights.length; i += 1) total += weights[i] * power[first + i];
  return total;
}

function cosineTable({ cepstra, bandEdges }) {
  const bands = bandEdges.length - 2;
  const cosine = (order, band) => Math.cos((Math.PI * (band + 0.5) * order) / bands) * Math.sqrt(2 / bands);
  const row = (order) => Array.from({ length: bands }, (_, band) => cosine(order, band));
  return Array.from({ length: cepstra }, (_, i) => row(i + 1));
}

/** Makes the function that says how well a sound repeats itself at the pitch of one voice, from its power spectrum. */
function voicingMeter({ periods, pitchBand, fundamental, pitchWidth }, size, rate, window) {
  const step = rate / size;
  const [low, high] = pitchBand.map((edge) => Math.round(edge / step));
  const fading = windowFading(window, [0, ...periods].map((lag) => lag * rate));
  const wave = (lag, fade) => (_, i) => Math.cos(2 * Math.PI * (low + i) * step * lag) / fade;
  const lags = [0, ...periods];
  const waves = lags.map((lag, k) => Float64Array.from({ length: high - low }, wave(lag, fading[k] / fading[0])));
  const through = (power, edge) => sum(power.subarray(0, Math.min(high, edge + 1)));
  return (power) => {
    const [whole, ...repeated] = waves.map((wave) => weightedSum({ first: low, weights: wave }, power));
    const highest = Math.max(...repeated);
    const pitch = 1 / periods[repeated.findIndex((value) => value >= 0.95 * highest)];
    const [before, after] = [pitch - pitchWidth, pitch + pitchWidth].map((edge) => through(power, Math.round(edge / step)));
    const share = (after - before) / (through(power, high) + NOTHING);
    return (highest / (whole + NOTHING)) * Math.min(1, Math.max(0, share / fundamental));
  };
}

/** The autocorrelation of a window at lags in samples, between its whole ones. */
function windowFading(window, lags) {
  const at = (lag) => {
    let total = 0;
    for (let i = lag; i < window.length; i += 1) total += window[i] * window[i - lag];
    return total;
  };
  return lags.map((lag) => {
    const whole = Math.floor(lag);
    return at(whole) + (at(whole + 1) - at(whole)) * (lag - whole);
  });
}

/** Cosines and sines of the parts of a whole turn. */
function turnTable(size) {
  const turn = (of) => Float64Array.from({ length: size / 2 }, (_, k) => of((-2 * Math.PI * k) / size));
  return { cosines: turn(Math.cos), sines: turn(Math.sin) };
}

/** The Fourier transform in place, of a power of two of samples (Cooley and Tukey). */
function transform(real, imaginary, turns) {
  const count = real.length;
  for (let i = 1, j = 0; i < count; i += 1) {
    let bit = count >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [real[i], real[j], imaginary[i], imaginary[j]] = [real[j], real[i], imaginary[j], imaginary[i]];
  }
  for (let length = 2; length <= count; length *= 2) butterflies(real, imaginary, length, turns);
}

function butterflies(real, imaginary, length, { cosines, sines }) {
  const half = length / 2;
  const stride = real.length / length;
  for (let i = 0; i < real.length; i += length) {
    for (let k = 0; k < half; k += 1) {
      const j = i + k;
      const [cosine, sine] = [cosines[k * stride], sines[k * stride]];
      const re = real[j + half] * cosine - imaginary[j + half] * sine;
      const im = real[j + half] * sine + imaginary[j + half] * cosine;
      real[j + half] = real[j] - re;
      imaginary[j + half] = imaginary[j] - im;
      real[j] += re;
      imaginary[j] += im;
    }
  }
}
