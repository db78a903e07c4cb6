// One slider for each of the 45 numbers, by group; two-sided ones in pairs that go together or not.
import { parameterName, text } from "../text.js";
import { h } from "./dom.js";

const SIDES = ["right", "left"]; // as they are seen: the character's right is on the viewer's left
const STEP = 0.01;
// Names that are short enough for half a row.
const shapes = () => ({
  aaa: text("aaa"),
  iii: text("iii"),
  uuu: text("uuu"),
  eee: text("eee"),
  ooo: text("ooo"),
  delta: text("delta"),
});

export class Sliders {
  /** `chosen` are the parameters, both sides of each. `linked()` says whether both sides go together. */
  constructor(chosen, pose, linked) {
    Object.assign(this, { pose, linked, inputs: new Map() });
    const stems = [...new Set(chosen.map(({ name }) => name.replace(/_(left|right)$/, "")))];
    this.element = h("div.tha4-sliders", {}, ...stems.map((stem) => this.#row(stem, chosen)));
  }

  /** Show the pose. */
  show() {
    for (const [name, input] of this.inputs) {
      const value = this.pose.get(name);
      if (Number(input.value) !== value) input.value = value;
      input.style.setProperty("--filled", `${((value - input.min) / (input.max - input.min)) * 100}%`);
      input.disabled = this.pose.isDriven(name);
      input.parentElement.classList.toggle("tha4-driven", input.disabled);
      input.nextElementSibling.textContent = this.pose.isKnown(name) ? value.toFixed(2) : "?";
    }
  }

  #row(stem, chosen) {
    const sided = SIDES.map((side) => chosen.find(({ name }) => name === `${stem}_${side}`)).filter(Boolean);
    const parameters = sided.length ? sided : chosen.filter(({ name }) => name === stem);
    const english = /^(head|neck|body|iris)_/.test(stem) ? stem : stem.replace(/^(eyebrow|eye|mouth)_/, "");
    const name = shapes()[english] ?? parameterName(stem) ?? english.replaceAll("_", " ");
    const label = h("span.tha4-label", { title: stem }, name);
    const half = /^mouth_[a-z]+$/.test(stem) ? ".tha4-half" : "";
    return h(`div.tha4-row${half}`, {}, label, ...parameters.map((parameter) => this.#slider(parameter, parameters)));
  }

  #slider(parameter, pair) {
    const { name, minimum, maximum } = parameter;
    const input = h("input", { type: "range", min: minimum, max: maximum, step: STEP, value: 0, title: name });
    input.dataset.name = name;
    this.inputs.set(name, input);
    let held = false;
    const release = () => {
      if (held) this.pose.end();
      held = false;
    };
    const set = (value) => this.pose.set(Object.fromEntries(this.#together(name, pair).map((one) => [one, value])));
    input.addEventListener("input", () => {
      if (!held) this.pose.begin();
      held = true;
      set(Number(input.value));
    });
    for (const event of ["change", "pointerup", "pointercancel", "blur"]) input.addEventListener(event, release);
    input.addEventListener("pointerdown", (event) => event.stopPropagation());
    input.addEventListener("dblclick", () => {
      this.pose.begin();
      set(0);
      this.pose.end();
    });
    const side = name.match(/_(left|right)$/)?.[1];
    const letter = side ? [h("span.tha4-side", { title: side === "left" ? text("left") : text("right") }, side[0].toUpperCase())] : [];
    return h("label.tha4-slider", {}, ...letter, input, h("span.tha4-number", {}, "0.00"));
  }

  #together = (name, pair) => (this.linked() ? pair.map((one) => one.name) : [name]);
}
