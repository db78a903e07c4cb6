// The fit editor of one Load Character: its picture in the frame, to be dragged until the head is in its box.
import { LatestRequest } from "../api.js";
import { h } from "../editor/dom.js";
import { Values } from "../editor/values.js";
import { isLinked, value } from "../graph.js";
import { leaveWheel } from "../panel.js";
import { finding, message, missing, text } from "../text.js";
import { Choices } from "./choices.js";
import { onHands } from "./hands.js";
import { CENTRE, SIZE, adjusted, drawPlaced } from "./placement.js";
import { findSource, ranWith } from "./source.js";
import { takeDrops, uploadButton } from "./upload.js";

const BOX = [192, 64, 320, 192];
const RED = "#dc1e3c";
const NEUTRAL = { scale: 1, x: 0, y: 0 };
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
      button("reset", "↺", "Back to where fit puts it", () => this.#step(() => NEUTRAL)),
    );
    this.choices = new Choices((fit) => this.#choose(fit));
    this.report = h("div.tha4-fit-report", { role: "status" });
    const side = h("div.tha4-fit-side", {}, bar, this.choices.element, this.report);
    this.element = h("div.tha4-panel.tha4-fit", { "data-capture-wheel": "true" }, this.stage, side);
    const [uploaded, failed] = [(name) => this.#uploaded(name), (why) => this.#failed(why)];
    bar.append(uploadButton(uploaded, failed));
    takeDrops(node, this.element, uploaded, failed);
    this.#listen();
  }

  start() {
    if (this.timer) return;
    const [miss, late] = [(why) => this.#miss(why), () => this.#tell(this.lines ?? [])];
    this.picturing = new LatestRequest("/tha4/picture", (blob, { source }) => this.#take(blob, source), miss, late);
    this.looking = new LatestRequest("/tha4/fit", (look, { source }) => this.#told(look, source), miss, late);
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
    const given = output?.tha4_picture?.[0];
    if (given) ranWith(this.node, given);
    this.seen = null;
  }

  /** Set a widget that is no number, as a hand would. */
  #pick(name, wanted) {
    const widget = this.node.widgets.find((one) => one.name === name);
    const before = widget.value;
    widget.value = wanted;
    widget.callback?.(wanted);
    this.node.onWidgetChanged?.(name, wanted, before, widget);
  }

  #choose(fit) {
    this.values.begin();
    this.#pick("fit", fit);
    this.#set(NEUTRAL);
    this.values.end();
  }

  /** A file has come into the input folder: it is the picture now, placed automatically. */
  #uploaded(name) {
    this.said = isLinked(this.node, "image") ? text("The image input is connected, and is used instead of the file.") : null;
    const { options } = this.node.widgets.find((one) => one.name === "file");
    if (Array.isArray(options.values) && !options.values.includes(name)) options.values.push(name);
    this.values.begin();
    this.#pick("file", name);
    this.#set(NEUTRAL);
    this.values.end();
    this.seen = null;
    this.#watch();
  }

  #failed(why) {
    this.said = why;
    this.#tell(this.lines ?? []);
  }

  /** Show lines of the report, below what an upload had to say, and why an answer is late. */
  #tell(lines) {
    this.lines = lines;
    const said = this.said ? [h("li.tha4-warning", { "data-code": "upload" }, this.said)] : [];
    const note = this.looking?.note || this.picturing?.note;
    const late = note ? [h("li.tha4-note", { "data-code": "late" }, note)] : [];
    this.report.replaceChildren(h("ul", {}, ...said, ...late, ...lines));
    this.report.scrollTop = 0;
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
    const found = findSource(this.node);
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
    const isNew = JSON.stringify(found.source) !== JSON.stringify(this.found?.source);
    this.found = found;
    if (!found.source) return this.#miss(found.problem);
    this.#look(isNew);
    this.looking.send({ source: found.source, fit, scale, offset_x: x, offset_y: y });
    this.#draw();
  }

  /** Until the answer comes nothing good is said, and nothing at all of another picture. */
  #look(isNew) {
    const looking = h("li.tha4-note", { "data-code": "looking" }, text("Looking at the picture…"));
    const isGood = (line) => line.classList.contains("tha4-good");
    if (isNew) this.said = null; // it was about the picture before
    if (isNew || !this.lines?.length) this.#tell([looking]);
    else if (this.lines.some(isGood)) this.#tell([looking, ...this.lines.filter((line) => !isGood(line))]);
    if (isNew) this.placed = null;
    this.choices.offer([]);
    this.element.dataset.codes = "looking";
  }

  /** `changed` tells a file from the one that had its name before. */
  #picture(source, changed) {
    const wanted = JSON.stringify([source, changed]);
    if (wanted === this.pictured) return;
    this.pictured = wanted;
    this.picturing.send({ source });
  }

  async #take(blob, source) {
    const bitmap = await createImageBitmap(blob);
    if (!this.timer || !this.#isCurrent(source)) return bitmap.close();
    this.bitmap?.close();
    this.bitmap = bitmap;
    this.#draw();
    this.#offer();
  }

  #isCurrent = (source) => JSON.stringify(source) === JSON.stringify(this.found?.source);

  #told({ problem, missing: lacking, size, changed, start, choices, findings }, source) {
    if (!this.#isCurrent(source)) return;
    if (problem) return this.#miss(lacking ? missing(lacking) : message(problem));
    Object.assign(this, { size, placed: start, offered: choices });
    this.#picture(source, changed);
    // With both placements to choose from there is no need to tell where the head may be.
    const told = findings.filter(({ code }) => !choices.length || code !== "head_unclear");
    const says = told.map(({ code, text: said, warning }) =>
      h(warning ? "li.tha4-warning" : "li.tha4-note", { "data-code": code }, finding(code, said)),
    );
    if (choices.length) says.unshift(h("li.tha4-warning", { "data-code": "unsure" }, text("Look: which of the two is right? Click it.")));
    else if (!findings.some(({ warning }) => warning)) says.unshift(h("li.tha4-good", {}, text("The picture fits.")));
    if (source.kind === "run") says.push(h("li.tha4-note", {}, text("The picture of the last run.")));
    this.#tell(says);
    this.element.dataset.codes = findings.map(({ code }) => code).join(" ");
    this.#draw();
    this.#offer();
  }

  #offer() {
    if (this.bitmap) this.choices.offer(this.offered ?? [], (context, start) => this.#paint(context, start));
  }

  /** There is no picture to see; say why. */
  #miss(why) {
    const planned = this.found?.problem;
    this.#tell([h("li.tha4-note", {}, planned ?? why)]);
    this.bitmap?.close();
    Object.assign(this, { bitmap: null, pictured: null, placed: null, offered: null });
    this.choices.offer([]);
    this.element.dataset.codes = "";
    this.#draw();
  }

  #draw() {
    this.#paint(this.canvas.getContext("2d"), this.placed && adjusted(this.placed, this.#now()));
  }

  /** The picture as it lies in a frame of 512 pixels, and the head's box. */
  #paint(context, at) {
    context.clearRect(0, 0, SIZE, SIZE);
    if (this.bitmap && at) drawPlaced(context, this.bitmap, this.size, at);
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
