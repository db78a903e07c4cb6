// What a tracker says of the neutral face: calibrated at a key press, and the head slowly centred again by itself.

const SHAPE_LIMIT = 128; // names in a message; ARKit has 52
// The faces that a calibration takes the median of: a blink among them makes no difference.
const CALIBRATION_SECONDS = 1;
const MOST_FACES = 150;
// Degrees: a head that is turned further is looking at something, and is not centred again.
const CENTRED = 20;

/**
 * A face message's content: `{shapes, angles, pose}`, shapes within 0..1 or null, angles three numbers or null. What is
 * no number is left out.
 */
export function readFace({ shapes, angles, pose }) {
  const entries = Object.entries(shapes ?? {}).slice(0, SHAPE_LIMIT).filter(([, value]) => Number.isFinite(value));
  const turned = Array.isArray(angles) && angles.length === 3 && angles.every(Number.isFinite);
  return {
    shapes: entries.length ? Object.fromEntries(entries.map(([name, value]) => [name, Math.min(1, Math.max(0, value))])) : null,
    angles: turned ? angles : null,
    pose: pose ?? {},
  };
}

export class Neutral {
  constructor() {
    Object.assign(this, { recent: [], pending: false, last: null });
  }

  /** Take note of a face. Returns the neutral face, which may have been moved a little towards it. */
  update({ shapes, angles }, time, settings) {
    this.recent.push({ shapes, angles, time });
    while (this.recent.length > MOST_FACES || this.recent[0].time < time - CALIBRATION_SECONDS) this.recent.shift();
    if (this.pending) settings.neutral = this.calibrate(time);
    const neutral = settings.neutral ?? {};
    if (angles && settings.recentreSeconds > 0) {
      settings.neutral = { ...neutral, angles: this.#recentred(neutral.angles, angles, time, settings) };
    }
    this.last = time;
    return settings.neutral ?? {};
  }

  /** The median of the faces of the last second, as `{shapes, angles}`. Without any, null, and the next face counts. */
  calibrate(time) {
    const faces = this.recent.filter((face) => face.time >= time - CALIBRATION_SECONDS);
    this.pending = faces.length === 0;
    if (this.pending) return null;
    const names = new Set(faces.flatMap(({ shapes }) => Object.keys(shapes ?? {})));
    const shapes = Object.fromEntries([...names].map((name) => [name, median(faces.map((face) => face.shapes?.[name] ?? 0))]));
    const turned = faces.flatMap(({ angles }) => (angles ? [angles] : []));
    return { shapes, angles: [0, 1, 2].map((axis) => (turned.length ? median(turned.map((angles) => angles[axis])) : 0)) };
  }

  #recentred(from = [0, 0, 0], angles, time, { recentreSeconds }) {
    const seconds = Math.min(Math.max(time - (this.last ?? time), 0), 1);
    if (angles.some((angle, i) => Math.abs(angle - from[i]) > CENTRED)) return from;
    const share = 1 - Math.exp(-seconds / recentreSeconds);
    return from.map((angle, i) => angle + share * (angles[i] - angle));
  }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}
