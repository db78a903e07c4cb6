// What is known of distillations, by the student's name: the server tells all of it when asked, and what is new in
// events. It outlives a node's element, which the page rebuilds now and then.
import { api } from "../../../../scripts/api.js";

const EVENT = "tha4.distill";
const TRAINING = "training";
const KEPT = 8; // trainings
const SOON = 300; // milliseconds: several changes of the queue come at once
const SILENT = 60_000; // milliseconds: of a run that is not heard of for so long the server has gone

const runs = new Map();
const listeners = new Set();
let asking = null;

/** Record the server's events, and ask again where the queue or the connection changes. */
export function listen() {
  api.addEventListener(EVENT, ({ detail }) => {
    if (!detail?.name) return;
    record(detail);
    tell();
    if (detail.state !== "running") askSoon();
  });
  for (const name of ["status", "reconnected", "execution_success", "execution_error", "execution_interrupted"]) {
    api.addEventListener(name, askSoon);
  }
}

/** Call `listener()` after every change; `asked()` gives the names to ask the server about. Returns what ends it. */
export function onChange(listener, asked) {
  const entry = { listener, asked };
  listeners.add(entry);
  return () => listeners.delete(entry);
}

/** The run of a name, or of a node whose name a link brings: `{now, losses, scores, preview, note}`, or undefined. */
export function runOf(name, node) {
  if (name !== null) return runs.get(name);
  const id = String(node.id); // within subgraphs the server's ids end in the node's own
  return [...runs.values()].findLast(({ now }) => now.node === id || String(now.node).endsWith(`:${id}`));
}

/** Whether the server is distilling, as far as this page has heard. */
export function isDistilling() {
  return [...runs.values()].some(({ now, heard }) => now.state === "running" && performance.now() - heard < SILENT);
}

/** Ask the server what there is of a name. */
export async function ask(name) {
  const response = await api.fetchApi(`/tha4/distill?${new URLSearchParams({ name })}`);
  const facts = await response.json();
  if (!response.ok) throw new Error(facts.error);
  const before = runs.get(name);
  const state = facts.state === "none" && before && before.now.state !== "none" ? "gone" : facts.state;
  // Of a run that waits the server may know nothing yet.
  const { losses = [], scores = [] } = state === "waiting" && before ? { ...before, ...facts } : facts;
  const note = facts.note ?? (state === before?.now.state ? before.note : "");
  keep(name, { now: { ...facts, state }, losses, scores, preview: picture(facts.preview) ?? before?.preview ?? null, note });
}

/** A picture that the server made, and no address of another site. */
const picture = (preview) => (typeof preview === "string" && preview.startsWith("data:image/") ? preview : null);

function askSoon() {
  asking ??= setTimeout(() => {
    asking = null;
    const names = new Set([...listeners].map(({ asked }) => asked()).filter(Boolean));
    for (const name of names) ask(name).catch((error) => console.warn(`THA4: ${error.message}`));
  }, SOON);
}

function keep(name, run) {
  runs.delete(name);
  runs.set(name, { ...run, heard: performance.now() });
  if (runs.size > KEPT) runs.delete(runs.keys().next().value);
  tell();
}

function tell() {
  for (const { listener } of listeners) listener();
}

function record(event) {
  const run = runs.get(event.name) ?? { losses: [], scores: [], preview: null };
  if (event.state === "running" && event.step < run.now?.step && event.stage === run.now?.stage) run.preview = null; // another training
  const { loss, psnr, preview, note, ...now } = event;
  run.preview = picture(preview) ?? run.preview;
  Object.assign(run, { now, note, heard: performance.now() });
  runs.delete(event.name);
  runs.set(event.name, run);
  // While the teacher renders its frames, the steps count these frames.
  if (event.stage !== TRAINING) return;
  run.losses = continued(run.losses, loss, event.step);
  run.scores = continued(run.scores, psnr, event.step);
}

/** The rows [step, face, body] with a new one. Those after it are dropped: the training began again, or from a checkpoint. */
function continued(rows, measured, now) {
  const row = measured && [measured.step, measured.face, measured.body];
  const kept = rows.filter(([step]) => step <= now && step !== row?.[0]);
  return row ? [...kept, row] : kept;
}
