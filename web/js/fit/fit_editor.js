// The fit editor of one Load Character: its picture in the frame, to be dragged until the head is in its box.
import { LatestRequest } from "../api.js";
import { h } from "../editor/dom.js";
import { Values } from "../editor/values.js";
import { isLinked, value } from "../graph.js";
import { leaveWheel } from "../panel.js";
import { finding, text } from "../text.js";
import { onHands } from "./hands.js";
import { findSource } from "./source.js";

const SIZE = 512;
const BOX = [192, 64, 320, 192];
const CENTRE = [256, 128];
const RED = "#dc1e3c";
const WATCH = 200; // milliseconds between looks at what changed elsewhere
const INPUTS = [
  { name: "scale", minimum: 0.1, maximum: 10 },
  { name: "offset_x", minimum: -1024, maximum: 1024 },
  { name: "offset_y", minimum: -1024, maximum: 1024 },
];

export class FitEditor {
  constructor(node) {
    this.node = node;
    this.values = new Values(node, INPUTS);
    this.canvas = h("canvas", { width: SIZE, height: SIZE, tabIndex: 0, title: text(HOW) });
    this.stage = h("div.tha4-fit-stage", {}, this.canvas);
    this.readout = h("span.tha4-fit-readout");
    const button = (name, label, title, then) =>
      h("button", { type: "button", title: text(title), "data-name": name, onclick: then }, label);
    const bar = h(
      "div.tha4-fit-bar",
      {},
      this.readout,
      button("smaller", "−", "Smaller", () => this.#step((now) => scaled(now, 1 / 1.05))),
      button("larger", "+", "Larger", () => this.#step((now) => scaled(now, 1.05))),
      button("reset", "↺", "Back to where fit puts it", () => this.#step(() => ({ scale: 1, x: 0, y: 0 }))),
    );
    this.report = h("div.tha4-fit-report", { role: "status" });
    this.element = h("div.tha4-panel.tha4-fit", { "data-capture-wheel": "true" }, this.stage, h("div.tha4-fit-side", {}, bar, this.report));
    this.#listen();
  }

  start() {
    if (this.timer) return;
    this.picturing = new LatestRequest("/tha4/picture", (blob, { source }) => this.#take(blob, source), (why) => this.#miss(why));
    this.looking = new LatestRequest("/tha4/fit", (look, { source }) => this.#told(look, source), (why) => this.#miss(why));
    this.timer = setInterval(() => this.#watch(), WATCH);
    this.#watch();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.picturing?.close();
    this.looking?.close();
    this.values.close();
    this.bitmap?.close();
    Object.assign(this, { bitmap: null, pictured: null, seen: null });
  }

  /** The node has run: what it was given is known now. */
  ran(output) {
    this.given = output?.tha4_picture?.[0] ?? this.given;
    this.seen = null;
  }

  #listen() {
    onHands(this.canvas, {
      start: () => {
        this.canvas.focus({ preventScroll: true });
        this.values.begin();
        this.exact = this.#now();
      },
      move: ({ x, y, scale }) => {
        const moved = { ...this.exact, x: this.exact.x + x * SIZE, y: this.exact.y + y * SIZE };
        this.exact = scaled(moved, scale);
        this.#set(this.exact);
      },
      end: () => this.values.end(),
    });
    this.element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  #now = () => ({ scale: this.values.get("scale"), x: this.values.get("offset_x"), y: this.values.get("offset_y") });

  #set({ scale, x, y }) {
    this.values.set({ scale: Math.round(scale * 100) / 100, offset_x: Math.round(x), offset_y: Math.round(y) });
    this.#watch();
  }

  /** One step of the graph's history. */
  #step(change) {
    this.values.begin();
    this.#set(change(this.#now()));
    this.values.end();
  }

  #wheel(event) {
    if (document.activeElement !== this.canvas || event.ctrlKey || event.target !== this.canvas) return leaveWheel(event);
    event.preventDefault();
    event.stopPropagation();
    if (!this.wheeling) {
      this.values.begin();
      this.exact = this.#now();
    }
    clearTimeout(this.wheeling);
    this.wheeling = setTimeout(() => {
      this.wheeling = null;
      this.values.end();
    }, 400);
    this.exact = scaled(this.exact, event.deltaY < 0 ? 1.03 : 1 / 1.03);
    this.#set(this.exact);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = event.shiftKey ? 10 : 1;
    const [x, y] = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key] ?? [];
    const by = { "+": 1.02, "=": 1.02, "-": 1 / 1.02 }[event.key];
    if (x === undefined && !by) return;
    event.preventDefault();
    event.stopPropagation();
    this.#step((now) => (by ? scaled(now, by) : { ...now, x: now.x + x, y: now.y + y }));
  }

  /** See whether anything changed, here or elsewhere. */
  #watch() {
    if (!this.timer || !this.element.isConnected || document.hidden) return;
    const found = findSource(this.node, this.given);
    const now = this.#now();
    const fit = isLinked(this.node, "fit") ? "auto" : value(this.node, "fit");
    const seen = JSON.stringify([found, now, fit]);
    if (seen === this.seen) return;
    this.seen = seen;
    this.#show(found, now, fit);
  }

  #show(found, { scale, x, y }, fit) {
    const driven = INPUTS.some(({ name }) => this.values.isDriven(name));
    this.canvas.classList.toggle("tha4-driven", driven);
    this.readout.textContent = driven ? text("driven by a link") : `× ${scale.toFixed(2)}   ${x}, ${y}`;
    this.found = found;
    if (!found.source) return this.#miss(found.problem);
    this.looking.send({ source: found.source, fit, scale, offset_x: x, offset_y: y });
    this.#draw();
  }

