// One source of movement over those beneath it: for each channel a value that follows its target by a spring, and a weight
// that rises when the source begins to drive the channel, stays, and fades when it has let it go.
import { Springs } from "./filters.js";

export class Layer {
  /** `frequencies` of the springs in Hz, one a channel; `rise` and `fade` in seconds. */
  constructor(frequencies, { rise, fade }) {
    const count = frequencies.length;
    Object.assign(this, { rise, fade, time: null });
    this.springs = new Springs(frequencies);
    this.targets = new Float64Array(count);
    this.since = new Float64Array(count).fill(Infinity);
    this.until = new Float64Array(count).fill(-Infinity);
    this.from = new Float64Array(count); // the weight at `since`
    this.strengths = new Springs(new Float64Array(count).fill(1 / (2 * rise)));
    this.wanted = new Float64Array(count); // the strengths that the springs follow
    this.weights = new Float64Array(count);
  }

  /** What the channels follow, after `update`. */
  get values() {
    return this.springs.values;
  }

  /** Drive a channel from `time` until `until` (seconds; Infinity: until it is let go), at a `strength` of 0..1. */
  drive(i, target, time, until, strength = 1) {
    const weight = this.weightAt(i, time);
    if (weight === 0) {
      this.springs.put(i, target);
      this.strengths.put(i, strength);
    }
    this.wanted[i] = strength;
    if (!(time < this.until[i])) [this.since[i], this.from[i]] = [time, weight];
    this.targets[i] = target;
    this.until[i] = until;
  }

  /** Let a channel go: from `time` on it fades. */
  release(i, time) {
    this.until[i] = Math.min(this.until[i], time);
  }

  /** How much a channel counts, 0..1, before easing: a straight rise, and a straight fall. */
  weightAt(i, time) {
    const risen = Math.min(1, this.from[i] + (Math.min(time, this.until[i]) - this.since[i]) / this.rise);
    return time <= this.until[i] ? Math.max(0, risen) : Math.max(0, risen - (time - this.until[i]) / this.fade);
  }

  /** Move on to `time`. */
  update(time) {
    const seconds = Math.max(time - (this.time ?? time), 0);
    this.time = time;
    for (let i = 0; i < this.weights.length; i += 1) {
      const weight = this.weightAt(i, time);
      if (weight > 0) {
        this.springs.follow(i, this.targets[i], seconds);
        this.strengths.follow(i, this.wanted[i], seconds);
      }
      this.weights[i] = weight * weight * (3 - 2 * weight) * this.strengths.values[i];
    }
  }

  /** Put the layer over a pose: `pose[i]` goes towards the layer's value as far as it counts. */
  over(pose) {
    for (let i = 0; i < pose.length; i += 1) pose[i] += this.weights[i] * (this.values[i] - pose[i]);
  }
}
