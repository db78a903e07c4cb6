// Live lip sync: samples in, the mouth now out. Nothing here knows where the samples come from.
import { featureMeter, thinningOf } from "./features.js";
import { Gate } from "./gate.js";
import { Voice } from "./vowels.js";

// Seconds in which two thirds of the way to a new mouth are gone.
const SHAPE_SECONDS = 0.03;
const OPENING_SECONDS = 0.02;
const SHUTTING_SECONDS = 0.05;
// What opens the mouth further than this is a vowel.
const LOUD = 0.5;
const HISS_MOUTH = 0.3; // how far a hiss opens the mouth to an i

export class Listener {
  /** `constants` are the library's (`live.speech`), `rate` the sound's in Hz. */
  constructor(constants, rate) {
    this.thinning = thinningOf(rate);
    this.measure = featureMeter(constants, rate / this.thinning);
    this.hop = (constants.step * rate) / this.thinning;
    Object.assign(this, { constants, gate: new Gate(constants), voice: new Voice(constants) });
    this.samples = new Float32Array(this.measure.size); // the last ones, thinned
    this.thin = { sum: 0, count: 0 };
    Object.assign(this, { taken: 0, steps: 0, level: -Infinity });
    this.shape = new Array(constants.mouth.length).fill(0);
    this.mouth = new Array(constants.mouth.length).fill(0);
  }

  /**
   * Hear more samples; `silence` in decibels: nothing quieter is speech. Returns the mouths, by names, of all steps that
   * the samples have completed.
   */
  hear(samples, silence) {
    const mouths = [];
    for (const sample of samples) {
      this.thin.sum += Number.isFinite(sample) ? sample : 0;
      this.thin.count += 1;
      if (this.thin.count < this.thinning) continue;
      this.#take(this.thin.sum / this.thinning);
      this.thin = { sum: 0, count: 0 };
      if (this.taken >= Math.round((this.steps + 1) * this.hop)) mouths.push(this.#step(silence));
    }
    return mouths;
  }

  #take(sample) {
    this.samples[this.taken % this.samples.length] = sample;
    this.taken += 1;
  }

  #step(silence) {
    this.steps += 1;
    const start = this.taken % this.samples.length;
    const window = new Float32Array(this.samples.length);
    window.set(this.samples.subarray(start));
    window.set(this.samples.subarray(0, start), this.samples.length - start);
    const features = this.measure(window);
    this.level = features.level;
    const opened = this.gate.update(features, silence);
    this.#speak(features, opened);
    return Object.fromEntries(this.constants.mouth.map((name, i) => [name, this.mouth[i]]));
  }

  #speak({ cepstra, hiss }, opened) {
    const { step, hiss: hissing } = this.constants;
    const vowels = opened > 0 ? this.voice.likeness(cepstra, opened > LOUD) : this.shape;
    const hissed = Math.min(1, Math.max(0, (hiss - hissing[0]) / (hissing[1] - hissing[0])));
    this.shape = this.shape.map((old, i) => old + share(step, SHAPE_SECONDS) * (vowels[i] - old));
    const wanted = this.shape.map((value) => value * opened * (1 - hissed));
    wanted[1] += HISS_MOUTH * opened * hissed;
    const [opening, shutting] = [share(step, OPENING_SECONDS), share(step, SHUTTING_SECONDS)];
    this.mouth = this.mouth.map((old, i) => old + (wanted[i] > old ? opening : shutting) * (wanted[i] - old));
  }
}

const share = (seconds, constant) => 1 - Math.exp(-seconds / constant);
