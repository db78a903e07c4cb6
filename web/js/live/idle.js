// Idle motion without an end: blinks, breath, wandering gaze, sway, small expressions. It is the library's
// tha4_core/motion/idle.py, with its constants, but draws its random numbers otherwise and forgets what is over.
import { randomStream } from "./random.js";

const DRAWS = 6;
// How long events are kept after they have begun: longer than any of them lasts.
const KEPT_SECONDS = 10;
// A time so far ahead of the last one is where a computer slept: the motion goes on from there without what it missed.
const LONGEST_GAP = 60;
const BREATH_SECONDS = 4;

export class Idle {
  /** `parameters` are the pose's, `constants` the library's. */
  constructor(parameters, constants, seed = 0) {
    Object.assign(this, { parameters, constants, seed });
    this.#begin();
  }

  /** The pose at a time in seconds since the beginning, with each number in its range; `amount` 0..1 of every movement. */
  pose(time, amount = 1) {
    const clock = this.#clock(time);
    const pose = Object.fromEntries(this.parameters.map(({ name }) => [name, 0]));
    this.#addGaze(pose, clock);
    this.#addBlinks(pose, clock);
    this.#addBreath(pose, clock);
    this.#addSway(pose, clock);
    this.#addExpression(pose, clock);
    return this.parameters.map(({ name, minimum, maximum }) => Math.min(maximum, Math.max(minimum, pose[name] * amount)));
  }

  #begin() {
    const { blinkGap, gazeGap, expressionGap, restGap, shortest, sway } = this.constants;
    const events = (kind, gap, finish) => new Events(randomStream(this.seed, kind), gap, shortest[kind], finish);
    this.blinks = events("blink", blinkGap);
    this.shifts = events("gaze", gazeGap);
    this.expressions = events("expression", expressionGap);
    this.rests = events("rest", restGap, this.#rest());
    this.waves = Object.keys(sway).map((name) => [name, this.#waves(name)]);
    Object.assign(this, { last: 0, skipped: 0 });
  }

  /** The motion's own time. One before the last asked for starts everything anew, so that the same time looks the same. */
  #clock(time) {
    if (time < this.last) this.#begin();
    const gap = time - this.last;
    if (gap > LONGEST_GAP) this.skipped += gap - LONGEST_GAP;
    this.last = time;
    return time - this.skipped;
  }

  #addGaze(pose, clock) {
    const { saccadeSeconds, headTurnSeconds } = this.constants;
    const shift = this.shifts.begun(clock);
    const from = gazeTarget(this.shifts.before(shift));
    const to = gazeTarget(shift);
    const toward = (seconds) => {
      const share = shift ? ease((clock - shift.time) / seconds) : 0;
      return from.map((start, i) => start + (to[i] - start) * share);
    };
    const head = toward(headTurnSeconds);
    const eyes = toward(saccadeSeconds);
    pose.iris_rotation_x += eyes[0] - 0.2 * head[0];
    pose.iris_rotation_y += eyes[1] - 0.2 * head[1];
    pose.head_x += 0.25 * head[0];
    pose.head_y += 0.25 * head[1];
  }

  #addBlinks(pose, clock) {
    // Two blinks may overlap; the lid is where the one that is further shut has it.
    const closed = Math.max(0, ...this.#blinksNear(clock).map(({ time, draws }) => this.#lid(clock - time, draws)));
    pose.eye_wink_left += closed;
    pose.eye_wink_right += closed;
  }

