// The live engine: what drives a character now, from everything that speaks for it, as the 45 numbers of a pose.
//
// Beneath lies idle motion. Over it, each where it has something to say: the mouse, the tracked face, an expression,
// speech, and a pose that is held. Times are seconds of one clock that does not jump, such as performance.now() / 1000.
// There is no other clock and no chance in here: the same calls give the same poses.
import { faceConverter } from "./conversion.js";
import { OneEuro } from "./filters.js";
import { Idle } from "./idle.js";
import { Layer } from "./layer.js";
import { Neutral, readFace } from "./neutral.js";
import { Talk } from "./talk.js";

/** What `engine.settings` has, all of it plain JSON. */
export const DEFAULTS = {
  mirror: false, // the tracked face moves the character's other side
  idle: 1, // how much idle motion, 0..1 (true: 1)
  seed: 0, // of the idle motion; read when the engine is made
  smoothing: 0.5, // of the tracked face, 0 (none) to 1
  headAmount: 1, // what the turns of head and body are multiplied by
  bodyAmount: 1, // how much of the head's turns the body follows
  mouthAmount: 1, // what live speech is multiplied by
  holdSeconds: 1, // a face that is lost stays so long, then fades to idle
  recentreSeconds: 120, // the time in which a head that stays turned counts as straight; 0: never
  conversion: {}, // replaces some of the library's conversion settings
  neutral: null, // {shapes, angles}: what the tracker says of the neutral face; `calibrate` sets it
};

// Hz of the springs: the eyes first, the head after them, the torso last.
const FREQUENCIES = { eyes: 9, brows: 9, mouth: 14, gaze: 9, head: 3.5, body: 1.3 };
const EXPRESSION = { rise: 0.2, fade: 0.3 };
const FACE = { rise: 0.3, fade: 1.5 };
const LOOK = { rise: 0.4, fade: 1.5 };
const HOLD = { rise: 0.1, fade: 0.3 };
const HOLD_FREQUENCY = 8;
const LOOK_SECONDS = 1; // the mouse counts so long after it has left
// One Euro filter: Hz at rest without and with full smoothing, and Hz for each unit a second.
const CUTOFFS = [8, 0.3];
const BETA = 3;
// How far the mouse at the edge turns each part.
const LOOK_REACH = { iris_rotation_x: 0.9, iris_rotation_y: 1, head_x: 0.7, head_y: 0.9, neck_z: 0.25, body_y: 0.5 };

export class LiveEngine {
  /** `library` as GET /tha4/library gives it: `{parameters, expressions, live}`; `settings` replaces some of DEFAULTS. */
  constructor(library, settings = {}) {
    Object.assign(this, { library, parameters: library.parameters, settings: { ...DEFAULTS, ...settings } });
    this.index = new Map(this.parameters.map(({ name }, i) => [name, i]));
    this.convert = faceConverter(library.live);
    this.idle = new Idle(this.parameters, library.live.idle, this.settings.seed);
    const frequencies = this.parameters.map(({ group }) => FREQUENCIES[group]);
    const even = frequencies.map(() => HOLD_FREQUENCY);
    this.filter = new OneEuro(frequencies.length);
    this.lookLayer = new Layer(frequencies, LOOK);
    this.faceLayer = new Layer(frequencies, FACE);
    this.expressionLayer = new Layer(even, EXPRESSION);
    this.holdLayer = new Layer(even, HOLD);
    this.neutral = new Neutral();
    this.talk = new Talk(this.index, library.live.vowels);
    this.start = null;
  }

  /** A message of any type. Returns whether it was for the engine. */
  receive(message, time) {
    switch (message?.type) {
      case "face": this.face(message, time); break;
      case "pose": this.hold(message.pose, message.seconds, time); break;
      case "expression": this.expression(message, time); break;
      case "speech": this.speech(message.pose, time); break;
      case "look": this.look(message.x, message.y, time); break;
      case "say": this.say(message.id == null ? null : message.track, time); break;
      case "calibrate": this.calibrate(time); break;
      default: return false;
    }
    return true;
  }

