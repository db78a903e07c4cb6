// `window.puppet` of the exported page: what a site's own scripts may do with the character. A site that shows the page in
// an iframe sends the same by postMessage.
//
//   puppet.set({ head_y: 0.5, mouth_aaa: 1 });   // hold parameters; a name without its side means both sides
//   puppet.set({ head_y: null });                // let one go
//   puppet.release();                            // let all go
//   puppet.expression("happy", 2);               // for two seconds
//   puppet.look(0.5, 0);                         // -1..1 to the right and up; puppet.look(null): nowhere
//   puppet.mouse(true);                          // also microphone, and webcam where the page has one
//   await puppet.ready;                          // true: it moves; false: there is only the still

// What anybody may send who has the page in a frame: it moves the character, and does nothing else.
const POSING = ["face", "pose", "expression", "speech", "look", "say"];
const SIDES = ["", "_left", "_right"];
const READY = "tha4-puppet";

export class PuppetAPI {
  #page;
  #held = {};

  constructor(page) {
    this.#page = page;
    // Each input is a method by its name: puppet.mouse(true) is what its button does.
    for (const name of Object.keys(page.inputs)) this[name] = (on) => page.switch(name, Boolean(on));
    this.ready = new Promise((resolve) => (this.opened = (moves) => this.#open(moves, resolve)));
  }

  /** The names that `set` takes, with their least and greatest values: `[{name, minimum, maximum, group}]`. */
  get parameters() {
    return this.#page.library.parameters.map(({ name, minimum, maximum, group }) => ({ name, minimum, maximum, group }));
  }

  /** The names of the expressions. */
  get expressions() {
    return this.#page.library.expressions.map(({ name }) => name);
  }

  /** The pose on the screen by names; null before the first frame. */
  get pose() {
    const { pose, library } = this.#page;
    return pose && Object.fromEntries(library.parameters.map(({ name }, i) => [name, pose[i]]));
  }

  /** The canvas, such as for `captureStream()`; null where there is only the still. */
  get canvas() {
    return this.#page.canvas;
  }

  /** Hold parameters over everything else until they are let go (null). Throws a TypeError for what is none of them. */
  set(values) {
    const held = { ...this.#held };
    for (const [name, value] of Object.entries(values)) {
      if (!this.#isParameter(name)) throw new TypeError(`puppet.set: there is no parameter ${name}; puppet.parameters has them.`);
      if (value !== null && !Number.isFinite(value)) throw new TypeError(`puppet.set: ${name} is a number, or null; not ${value}.`);
      if (value === null) delete held[name];
      else held[name] = value;
    }
    this.#held = held;
    this.#page.engine.hold(held, null, now());
  }

  /** Let go what `set` holds. */
  release() {
    this.#held = {};
    this.#page.engine.hold({}, null, now());
  }

  /** Show an expression for `seconds` (null: until the next one) at a `strength` of 0..1; null ends it. Throws a TypeError. */
  expression(name, seconds = null, strength = 1) {
    if (name && !this.expressions.includes(name)) throw new TypeError(`puppet.expression: there is no ${name}; puppet.expressions has them.`);
    this.#page.engine.expression({ name, seconds, strength }, now());
  }

  /** Look at a place of the window: -1..1 to the right and up; null: nowhere. */
  look(x, y) {
    this.#page.engine.look(x, y, now());
  }

  /** Speak a track of lip sync `{fps, names, values}`, in step with `audio` (a Blob, a blob: or data: URL, or null); null stops. */
  say(track, audio = null) {
    const url = audio instanceof Blob ? URL.createObjectURL(audio) : audio;
    this.#page.speaker.say({ id: track ? "say" : null, track, audio: url }, true);
  }

  /** A tracked face `{found, shapes, angles}`: ARKit's names, 0..1; pitch, yaw and roll in degrees. */
  face(message) {
    this.#page.engine.face(message, now());
  }

  /** Make the tracked face of the last second the neutral one. */
  calibrate() {
    this.#page.engine.calibrate(now());
  }

  /** How much the character moves by itself, 0..1. */
  idle(amount) {
    this.#page.engine.settings.idle = Math.min(1, Math.max(0, Number(amount) || 0));
  }

  /** A message of another page, whoever sent it: those that pose the character are followed, all others are left alone. */
  receive(message) {
    if (!POSING.includes(message?.type)) return;
    try {
      this.#page.engine.receive(message, now());
    } catch (error) {
      console.warn(`THA4: a message of the type ${message.type} makes no sense: ${error.message}`);
    }
  }

  #isParameter(name) {
    return SIDES.some((side) => this.#page.library.parameters.some((one) => one.name === `${name}${side}`));
  }

  #open(moves, resolve) {
    resolve(moves);
    if (window.parent !== window) window.parent.postMessage({ type: READY, ready: true, moves }, "*");
  }
}

const now = () => performance.now() / 1000;
