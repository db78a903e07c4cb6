// From a tracked face to the pose parameters: the library's tha4_core/motion/tracking/conversion.py, one face at a time.
// Tests hold the two together. Shapes have ARKit's names; angles are degrees `[pitch, yaw, roll]`, positive down, to the
// character's left, and tilting to the character's right.
import { vowelMixer } from "./vowel_mix.js";

const SIDES = ["Left", "Right"];
// What a tracker must send for a part of the character to follow it; the rest stays as it is.
const SOURCES = [
  [/^brow/, /^eyebrow_(?!happy)/],
  [/^eye(Blink|Wide)|^cheekSquint/, /^eye_/],
  [/^eyeLook/, /^iris_rotation_/],
  [/^(mouth|jaw)/, /^mouth_|^eyebrow_happy/],
];
const TURNED = ["head_x", "head_y", "neck_z", "body_y", "body_z"];

/**
 * Makes the converter `(shapes, angles, neutral, settings) => {name: value}`, names without their side meaning both
 * sides. `neutral` is `{shapes, angles}`: what the tracker says of the neutral face. Shapes or angles may be null; only
 * what the tracker sends is converted. `settings` replaces some of the library's conversion settings.
 */
export function faceConverter({ conversion, vowelMix }) {
  const mix = vowelMixer(vowelMix);
  return (shapes, angles, neutral = {}, settings = {}) => {
    const all = { ...conversion, ...settings };
    const values = angles ? turns(angles, neutral.angles ?? [0, 0, 0], all) : {};
    if (!shapes) return values;
    const shape = calibrated(shapes, neutral.shapes ?? {});
    const face = { iris_small: all.iris_small, ...upperFace(shape, all), ...mouth(shape, all, mix), ...gaze(shape, all) };
    return { ...values, ...sent(face, Object.keys(shapes)) };
  };
}

/** The values whose shapes were sent. */
function sent(values, names) {
  const parts = SOURCES.filter(([source]) => names.some((name) => source.test(name))).map(([, part]) => part);
  const known = (name) => name === "iris_small" || parts.some((part) => part.test(name));
  return Object.fromEntries(Object.entries(values).filter(([name]) => known(name)));
}

/** Shapes by name, 0 up to the neutral value and from there to 1; `signed` is how far above or below it. */
function calibrated(shapes, neutral) {
  const shape = (name) => {
    const low = Math.min(neutral[name] ?? 0, 0.99);
    return Math.max(((shapes[name] ?? 0) - low) / (1 - low), 0);
  };
  shape.signed = (name) => (shapes[name] ?? 0) - (neutral[name] ?? 0);
  return shape;
}

const clamp = (x, low = 0, high = 1) => Math.min(high, Math.max(low, x));
const between = (x, low, high) => clamp((x - low) / (high - low));
const smile = (shape) => (shape("mouthSmileLeft") + shape("mouthSmileRight")) / 2 + shape("mouthShrugUpper");

function upperFace(shape, settings) {
  const glad = smile(shape);
  const s = between(glad, settings.smile_low, settings.smile_high);
  const values = { eyebrow_happy: clamp(glad) * s };
  for (const side of SIDES) {
    const blink = clamp(shape(`eyeBlink${side}`) / settings.blink_full);
    const squint = shape(`cheekSquint${side}`);
    const one = {
      eyebrow_raised: clamp(shape("browInnerUp") + shape(`browOuterUp${side}`)),
      [`eyebrow_${settings.brow_down}`]: (1 - s) * clamp(shape(`browDown${side}`) / settings.brow_down_full),
      eye_surprised: clamp(shape(`eyeWide${side}`) / settings.eye_wide_full),
      [`eye_${settings.blink}`]: (1 - s) * blink,
      eye_happy_wink: s * blink,
      eye_raised_lower_eyelid: between(squint, settings.cheek_squint_low, settings.cheek_squint_high),
    };
    for (const [name, value] of Object.entries(one)) values[`${name}_${side.toLowerCase()}`] = value;
  }
  return values;
}

function gaze(shape, settings) {
  const inward = shape.signed("eyeLookInLeft") - shape.signed("eyeLookInRight");
  const outward = shape.signed("eyeLookOutLeft") - shape.signed("eyeLookOutRight");
  const up = shape.signed("eyeLookUpLeft") + shape.signed("eyeLookUpRight");
  const down = shape.signed("eyeLookDownLeft") + shape.signed("eyeLookDownRight");
  return {
    iris_rotation_x: clamp(((up - down) / 2) * settings.gaze, -1),
    iris_rotation_y: clamp(((inward - outward) / 2) * settings.gaze, -1),
  };
}

function turns(angles, neutral, settings) {
  const [x, y, z] = angles.map((angle, i) => angle - neutral[i]);
  const turn = -y / settings.head_y_full;
  const tilt = z / settings.neck_z_full;
  const values = [-x / settings.head_x_full, turn, tilt, turn * settings.body, tilt * settings.body];
  return Object.fromEntries(TURNED.map((name, i) => [name, clamp(values[i], -1)]));
}

function mouth(shape, settings, mix) {
  const opened = between(shape("jawOpen"), settings.jaw_open_low, settings.jaw_open_high);
  const lower = shape("mouthLowerDownLeft") + shape("mouthLowerDownRight");
  const funnel = shape("mouthFunnel");
  const weights = opened > 0 ? mix([opened, clamp(lower), funnel, shape("mouthPucker")]) : [0, 0, 0, 0];
  const rounded = clamp(weights[2] + weights[3]);
  const share = between(funnel, settings.funnel_low, settings.funnel_high);
  const frown = clamp((shape("mouthFrownLeft") + shape("mouthFrownRight")) / settings.frown_full);
  return {
    mouth_raised_corner: clamp(smile(shape)),
    mouth_lowered_corner: opened > 0 ? 0 : frown,
    mouth_aaa: weights[0],
    mouth_iii: weights[1],
    mouth_uuu: rounded * (1 - share),
    mouth_ooo: rounded * share,
  };
}
