// Squares in which one point sets several numbers at once.
import { text } from "../text.js";
import { h, onDrag, place } from "./dom.js";
import { PADS, fromShare, share } from "./shapes.js";

// The labels at a pad's edges.
const edgeLabels = () => ({
  gaze: {},
  lids: { top: text("wide"), "bottom-left": text("shut"), "bottom-right": text("smile") },
  brows: { left: text("worry"), right: text("anger") },
  mouth: { "top-left": "u", "top-right": "i", bottom: "a", "bottom-left": "o", "bottom-right": "e" },
});
// A pad's name and what it does.
const labels = () => ({
  gaze: [text("gaze"), text("Where the eyes look")],
  lids: [text("lids"), text("Up opens the eyes wide, down shuts them: to the right with a smile")],
  brows: [text("brows"), text("Up and down; to the left worried, to the right angry")],
  mouth: [text("mouth"), text("Down opens the mouth; to the left it is narrow, to the right wide")],
});
const SIDES = ["right", "left"]; // as they are seen

export class Pad {
  /** `name` is one of PADS; `linked()` says whether both sides go together. */
  constructor(name, pose, linked) {
    Object.assign(this, { pad: PADS[name], pose, linked });
    this.dots = (this.pad.sided ? SIDES : [""]).map((side) => h("div.tha4-dot", { "data-side": side }));
    const edges = Object.entries(edgeLabels()[name]).map(([edge, label]) => h(`span.tha4-edge.${edge}`, {}, label));
    const [shown, title] = labels()[name];
    this.area = h("div.tha4-pad-area", { tabIndex: 0, "data-pad": name }, ...edges, ...this.dots);
    this.element = h("div.tha4-pad", { title }, this.area, h("span.tha4-pad-name", {}, shown));
    this.#listen();
  }

  /** Show the pose. */
  show() {
    const { pad, pose } = this;
    for (const dot of this.dots) {
      const point = pad.read((name) => pose.get(this.#sided(name, dot.dataset.side)));
      dot.point = { x: point.x ?? dot.point?.x ?? 0, y: point.y };
      dot.style.left = `${(dot.point.x + 1) * 50}%`;
      dot.style.top = `${share(pad, dot.point.y) * 100}%`;
    }
    const [first, second] = this.dots.map(({ point }) => `${point.x} ${point.y}`);
    const together = this.linked() && (second === undefined || first === second);
    for (const dot of this.dots) {
      dot.hidden = together && dot !== this.dots[0];
      dot.textContent = together ? "" : (dot.dataset.side[0] ?? "").toUpperCase();
    }
    const all = this.dots.flatMap((dot) => pad.names.map((name) => this.#sided(name, dot.dataset.side)));
    this.element.classList.toggle("tha4-driven", all.every((name) => pose.isDriven(name)));
  }

  #sided = (name, side) => (side ? `${name}_${side}` : name);

  #listen() {
    let dot = null;
    const follow = (event) => {
      const { x, y } = place(this.area, event);
      this.#move(dot, { x: x * 2 - 1, y: fromShare(this.pad, y) });
    };
    onDrag(this.area, {
      start: (event) => {
        if (this.element.classList.contains("tha4-driven")) return false;
        this.area.focus({ preventScroll: true });
        dot = this.#nearest(event);
        this.pose.begin();
        follow(event);
        return true;
      },
      move: follow,
      end: () => this.pose.end(),
    });
    this.area.addEventListener("dblclick", () => this.#step(null, { x: 0, y: 0 }));
    this.area.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const { x, y } = this.dots[0].point;
    this.#step(this.dots[0], { x: x + step[0], y: y + (this.pad.downwards ? -step[1] : step[1]) });
  }

  #step(dot, point) {
    this.pose.begin();
    this.#move(dot, point);
    this.pose.end();
  }

  /** Move one dot, or with links, or without a dot, all. */
  #move(dot, { x, y }) {
    const point = { x: Math.min(1, Math.max(-1, x)), y: Math.min(1, Math.max(this.pad.low, y)) };
    for (const one of dot && !this.linked() ? [dot] : this.dots) {
      one.point = { ...point };
      const written = Object.entries(this.pad.write(point));
      this.pose.set(Object.fromEntries(written.map(([name, value]) => [this.#sided(name, one.dataset.side), value])));
    }
  }

  #nearest(event) {
    if (this.dots.length === 1 || this.linked()) return this.dots[0];
    const distance = (dot) => {
      const box = dot.getBoundingClientRect();
      return Math.hypot(event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2);
    };
    return [...this.dots].sort((a, b) => distance(a) - distance(b))[0];
  }
}
