// The motion that a node makes, as the server tells it before anything is queued.
import { app } from "../../../../scripts/app.js";
import { LatestRequest } from "../api.js";
import { linkOf } from "../graph.js";
import { message, text } from "../text.js";

const OURS = /^THA4/;
const MOST_NODES = 64;

export class Motion {
  /**
   * `onMotion({fps, frames, curves, notes, note, line_times, script})` gets every new motion (the last two of a script), `onProblem(text, inInput)` why there is none:
   * `inInput` where an input of this node or of one before it is wrong, such as a script while it is being written.
   */
  constructor(node, onMotion, onProblem) {
    Object.assign(this, { node, onMotion, onProblem, seen: null, ran: null });
    this.latest = new LatestRequest("/tha4/poses", (motion, question) => this.#take(motion, question), (...why) => this.#refused(...why));
  }

  /** Why an answer is late; mostly empty. */
  get note() {
    return this.latest.note;
  }

  /** The node has run and its motion has this mark. */
  made(mark) {
    this.ran = mark || null;
    this.seen = null;
  }

  /** See whether anything changed that the motion depends on, and ask for the new one. */
  async watch() {
    const seen = signature(this.node);
    if (seen === this.seen) return;
    this.seen = seen;
    const { output } = await app.graphToPrompt();
    const id = String(this.node.id);
    const node = [id, ...Object.keys(output)].find((key) => (key === id || key.endsWith(`:${id}`)) && isFor(output[key], this.node));
    if (!node) return this.onProblem(text("This node is switched off."));
    this.latest.send({ graph: upstream(output, node), node });
  }

  close() {
    this.latest.close();
    this.seen = null;
  }

  #take(answer, { run_result: fromRun, graph, node }) {
    const script = graph?.[node].inputs.script;
    if (!answer.problem) this.onMotion({ ...answer, notes: answer.notes.map(message), script, note: fromRun ? text("from the last run") : "" });
    else if (answer.after_run && this.ran) this.latest.send({ run_result: this.ran });
    else if (answer.after_run) this.onProblem(text("What is connected is known once the graph has run."));
    else this.onProblem(message(answer.problem), true);
  }

  #refused(why, question) {
    if (question.run_result) this.ran = null;
    this.onProblem(question.run_result ? text("This motion is forgotten. Run the graph again.") : why);
  }
}

const isFor = (entry, node) => entry?.class_type === node.comfyClass;

/** The node and what it is linked to, and so on; of other packs' nodes only that they are there. */
function upstream(output, first) {
  const found = {};
  const waiting = [first];
  while (waiting.length && Object.keys(found).length < MOST_NODES) {
    const id = waiting.shift();
    const entry = output[id];
    if (!entry || found[id]) continue;
    const { class_type: kind, inputs } = entry;
    const given = Object.entries(inputs).filter(([, value]) => OURS.test(kind) || !Array.isArray(value));
    found[id] = { class_type: kind, inputs: Object.fromEntries(given) };
    for (const [, value] of given) if (Array.isArray(value) && value.length === 2) waiting.push(String(value[0]));
  }
  return found;
}

/** All that the node's motion depends on, as a text: widgets and links of it and of what it is linked to. */
function signature(first) {
  const told = [];
  const waiting = [first];
  const seen = new Set();
  while (waiting.length && seen.size < MOST_NODES) {
    const node = waiting.shift();
    if (!node || seen.has(node)) continue;
    seen.add(node);
    const values = (node.widgets ?? []).filter((widget) => widget.serialize !== false).map((widget) => widget.value);
    const links = (node.inputs ?? []).filter((input) => input.link != null).map((input) => linkOf(node.graph, input.link));
    told.push([node.id, node.type, node.mode, values, links.map((link) => [link?.origin_id, link?.origin_slot, link?.target_slot])]);
    for (const link of links) waiting.push(link && node.graph.getNodeById(link.origin_id));
  }
  return JSON.stringify(told);
}
