// What trainings have told so far, by node: it outlives the node's element, which the page makes anew now and then.

const EVENT = "tha4.distill";
const KEPT = 8; // trainings
const MOST_POINTS = 2000;

const runs = new Map();
const listeners = new Set();

/** Hear what the server tells. */
export function listen(api) {
  api.addEventListener(EVENT, ({ detail }) => {
    if (!detail?.node) return;
    record(String(detail.node), detail);
    for (const listener of listeners) listener();
  });
}

/** Have `listener` called after every event, until the function that is returned is called. */
export function onEvent(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** `{last, losses, psnrs, preview}` of the training of a node, or undefined. Within subgraphs ids end in the node's own. */
export function runOf(node) {
  const id = String(node.id);
  return runs.get(id) ?? [...runs].findLast(([key]) => key.endsWith(`:${id}`))?.[1];
}

function record(id, event) {
  const run = runs.get(id) ?? { losses: [], psnrs: [], preview: null };
  runs.delete(id);
  runs.set(id, run);
  if (runs.size > KEPT) runs.delete(runs.keys().next().value);
  // A training that starts anew, or goes on from a checkpoint, writes what comes after it again.
  for (const kind of ["losses", "psnrs"]) run[kind] = run[kind].filter(({ step }) => step < event.step);
  if (event.loss) run.losses.push({ step: event.step, face: event.loss.face, body: event.loss.body });
  if (event.psnr) run.psnrs.push({ ...event.psnr, step: event.psnr.step ?? event.step });
  run.psnrs = [...new Map(run.psnrs.map((point) => [point.step, point])).values()];
  for (const kind of ["losses", "psnrs"]) if (run[kind].length > MOST_POINTS) run[kind] = run[kind].filter((_, i) => i % 2 === 0);
  if (typeof event.preview === "string" && event.preview.startsWith("data:image/")) run.preview = event.preview;
  run.last = event;
}
