// The 45 inputs of a Pose Vector: reading and writing them, with the graph's own history.
import { app } from "../../../../scripts/app.js";
import { fitted } from "../pose.js";

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
    const value = Number(this.#driver(name)?.widgets?.[0]?.value ?? this.widgets.get(name)?.value);
    return Number.isFinite(value) ? fitted(this.byName.get(name), value) : 0;
  }

  /** Whether a link drives it. */
  isDriven(name) {
    return this.#input(name)?.link != null;
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

  /** The node whose one number a linked input shows; null for what only a run can tell. */
  #driver(name) {
    const link = this.#input(name)?.link;
    const graph = this.node.graph;
    if (link == null || !graph) return null;
    const found = graph.links?.get?.(link) ?? graph.links?.[link];
    const source = found && graph.getNodeById(found.origin_id);
    return source && /^Primitive/.test(source.type) ? source : null;
  }
}
