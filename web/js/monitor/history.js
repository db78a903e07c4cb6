// The events of trainings so far, by node. They outlive the node's element, which the page rebuilds now and then.

const EVENT = "tha4.distill";
const TRAINING = "training";
const KEPT = 8; // trainings
const MOST_POINTS = 2000;

const runs = new Map();
const listeners = new Set();

/** Record the server's events. */
export function listen(api) {
  api.addEventListener(EVENT, ({ detail }) => {
    if (!detail?.node) return;
    record(String(detail.node), detail);
    for (const listener of listeners) listener();
  });
}

/** Call `listener` after every event; returns the function that ends it. */
export function onEvent(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** `{last, losses, psnrs, preview, steps}` of the training of a node, or undefined. Within subgraphs ids end in the node's own. */
export function runOf(node) {
  const id = String(node.id);
  return runs.get(id) ?? [...runs].findLast(([key]) => key.endsWith(`:${id}`))?.[1];
}

function record(id, event) {
  const run = runs.get(id) ?? { losses: [], psnrs: [], preview: null, steps: 1 };
  runs.delete(id);
  runs.set(id, run);
  if (runs.size > KEPT) runs.delete(runs.keys().next().value);
  if (event.step < run.last?.step) run.preview = null; // another training
  if (typeof event.preview === "string" && event.preview.startsWith("data:image/")) run.preview = event.preview;
  run.last = event;
  // While the teacher renders its frames, the steps count these frames.
  if ((event.stage ?? TRAINING) !== TRAINING) return;
  run.steps = event.steps;
  run.losses = continued(run.losses, event.loss, event.step);
  run.psnrs = continued(run.psnrs, event.psnr, event.step);
}

/** The points with a new one. Those after it are dropped: the training began again, or from a checkpoint. */
function continued(points, measured, now) {
  const point = measured && { ...measured, step: measured.step ?? now };
  const kept = points.filter(({ step }) => step <= now && step !== point?.step);
  if (point) kept.push(point);
  return kept.length > MOST_POINTS ? kept.filter((_, i) => i % 2 === 0) : kept;
}
