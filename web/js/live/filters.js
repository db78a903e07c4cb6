// What makes a movement smooth: the One-Euro filter for what a tracker measures, and critically damped springs for what
// follows it. Both are exact for any time between two calls.

// Hz: the cutoff of the estimated speed (Casiez, Roussel, Vogel 2012, their default).
const SPEED_CUTOFF = 1;

/** Noise out of measured numbers: slow movements are smoothed more, fast ones lag less. One filter for `count` channels. */
export class OneEuro {
  constructor(count) {
    this.values = new Float64Array(count);
    this.speeds = new Float64Array(count);
    this.times = new Float64Array(count).fill(NaN);
  }

  /**
   * The smoothed value of channel `i` after a measurement at `time` (seconds). `cutoff` in Hz is for a channel at rest,
   * and rises by `beta` for each unit a second.
   */
  filter(i, measured, time, cutoff, beta) {
    const seconds = time - this.times[i];
    // Without a first value, or after a gap, there is nothing to smooth from.
    if (!(seconds >= 0 && seconds < 1)) return this.#begin(i, measured, time);
    if (seconds === 0) return this.values[i];
    this.times[i] = time;
    const speed = (measured - this.values[i]) / seconds;
    this.speeds[i] += share(SPEED_CUTOFF, seconds) * (speed - this.speeds[i]);
    this.values[i] += share(cutoff + beta * Math.abs(this.speeds[i]), seconds) * (measured - this.values[i]);
    return this.values[i];
  }

  #begin(i, measured, time) {
    this.times[i] = time;
    this.speeds[i] = 0;
    this.values[i] = measured;
    return measured;
  }
}

/** How much of a new value a low pass of that cutoff takes after so many seconds. */
const share = (cutoff, seconds) => 1 / (1 + 1 / (2 * Math.PI * cutoff * seconds));

/** Critically damped springs, one a channel, each with its own natural frequency in Hz: they never overshoot a target at rest. */
export class Springs {
  constructor(frequencies) {
    this.omegas = Float64Array.from(frequencies, (frequency) => 2 * Math.PI * frequency);
    this.values = new Float64Array(frequencies.length);
    this.speeds = new Float64Array(frequencies.length);
  }

  /** Be at a value, at rest. */
  put(i, value) {
    this.values[i] = value;
    this.speeds[i] = 0;
  }

  /** Follow a target for so many seconds. */
  follow(i, target, seconds) {
    const omega = this.omegas[i];
    const away = this.values[i] - target;
    const pull = this.speeds[i] + omega * away;
    const decay = Math.exp(-omega * seconds);
    this.values[i] = target + (away + pull * seconds) * decay;
    this.speeds[i] = (this.speeds[i] - omega * pull * seconds) * decay;
  }
}
