// Which vowel is spoken: the library's tha4_core/motion/speech/vowels.py, for a voice that is heard as it comes. What the
// library takes of the whole recording (its mean, its spread, the length of the vocal tract) is here that of the last
// seconds in which somebody spoke.

// Seconds of speech after which what was heard before counts for a third.
const MEMORY_SECONDS = 6;

/**
 * How much a spectrum is each of the five vowels; they add up to 1. `cepstra` of the spectrum, `mean` and `spread` of what
 * was heard of the voice, `tract` the number of the vocal tract's length. `constants` are the library's.
 */
export function likeness(constants, cepstra, mean, spread, tract) {
  const { softness, trust, evened } = constants;
  const varying = variation(constants, spread);
  const evening = spread.map((own, i) => (constants.spread[i] / Math.max(own, 1e-3)) ** (evened * varying));
  const centred = cepstra.map((value, i) => (value - mean[i]) * evening[i]);
  const near = templateDistances(constants, centred, mean, tract, constants.common * varying);
  const judged = discriminantDistances(constants, centred);
  const share = trust * varying;
  const distances = near.map((distance, i) => (1 - share) * distance + share * judged[i]);
  const nearest = Math.min(...distances);
  const weights = distances.map((distance) => Math.exp((nearest - distance) / softness));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** How sure it is that the voice says different vowels, 0..1: one that is held on has nothing in common to take out. */
function variation({ lifter, variances }, spread) {
  const mean = spread.reduce((sum, value, i) => sum + (value * lifter[i]) ** 2, 0) / spread.length;
  return Math.min(1, Math.max(0, (mean - variances[0]) / (variances[1] - variances[0])));
}

/** The distances to the five vowels for a length of the vocal tract. */
export function templateDistances({ lifter, tracts, places, softness }, centred, mean, tract, common) {
  const templates = tracts[tract];
  const average = (i) => templates.reduce((sum, row) => sum + row[i], 0) / templates.length;
  const middle = (i) => (1 - common) * mean[i] * lifter[i] + common * average(i);
  const liftered = centred.map((value, i) => value * lifter[i] + middle(i));
  const nearness = templates.map((row) => -squared(liftered, row) / (row.length * softness));
  let first = 0;
  return places.map((count) => {
    const own = nearness.slice(first, (first += count));
    return -softness * logSum(own);
  });
}

function discriminantDistances({ weights, bias, softness }, centred) {
  const scores = weights.map((row, k) => row.reduce((sum, weight, i) => sum + weight * centred[i], bias[k]));
  const all = logSum(scores);
  return scores.map((score) => softness * (all - score));
}

const squared = (a, b) => a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);

function logSum(values) {
  const highest = Math.max(...values);
  return highest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - highest), 0));
}

/** What is known of a voice. */
export class Voice {
  constructor(constants) {
    const zeros = () => new Array(constants.cepstra).fill(0);
    Object.assign(this, { constants, count: 0, mean: zeros(), squares: zeros() });
    this.misfits = constants.tracts.map(() => 0);
  }

  /** How much a spectrum is each vowel; where it is `loud` enough, the voice is learnt from it. */
  likeness(cepstra, loud) {
    if (loud || this.count === 0) this.#learn(cepstra);
    return likeness(this.constants, cepstra, this.mean, this.spread, this.tract);
  }

  /** How much each of the cepstra has varied. */
  get spread() {
    return this.squares.map((square, i) => Math.sqrt(Math.max(0, square - this.mean[i] ** 2)));
  }

  /** The number of the length of the vocal tract that fits best. */
  get tract() {
    return this.misfits.indexOf(Math.min(...this.misfits));
  }

  #learn(cepstra) {
    const { constants } = this;
    this.count += 1;
    const share = Math.max(1 / this.count, constants.step / MEMORY_SECONDS);
    const learn = (old, value) => old + share * (value - old);
    this.mean = this.mean.map((old, i) => learn(old, cepstra[i]));
    this.squares = this.squares.map((old, i) => learn(old, cepstra[i] ** 2));
    const common = constants.common * variation(constants, this.spread);
    const centred = cepstra.map((value, i) => value - this.mean[i]);
    const misfit = (tract) => Math.min(...templateDistances(constants, centred, this.mean, tract, common));
    this.misfits = this.misfits.map((old, tract) => learn(old, misfit(tract)));
  }
}
