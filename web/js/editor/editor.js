// The pose editor of one Pose Vector: a picture, presets, pads and sliders over the node's 45 inputs.
import { app } from "../../../../scripts/app.js";
import { findCharacter } from "../character.js";
import { library } from "../library.js";
import { use } from "../player/put.js";
import { language, text } from "../text.js";
import { h, icon, takePlace } from "./dom.js";
import { Pad } from "./pads.js";
import { PADS } from "./shapes.js";
import { Presets } from "./presets.js";
import { Sliders } from "./sliders.js";
import { Stage } from "./stage.js";
import { Tools } from "./tools.js";
import { Values } from "./values.js";

const BESIDE_PADS = /^mouth_(raised|lowered)_corner|^breathing/;
const TABS = { brows: ["brows"], eyes: ["eyes"], mouth: ["mouth"], turn: ["gaze", "head", "body"] };
const LENS = "M11.5 6.75a4.75 4.75 0 1 1-9.5 0 4.75 4.75 0 0 1 9.5 0zM10.5 10.5l3.5 3.5M5 6.75h3.5M6.75 5v3.5";
// Milliseconds between looks at what changed outside the editor: inputs, links, the graph's character.
const WATCH = 200;

const tabNames = () => ({
  pads: text("Pads"),
  brows: text("Brows"),
  eyes: text("Eyes"),
  mouth: text("Mouth"),
  turn: text("Turn"),
});
const presetTexts = () => ({
  preset: text("Expression"),
  strength: text("Strength of the expression"),
  kinds: {
    emotion: text("Emotions"),
    mouth: text("Mouth"),
    eyes: text("Eyes"),
    gaze: text("Gaze"),
    head: text("Head"),
    body: text("Body"),
  },
});

// What is open in an editor, by workflow and node, so that undo, which makes every node anew, leaves it as it was.
const remembered = new Map();

const CLIPBOARD = ["copy", "paste"];

export class PoseEditor {
  constructor(node) {
    this.node = node;
    this.element = h("div.tha4-editor", { "data-capture-wheel": "true" }, h("div.tha4-waiting", {}, "…"));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("pointerdown", () => use(this.node), true);
    this.element.addEventListener("wheel", (event) => this.#leaveWheel(event));
  }

  /** The node is in a graph: load, build and watch. */
  async start() {
    this.alive = true;
    try {
      await library.load();
    } catch (error) {
      this.element.textContent = error.message;
      return;
    }
    if (!this.alive || this.timer) return;
    if (!this.values) this.#build();
    this.stage.open();
    for (const name of CLIPBOARD) document.addEventListener(name, this.#clipboard, true);
    this.timer = setInterval(() => this.look(), WATCH);
    this.look();
  }

  /** The node has left the graph: stop everything. */
  stop() {
    this.alive = false;
    this.shown = null;
    for (const name of CLIPBOARD) document.removeEventListener(name, this.#clipboard, true);
    clearInterval(this.timer);
    this.timer = null;
    this.values?.close();
    this.stage?.close();
  }

  // What the parts see of the pose.
  pose = () => this.values.pose();
  get = (name) => this.values.get(name);
  isDriven = (name) => this.values.isDriven(name);
  isKnown = (name) => this.values.isKnown(name);
  begin = () => this.values.begin();
  end = () => {
    this.values.end();
    if (this.values.open === 0) this.#show(false);
  };
  set = (pose) => {
    this.values.set(pose);
    this.#show(this.values.open > 0);
  };
  change = (pose) => {
    this.values.change(pose);
    this.#show(false);
  };

  #build() {
    const known = library.now;
    this.values = new Values(this.node, known.parameters);
    this.state = remembered.get(this.#place()) ?? { tab: "pads", linked: true, near: true };
    this.stage = new Stage(this);
    this.tools = new Tools(known, this, (message) => this.stage.say(message));
    this.presets = new Presets(known.expressions, this, language(), presetTexts());
    this.stage.element.append(this.tools.element);
    this.#makePanels(known.parameters);
    const panels = h("div.tha4-panels", {}, ...this.panels.values());
    this.element.replaceChildren(this.stage.caption, this.stage.element, this.presets.element, this.#bar(), panels);
    this.#open({});
  }

  #makePanels(parameters) {
    const linked = () => this.state.linked;
    this.pads = Object.keys(PADS).map((name) => new Pad(name, this, linked));
    const sliders = (names) => new Sliders(parameters.filter(names), this, linked);
    const beside = sliders(({ name }) => BESIDE_PADS.test(name));
    const others = Object.entries(TABS).map(([tab, groups]) => [tab, sliders(({ group }) => groups.includes(group))]);
    this.sliders = [beside, ...others.map(([, one]) => one)];
    this.panels = new Map([
      ["pads", h("div", {}, h("div.tha4-pads", {}, ...this.pads.map(({ element }) => element)), beside.element)],
      ...others.map(([tab, { element }]) => [tab, element]),
    ]);
  }

  #bar() {
    const button = (kind, name, label, title, then) =>
      h(`button.${kind}`, { type: "button", "data-name": name, title, onclick: then }, label);
    const names = tabNames();
    const tabs = [...this.panels.keys()].map((tab) =>
      button("tha4-tab", tab, names[tab], names[tab], () => this.#open({ tab })),
    );
    const [link, near] = [text("Left and right together"), text("Head and shoulders, or all of it")];
    this.link = button("tha4-link", "link", "L=R", link, () => this.#open({ linked: !this.state.linked }));
    this.near = button("tha4-zoom", "near", icon(LENS), near, () => this.#open({ near: !this.state.near }));
    const show = text("Show or hide the node's 45 inputs");
    const numbers = button("tha4-fold", "numbers", text("Inputs"), show, () => this.node.toggleAdvanced?.());
    return h("div.tha4-bar", {}, ...tabs, h("span.tha4-gap"), this.near, this.link, numbers);
  }

  /** Change what is open. */
  #open(changes) {
    this.state = { ...this.state, ...changes };
    remembered.set(this.#place(), this.state);
    for (const [tab, panel] of this.panels) panel.hidden = tab !== this.state.tab;
    for (const tab of this.element.querySelectorAll(".tha4-tab")) {
      tab.classList.toggle("tha4-on", tab.dataset.name === this.state.tab);
    }
    this.link.classList.toggle("tha4-on", this.state.linked);
    this.near.classList.toggle("tha4-on", this.state.near);
    this.stage.zoom(this.state.near);
    this.#show(false);
  }

  /** See whether anything changed elsewhere. Costs a comparison of 45 numbers. */
  look() {
    if (!this.timer || document.hidden || this.values.open || this.values.busy) return;
    takePlace(this.node, this.element);
    if (!this.element.isConnected) return;
    // Whatever changes the numbers may be about to change them again, as a slider of the node does.
    this.#show(this.numbers !== undefined && this.#numbers().join() !== this.numbers);
  }

  #place() {
    const graph = this.node.graph;
    return `${graph?.rootGraph?.id ?? ""} ${graph?.id ?? ""} ${this.node.id}`;
  }

  #numbers() {
    return this.values.parameters.map(({ name }) => this.get(name));
  }

  #show(moving) {
    if (!this.alive || !this.values) return;
    const character = findCharacter(this.node);
    const numbers = this.#numbers();
    const driven = this.values.parameters.filter(({ name }) => this.isDriven(name)).map(({ name }) => [name, this.isKnown(name)]);
    const look = JSON.stringify([character, numbers, driven, this.state, moving]);
    if (look === this.shown) return;
    const changed = numbers.join() !== this.numbers;
    Object.assign(this, { shown: look, numbers: numbers.join() });
    if (changed) this.presets.forget();
    this.stage.show(character, numbers, moving);
    this.stage.disable();
    for (const pad of this.pads) pad.show();
    for (const sliders of this.sliders) sliders.show();
  }

  #key(event) {
    const onPicture = event.target === this.stage?.element;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.target.type === "range") this.#undo(event);
    if (event.ctrlKey || event.metaKey) return;
    // The page's own shortcuts are single letters; here they are the editor's.
    if (event.key !== "Escape" && event.key !== "Tab") event.stopPropagation();
    if (!onPicture) return;
    const wanted = this.#keyed(event);
    if (!wanted) return;
    event.preventDefault();
    wanted();
  }