  /** Blinks of their own, some of them double, and some with wide shifts of gaze. */
  #blinksNear(clock) {
    const { doubleAfter, blinkApart, wide } = this.constants;
    const own = this.blinks.near(clock, blinkApart);
    const again = ({ time, draws }) => ({ time: time + doubleAfter, draws: draws.slice(3) });
    const double = own.filter(({ draws }) => draws[0] < 0.1).map(again);
    const shifted = this.shifts.near(clock, 0).filter((shift) => {
      const [from, to] = [gazeTarget(this.shifts.before(shift)), gazeTarget(shift)];
      const far = Math.hypot(to[0] - from[0], to[1] - from[1]) > wide;
      return far && shift.draws[4] < 0.5 && own.every(({ time }) => Math.abs(time - shift.time) > blinkApart);
    });
    return [
      ...own.map(({ time, draws }) => ({ time, draws: draws.slice(1) })),
      ...double,
      ...shifted.map(({ time, draws }) => ({ time, draws: draws.slice(3) })),
    ];
  }

  #lid(since, draws) {
    const { closing, shut, opening } = this.constants;
    const [down, held, up] = [closing, shut, opening].map(([low, high], i) => low + (high - low) * draws[i]);
    return halfCosine(since / down) - halfCosine((since - down - held) / up);
  }

  #addBreath(pose, clock) {
    const angle = (2 * Math.PI * clock) / BREATH_SECONDS;
    pose.breathing += (1 - Math.cos(angle)) / 2;
    // The chest moves the body a little, and lifts the head a moment later.
    pose.head_x += 0.04 * Math.sin(angle - 1.2);
    pose.body_z += 0.02 * Math.sin(angle - 0.4);
  }

  #addSway(pose, clock) {
    const moving = this.#withoutRests(clock);
    const wave = Object.fromEntries(this.waves.map(([name, sines]) => [name, noise(sines, moving)]));
    // The body goes along with the head by half: shoulders do not stay behind when a head turns.
    wave.body_y = 0.5 * wave.head_y + 0.7 * wave.body_y;
    wave.body_z = 0.5 * wave.neck_z + 0.7 * wave.body_z;
    for (const [name, far] of Object.entries(this.constants.sway)) pose[name] += far * wave[name];
  }

  /** Tells each rest how long it is, and how many seconds the rests before it have taken from the clock. */
  #rest() {
    const { restSeconds, restEase } = this.constants;
    let lost = 0;
    return (rest) => {
      rest.seconds = restSeconds[0] + (restSeconds[1] - restSeconds[0]) * rest.draws[0];
      rest.lost = lost;
      lost += rest.seconds - restEase;
    };
  }

  /** The time on a clock that stops at every rest. */
  #withoutRests(clock) {
    const { restEase } = this.constants;
    const rest = this.rests.begun(clock);
    if (!rest) return clock;
    const since = Math.min(clock - rest.time, rest.seconds);
    const left = rest.seconds - since;
    const part = since < left ? slowing(since, restEase) : rest.seconds - restEase - slowing(left, restEase);
    return clock - rest.lost - part;
  }

  #addExpression(pose, clock) {
    const { small } = this.constants;
    const event = this.expressions.begun(clock);
    if (!event) return;
    const height = bump((clock - event.time) / (1 + 1.4 * event.draws[1])) * (0.4 + 0.6 * event.draws[2]);
    for (const [name, most] of Object.entries(small[Math.floor(event.draws[0] * small.length)])) {
      for (const side of [name, `${name}_left`, `${name}_right`]) if (side in pose) pose[side] += most * height;
    }
  }

  /** The sines of band-limited noise, the slower ones stronger. */
  #waves(name) {
    const { swayBand, sines } = this.constants;
    const [low, high] = swayBand;
    const random = randomStream(this.seed, `sway ${name}`);
    const drawn = Array.from({ length: sines }, () => {
      const frequency = low * (high / low) ** random();
      return { frequency, phase: 2 * Math.PI * random(), weight: Math.sqrt(low / frequency) };
    });
    const norm = Math.hypot(...drawn.map(({ weight }) => weight));
    return drawn.map((sine) => ({ ...sine, weight: sine.weight / norm }));
  }
}

/** Moments with log-normal gaps, each with drawn numbers 0..1: those around the present, drawn when they are needed. */
class Events {
  /** Four in five of the gaps lie from `low` to `high` seconds; `finish` is called with each new event, in order. */
  constructor(random, [low, high], shortest, finish = () => {}) {
    Object.assign(this, { random, low: Math.log(low), high: Math.log(high), shortest, finish, list: [], end: 0 });
  }

  /** The last event that has begun; undefined where none has. */
  begun(time) {
    this.#draw(time);
    return this.list.findLast((event) => event.time <= time);
  }

  /** The event before one. */
  before(event) {
    return event && this.list[this.list.indexOf(event) - 1];
  }

  /** The events that are not long over, and those that begin within so many seconds. */
  near(time, ahead) {
    this.#draw(time + ahead);
    return this.list.filter((event) => event.time <= time + ahead && event.time > time - KEPT_SECONDS);
  }

  #draw(until) {
    while (this.end <= until) {
      this.end += this.#gap();
      const event = { time: this.end, draws: Array.from({ length: DRAWS }, this.random) };
      this.finish(event);
      this.list.push(event);
    }
    // The last two that have begun are needed however long ago that was.
    while (this.list.length > 4 && this.list[2].time < until - 2 * KEPT_SECONDS) this.list.shift();
  }

  #gap() {
    // Box and Muller: a normal number of two uniform ones. Its ±1.28 is where four fifths of the gaps end.
    const normal = Math.sqrt(-2 * Math.log(1 - this.random())) * Math.cos(2 * Math.PI * this.random());
    const bounded = Math.min(2.5, Math.max(-2.5, normal));
    const middle = (this.low + this.high) / 2;
    return Math.max(this.shortest, Math.exp(middle + ((this.high - this.low) / 2 / 1.28) * bounded));
  }
}

/** Where a shift of gaze ends: up and sideways. */
function gazeTarget(shift) {
  if (!shift) return [0, 0];
  // Every other glance or so comes back near the middle.
  const radius = 0.45 * Math.sqrt(shift.draws[0]) * (shift.draws[2] < 0.45 ? 0.15 : 1);
  const angle = 2 * Math.PI * shift.draws[1];
  return [0.5 * radius * Math.sin(angle), radius * Math.cos(angle)];
}

const unit = (x) => Math.min(1, Math.max(0, x));
const ease = (x) => unit(x) ** 3 * (10 - 15 * unit(x) + 6 * unit(x) ** 2);
const halfCosine = (x) => (1 - Math.cos(Math.PI * unit(x))) / 2;
const bump = (x) => (1 - Math.cos(2 * Math.PI * unit(x))) / 2;

/** The seconds that a clock has lost that began to slow down `since` ago and stands after `easing` seconds. */
function slowing(since, easing) {
  const x = unit(since / easing);
  return easing * (x ** 3 - x ** 4 / 2) + Math.max(since - easing, 0);
}

/** Noise within ±1 from its sines. */
function noise(sines, time) {
  const wave = ({ frequency, phase, weight }) => weight * Math.sin(2 * Math.PI * frequency * time + phase);
  return Math.tanh(1.2 * sines.reduce((sum, sine) => sum + wave(sine), 0));
}
