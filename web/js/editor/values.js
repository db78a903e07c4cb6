// The 45 inputs of a Pose Vector: reading and writing them, with the graph's own history.
import { app } from "../../../../scripts/app.js";
import { linkOf, origin } from "../graph.js";
import { fitted } from "../pose.js";

// What a node's linked inputs were given in its last run, by workflow and node (undo makes every node anew):
// input → `{from, value}`.
const given = new Map();

/** A node has run with these numbers, by name. */
export function ranWith(node, numbers) {
  given.set(place(node), new Map(Object.entries(numbers).map(([name, value]) => [name, { from: source(node, name), value }])));
}

export class Values {
  constructor(node, parameters) {
    this.node = node;
    this.parameters = parameters;
    this.byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
    this.widgets = new Map(node.widgets.filter((w) => this.byName.has(w.name)).map((w) => [w.name, w]));
    this.open = 0;
    this.busy = false;
  }

  /** The pose: what the inputs say, and for linked ones what drives them where that can be told. */
  pose() {
    return Object.fromEntries(this.parameters.map(({ name }) => [name, this.get(name)]));
  }

  /** One number. */
  get(name) {
    const value = Number(this.#driving(name) ?? this.widgets.get(name)?.value);
    return Number.isFinite(value) ? fitted(this.byName.get(name), value) : 0;
  }

  /** Whether a link drives it. */
  isDriven(name) {
    return this.#input(name)?.link != null;
  }

  /** Whether its value is known: that of a link may not be before a run. */
  isKnown(name) {
    return !this.isDriven(name) || this.#driving(name) !== null;
  }

  /** Set what is not driven, each number brought into its range. */
  set(pose) {
    this.busy = true;
    for (const [name, value] of Object.entries(pose)) {
      const widget = this.widgets.get(name);
      const wanted = fitted(this.byName.get(name), value);
      if (!widget || widget.value === wanted || this.isDriven(name)) continue;
      const before = widget.value;
      widget.value = wanted;
      widget.callback?.(wanted, app.canvas, this.node);
      this.node.onWidgetChanged?.(name, wanted, before, widget);
    }
    this.busy = false;
    this.node.setDirtyCanvas?.(true, false);
  }

  /** Everything until the matching `end` is one step of the graph's history. */
  begin() {
    this.open += 1;
    if (this.open === 1) app.canvas?.emitBeforeChange();
  }

  end() {
    if (this.open === 0) return;
    this.open -= 1;
    if (this.open === 0) app.canvas?.emitAfterChange();
  }

  /** Set as one step. */
  change(pose) {
    this.begin();
    this.set(pose);
    this.end();
  }

  /** End whatever step is open, as where the node goes away in the middle of one. */
  close() {
    if (this.open) {
      this.open = 1;
      this.end();
    }
  }

  #input(name) {
    return this.node.inputs?.find((input) => input.widget?.name === name);
  }

  /** What a link gives to an input: the number of a primitive node, else that of the last run; null before it. */
  #driving(name) {
    if (!this.isDriven(name)) return null;
    const node = origin(this.node, name);
    if (/^Primitive/.test(node?.type)) return node.widgets?.[0]?.value ?? null;
    const last = given.get(place(this.node))?.get(name);
    return last?.from === source(this.node, name) ? last.value : null;
  }
}

const place = ({ graph, id }) => `${graph?.rootGraph?.id ?? ""} ${graph?.id ?? ""} ${id}`;

/** Where an input's link begins. */
function source(node, name) {
  const link = linkOf(node.graph, node.inputs?.find((input) => input.name === name)?.link);
  return link && `${link.origin_id} ${link.origin_slot}`;
}