  #keyed({ key, shiftKey, altKey }) {
    const tool = { m: "mirror", 0: "reset", " ": "random" }[key.toLowerCase()];
    if (tool) return () => this.tools.use(tool);
    const [right, up] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key] ?? [];
    if (right === undefined) return null;
    const step = (name, by) => ({ [name]: this.get(name) + by * 0.05 });
    let wanted = { ...step("head_y", -right), ...step("head_x", up) };
    if (shiftKey) wanted = step("neck_z", -(right || up));
    if (altKey) wanted = { ...step("iris_rotation_y", -right), ...step("iris_rotation_x", up) };
    return () => this.change(wanted);
  }

  /** The page leaves undo alone where an input has the focus; a slider has no history of its own. */
  #undo(event) {
    if (app.ui?.autoQueueEnabled && app.ui.autoQueueMode !== "instant") return; // then it does not
    const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
    const key = event.key.toLowerCase();
    const redo = key === "y" || (key === "z" && event.shiftKey);
    if (!tracker || (key !== "z" && !redo)) return;
    event.preventDefault();
    (redo ? tracker.redo() : tracker.undo()).catch?.(console.error);
  }

  /** In Firefox these events go to the page's body, whatever has the focus. */
  #clipboard = (event) => {
    const focused = document.activeElement;
    if (!this.element.contains(focused) || focused.tagName === "SELECT") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.type === "copy") {
      event.clipboardData.setData("text/plain", this.tools.text());
      this.stage.say(text("Copied."));
    } else this.tools.take(event.clipboardData.getData("text/plain"));
  };

  /** On the classic canvas nothing but we can pass the wheel on to the graph. */
  #leaveWheel(event) {
    const scrolls = event.target.closest?.(".tha4-panels");
    if (scrolls && scrolls.scrollHeight > scrolls.clientHeight) event.stopPropagation();
    else if (!window.LiteGraph?.vueNodesMode) app.canvas.processMouseWheel(event);
  }
}
