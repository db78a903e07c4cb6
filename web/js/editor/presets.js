// Expressions from the library, more or less of each.
import { h } from "./dom.js";
import { expressed } from "../pose.js";

export class Presets {
  /** `pose` is the editor's; `language` the page's, for the expressions' labels. */
  constructor(expressions, pose, language, words) {
    Object.assign(this, { expressions, pose, from: null });
    this.select = h("select", { title: words.preset }, h("option", { value: "" }, words.preset));
    for (const kind of new Set(expressions.map((one) => one.kind))) {
      const options = expressions
        .filter((one) => one.kind === kind)
        .map((one) => h("option", { value: one.name }, one.labels[language] ?? one.labels.en ?? one.name));
      this.select.append(h("optgroup", { label: words.kinds[kind] ?? kind }, ...options));
    }
    this.strength = h("input", { type: "range", min: 0, max: 1, step: 0.01, value: 1, title: words.strength });
    this.number = h("span.tha4-number", {}, "1.00");
    this.element = h("div.tha4-presets", {}, this.select, this.strength, this.number);
    this.#listen();
  }

  /** The pose was changed by other means: the next strength starts from what is there then. */
  forget() {
    if (this.applying) return;
    this.from = null;
    this.select.value = "";
  }

  #listen() {
    let held = false;
    const release = () => {
      if (held) this.pose.end();
      held = false;
    };
    this.select.addEventListener("change", () => {
      this.from = this.pose.pose();
      this.pose.begin();
      this.#apply();
      this.pose.end();
    });
    this.strength.addEventListener("input", () => {
      if (!held) this.pose.begin();
      held = true;
      this.#apply();
    });
    const ends = ["change", "pointerup", "pointercancel", "blur"];
    for (const event of ends) this.strength.addEventListener(event, release);
    this.strength.addEventListener("pointerdown", (event) => event.stopPropagation());
  }

  #apply() {
    const strength = Number(this.strength.value);
    this.number.textContent = strength.toFixed(2);
    const expression = this.expressions.find(({ name }) => name === this.select.value);
    if (!expression || !this.from) return;
    this.applying = true;
    this.pose.set(expressed(this.from, expression, strength));
    this.applying = false;
  }
}