  /** A tracked face: `{found, shapes, angles, pose}`. */
  face(message, time) {
    const { settings, faceLayer } = this;
    if (message.found === false) return this.#loseFace(time);
    const face = readFace(message);
    const neutral = this.neutral.update(face, time, settings);
    const values = { ...this.convert(face.shapes, face.angles, neutral, this.#conversion()), ...face.pose };
    for (const [i, value] of this.#numbers(values, settings.mirror)) {
      faceLayer.drive(i, this.#smooth(i, value, time), time, time + settings.holdSeconds);
    }
  }

  /** Where the mouse is: -1..1 to the right and up, as seen on the screen; x null: it is gone. */
  look(x, y, time) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) return this.#shorten(this.lookLayer, time + LOOK_SECONDS);
    const [right, up] = [x, y].map((value) => Math.min(1, Math.max(-1, value)));
    // The character's own left is the screen's right, and its numbers are positive to its right.
    const away = { iris_rotation_x: up, head_x: up, iris_rotation_y: -right, head_y: -right, neck_z: -right, body_y: -right };
    for (const [name, reach] of Object.entries(LOOK_REACH)) {
      this.lookLayer.drive(this.index.get(name), this.#amount(name) * reach * away[name], time, Infinity);
    }
  }

  /** The mouth of live speech now, by names: it counts until the next one, but for a moment only. */
  speech(mouth, time) {
    this.talk.speech(mouth, time);
  }

  /** A track of lip sync `{fps, names, values}` that begins at `time`; null stops it. */
  say(track, time) {
    this.talk.say(track, time);
  }

  /** An expression by name, at `strength` for `seconds` (null: until the next one); name null or "" ends it. */
  expression({ name, seconds, strength }, time) {
    const layer = this.expressionLayer;
    const found = this.library.expressions.find((one) => one.name === name);
    const named = new Map(this.#numbers(found?.values));
    const until = end(time, seconds, EXPRESSION.rise);
    const amount = Number.isFinite(strength) ? Math.min(1, Math.max(0, strength)) : 1;
    for (let i = 0; i < this.parameters.length; i += 1) {
      if (named.has(i)) layer.drive(i, named.get(i), time, until, amount);
      else layer.release(i, time);
    }
  }

  /** Hold a pose, by names, over everything for `seconds` (null: until the next one); `{}` lets go. */
  hold(pose, seconds, time) {
    const held = new Map(this.#numbers(pose));
    const until = end(time, seconds, HOLD.rise);
    for (let i = 0; i < this.parameters.length; i += 1) {
      if (held.has(i)) this.holdLayer.drive(i, held.get(i), time, until);
      else this.holdLayer.release(i, time);
    }
  }

  /** Make the face of the last second the neutral one; where there is none, the next face that comes. */
  calibrate(time) {
    this.settings.neutral = this.neutral.calibrate(time);
  }

  /** The pose at a time, each number in its parameter's range. Times must not go back. */
  pose(time) {
    this.start ??= time;
    const pose = Float64Array.from(this.idle.pose(time - this.start, Number(this.settings.idle)));
    const layers = [this.lookLayer, this.faceLayer, this.expressionLayer, this.holdLayer];
    for (const layer of layers) layer.update(time);
    this.lookLayer.over(pose);
    this.faceLayer.over(pose);
    this.#express(pose);
    this.talk.over(pose, time, this.settings.mouthAmount);
    this.holdLayer.over(pose);
    return Float32Array.from(pose, (value, i) => within(this.parameters[i], value));
  }

  /** The expression, under which a mouth that speaks goes on speaking and eyes that it leaves open go on blinking. */
  #express(pose) {
    const { values, weights } = this.expressionLayer;
    const before = Float64Array.from(pose);
    this.expressionLayer.over(pose);
    const spoken = this.talk.share(before);
    for (const i of this.talk.vowels) pose[i] += weights[i] * (before[i] - spoken * values[i]);
    for (const side of ["left", "right"]) {
      const [wink, ...others] = ["eye_wink", "eye_happy_wink", "eye_relaxed"].map((name) => this.index.get(`${name}_${side}`));
      const shut = Math.min(1, [wink, ...others].reduce((sum, i) => sum + weights[i] * values[i], 0));
      pose[wink] += weights[wink] * (1 - shut) * before[wink];
    }
  }

  #loseFace(time) {
    this.#shorten(this.faceLayer, time + this.settings.holdSeconds);
  }

  #shorten(layer, until) {
    for (let i = 0; i < layer.until.length; i += 1) layer.release(i, until);
  }

  #smooth(i, value, time) {
    const { smoothing } = this.settings;
    if (!(smoothing > 0)) return value;
    return this.filter.filter(i, value, time, CUTOFFS[0] * (CUTOFFS[1] / CUTOFFS[0]) ** smoothing, BETA);
  }

  /** The conversion's settings, with the amounts in them: they act before what is too far is cut off. */
  #conversion() {
    const { conversion } = this.library.live;
    const own = this.settings.conversion;
    const all = { ...conversion, ...own };
    const head = Math.max(1e-3, this.settings.headAmount);
    const fulls = ["head_x_full", "head_y_full", "neck_z_full"].map((name) => [name, all[name] / head]);
    return { ...own, ...Object.fromEntries(fulls), body: all.body * this.settings.bodyAmount };
  }

  #amount(name) {
    if (name.startsWith("iris")) return 1;
    return this.settings.headAmount * (name.startsWith("body") ? this.settings.bodyAmount : 1);
  }

  /** `[index, number in its range]` of all that is named, a name without its side meaning both; the unknown is left out. */
  #numbers(values, mirror = false) {
    const found = [];
    for (const [name, value] of Object.entries(values ?? {})) {
      if (!Number.isFinite(value)) continue;
      for (const full of [name, `${name}_left`, `${name}_right`]) {
        const parameter = this.parameters[this.index.get(full)];
        if (!parameter) continue;
        const signed = mirror && parameter.sideways ? -value : value;
        found.push([this.index.get(mirror ? parameter.mirrored : full), within(parameter, signed)]);
      }
    }
    return found;
  }
}

const within = ({ minimum, maximum }, value) => Math.min(maximum, Math.max(minimum, value));

/** When something that begins at `time` ends: after `seconds`, but not before it has risen; never where that is no number. */
const end = (time, seconds, rise) => (Number.isFinite(seconds) ? time + Math.max(rise, seconds) : Infinity);
