// How far a voice opens the mouth, as it comes: what the library's tha4_core/motion/speech/opening.py does with a whole
// recording, by what was heard so far. A gate with hysteresis keeps the mouth shut for what is no speech.

// The gate opens so many decibels over the noise and shuts below so many, once it has been below for a moment.
const OPENS = 9;
const SHUTS = 5;
const SHUT_SECONDS = 0.15;
// A sound that was voiced counts as speech for so long: consonants and the ends of words are not voiced.
const VOICED_SECONDS = 0.6;
// Decibels a second: how fast the noise is believed to have become louder, and the voice to have become quieter.
const NOISE_RISE = 1.5;
const LOUDEST_FALL = 1;

export class Gate {
  /** `constants` are the library's. */
  constructor(constants) {
    const ring = (seconds) => new Ring(Math.round(seconds / constants.step));
    Object.assign(this, { constants, noise: null, smooth: 0, loudest: -Infinity, open: false, quiet: 0, voiced: Infinity });
    this.levels = ring(constants.usualSeconds);
    this.voicing = new Ring(constants.sungSteps);
    this.shapes = new Ring(constants.changeSteps + 1);
    this.changes = ring(constants.changeSeconds);
  }

  /** How far a step of a sound opens the mouth, 0..1; `silence` in decibels: nothing quieter does. */
  update({ level, voicing, cepstra }, silence) {
    this.#measureNoise(level);
    const usual = this.#usual(level, silence);
    const lowest = Math.max(usual - this.constants.span, Math.min(this.noise + 6, usual - 10), silence);
    const opened = unit((level - lowest) / Math.max(usual - 3 - lowest, 3));
    const speaking = this.#speaking(voicing, cepstra, opened);
    this.#swing(level, silence, speaking);
    return this.open ? opened * speaking : 0;
  }

  /** The quietest moments are noise. */
  #measureNoise(level) {
    const { step, noiseSeconds } = this.constants;
    this.smooth = this.noise === null ? level : this.smooth + (step / noiseSeconds) * (level - this.smooth);
    this.noise = Math.min((this.noise ?? level) + NOISE_RISE * step, this.smooth);
  }

  /** How loud the vowels are. */
  #usual(level, silence) {
    const { step, usualPercent, usualRange, usualOverNoise } = this.constants;
    this.levels.push(Math.max(level, silence));
    const nearby = this.levels.percentile(usualPercent);
    this.loudest = Math.max(nearby, this.loudest - LOUDEST_FALL * step);
    return Math.max(nearby, this.loudest - usualRange, Math.min(this.noise + usualOverNoise, this.loudest));
  }

  /** How sure it is that somebody speaks or sings, 0..1. */
  #speaking(voicing, cepstra, opened) {
    const { step, changeMost, changeLeast, changeSeconds, speechChanges, sung, lifter } = this.constants;
    this.voicing.push(voicing);
    this.shapes.push({ cepstra, loud: opened > 0 });
    const before = this.shapes.oldest;
    const heard = this.shapes.isFull && opened > 0 && before.loud;
    const change = heard ? meanSquare(cepstra.map((value, i) => (value - before.cepstra[i]) * lifter[i])) : 0;
    this.changes.push({ change: Math.min(change, changeMost), heard: heard ? 1 : 0 });
    const least = changeLeast / step;
    const changes = this.changes.sum(({ change: one }) => one) / Math.max(this.changes.sum(({ heard: one }) => one), least);
    this.voiced = ramp(this.voicing.mean(), sung) > 0.5 ? 0 : this.voiced + step;
    return Math.max(ramp(changes, speechChanges), this.voiced < VOICED_SECONDS ? 1 : 0);
  }

  #swing(level, silence, speaking) {
    if (level > Math.max(silence, this.noise + OPENS) && speaking > 0.5) this.open = true;
    this.quiet = level < Math.max(silence, this.noise + SHUTS) ? this.quiet + this.constants.step : 0;
    if (this.quiet > SHUT_SECONDS) this.open = false;
  }
}

const meanSquare = (values) => values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
const unit = (x) => Math.min(1, Math.max(0, x));
const ramp = (value, [low, high]) => unit((value - low) / (high - low));

/** The last few values. */
class Ring {
  constructor(size) {
    Object.assign(this, { size, values: [], next: 0 });
  }

  push(value) {
    this.values[this.next] = value;
    this.next = (this.next + 1) % this.size;
  }

  get isFull() {
    return this.values.length === this.size;
  }

  get oldest() {
    return this.isFull ? this.values[this.next] : this.values[0];
  }

  mean() {
    return this.sum((value) => value) / this.values.length;
  }

  sum(of) {
    return this.values.reduce((total, value) => total + of(value), 0);
  }

  percentile(percent) {
    const sorted = [...this.values].sort((a, b) => a - b);
    return sorted[Math.floor(((sorted.length - 1) * percent) / 100)];
  }
}
