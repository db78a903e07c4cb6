// Poses as plain objects of names and numbers, and what one can do with them. Nothing here knows of a page or a node.

/** A number in a parameter's range, rounded as the node's inputs are. */
export const fitted = (parameter, value) =>
  Math.round(Math.min(parameter.maximum, Math.max(parameter.minimum, value)) * 1000) / 1000;

/** The pose in a mirror: left and right change places, and what points to a side points to the other. */
export const mirrored = (parameters, pose) =>
  Object.fromEntries(parameters.map((p) => [p.mirrored, (p.sideways ? -1 : 1) * pose[p.name] || 0]));

/** All numbers at 0. */
export const neutral = (parameters) => Object.fromEntries(parameters.map((p) => [p.name, 0]));

/** What an expression makes of a pose at a strength of 0..1: what it speaks for goes towards it, the rest stays. */
export function expressed(pose, expression, strength) {
  const wanted = Object.entries(expression.values);
  return Object.fromEntries(wanted.map(([name, value]) => [name, pose[name] + (value - pose[name]) * strength]));
}

/** A pose that a person might take: an expression, more or less of it, and a turn of head, eyes and body. */
export function random(parameters, expressions, chance = Math.random) {
  const faces = expressions.filter((one) => one.kind === "emotion");
  const face = faces[Math.floor(chance() * faces.length)];
  const pose = { ...neutral(parameters), ...expressed(neutral(parameters), face, 0.5 + chance() / 2) };
  const turn = (reach) => (chance() + chance() - 1) * reach; // most often a little, seldom all the way
  Object.assign(pose, { head_x: turn(0.8), head_y: turn(1), neck_z: turn(0.8), breathing: chance() });
  Object.assign(pose, { body_y: turn(0.6), body_z: turn(0.5), iris_rotation_x: turn(0.6), iris_rotation_y: turn(0.8) });
  return pose;
}

/** A pose as text: JSON with what is not 0. */
export const toText = (pose) =>
  JSON.stringify(Object.fromEntries(Object.entries(pose).filter(([, value]) => value !== 0)), null, 1);

/**
 * A pose from text: an object of names and numbers (a two-sided name without its side sets both), or 45 numbers.
 * Numbers outside of their range are brought into it; their names are added to `outside`. Throws an Error that says what
 * is wrong.
 */
export function fromText(parameters, text, outside = []) {
  const given = parsed(text);
  const pose = neutral(parameters);
  const take = (p, value) => {
    pose[p.name] = checked(p, value);
    if (value < p.minimum || value > p.maximum) outside.push(p.name);
  };
  if (Array.isArray(given)) {
    const count = parameters.length;
    if (given.length !== count) throw new Error(`A pose has ${count} numbers, not ${given.length}.`);
    parameters.forEach((p, i) => take(p, given[i]));
    return pose;
  }
  for (const [name, value] of Object.entries(given)) {
    const meant = parameters.filter((p) => [p.name, p.name.replace(/_(left|right)$/, "")].includes(name));
    if (!meant.length) throw new Error(`There is no pose parameter named "${name}".`);
    for (const p of meant) take(p, value);
  }
  return pose;
}

function parsed(text) {
  let given = null;
  try {
    given = JSON.parse(text);
  } catch {
    // told below
  }
  if (given === null || typeof given !== "object") throw new Error("This is not a pose: it must be JSON.");
  return given;
}

function checked(parameter, value) {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Error(`${parameter.name} must be a number.`);
  return fitted(parameter, value);
}