  #picture(source) {
    const wanted = JSON.stringify(source);
    if (wanted === this.pictured) return;
    this.pictured = wanted;
    this.picturing.send({ source });
  }

  async #take(blob, source) {
    const bitmap = await createImageBitmap(blob);
    if (!this.timer || JSON.stringify(source) !== this.pictured) return bitmap.close();
    this.bitmap?.close();
    this.bitmap = bitmap;
    this.#draw();
  }

  #told({ problem, size, start, findings }, source) {
    if (problem) return this.#miss(problem);
    Object.assign(this, { size, placed: start });
    this.#picture(source);
    const says = findings.map(({ code, text: said }) =>
      h(code === "size" ? "li.tha4-note" : "li.tha4-warning", { "data-code": code }, finding(code, said)),
    );
    const whence = this.found?.source?.kind === "run" ? [h("li.tha4-note", {}, text("The picture of the last run."))] : [];
    const fits = findings.every(({ code }) => code === "size");
    if (fits) says.unshift(h("li.tha4-good", {}, text("The picture fits.")));
    this.report.replaceChildren(h("ul", {}, ...says, ...whence));
    this.element.dataset.codes = findings.map(({ code }) => code).join(" ");
    this.#draw();
  }

  /** There is no picture to see; say why. */
  #miss(why) {
    const planned = this.found?.problem;
    this.report.replaceChildren(h("ul", {}, h("li.tha4-note", {}, planned ?? why)));
    this.bitmap?.close();
    Object.assign(this, { bitmap: null, pictured: null, placed: null });
    this.element.dataset.codes = "";
    this.#draw();
  }

  #draw() {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, SIZE, SIZE);
    if (this.bitmap && this.placed) {
      const { scale, x, y } = this.#now();
      const left = (this.placed.x - CENTRE[0]) * scale + CENTRE[0] + x;
      const top = (this.placed.y - CENTRE[1]) * scale + CENTRE[1] + y;
      const size = this.placed.scale * scale;
      context.drawImage(this.bitmap, left, top, this.size[0] * size, this.size[1] * size);
    }
    const [left, top, right, bottom] = BOX;
    Object.assign(context, { strokeStyle: RED, lineWidth: 3 });
    context.strokeRect(left, top, right - left, bottom - top);
    context.beginPath();
    context.moveTo(CENTRE[0], top - 14);
    context.lineTo(CENTRE[0], bottom + 14);
    context.lineWidth = 1;
    context.stroke();
  }
}

const HOW = "Drag the picture until the head fills the red box. Click it, then the wheel or + and - scale it; two fingers do both.";

/** A placement scaled about the head box, so that what is in the box stays there. */
const scaled = ({ scale, x, y }, by) => {
  const wanted = Math.min(10, Math.max(0.1, scale * by));
  return { scale: wanted, x: x * (wanted / scale), y: y * (wanted / scale) };
};
