// Expressions by key: a list that shows them all, the keys that are theirs, and what a key press does.
import { h } from "../element.js";
import { language, text } from "./text.js";

const FIRST_KEYS = "1234567890";
const FIRST = ["smile", "happy", "laugh", "sad", "angry", "surprised", "worried", "smug", "embarrassed", "sleepy"];

export class ExpressionKeys {
  /** `onExpression(name)` gets the name of the one that is switched on, null when none is; `onKeys(keys)` changed keys. */
  constructor(expressions, keys, onExpression, onKeys) {
    const known = expressions.filter(({ kind, name }) => kind === "emotion" && name !== "neutral");
    Object.assign(this, { known, onExpression, onKeys, now: null, waiting: null });
    this.keys = keys ?? firstKeys(known);
    this.element = h("div.expressions", {}, ...known.map((one) => this.#row(one)));
    this.#show();
  }

  /** A key was pressed. Returns whether it was for an expression. */
  press(key) {
    if (this.waiting) return this.#assign(key);
    if (key === "Escape") return this.choose(null);
    const found = this.known.find(({ name }) => this.keys[name] === key.toLowerCase());
    return found ? this.choose(found.name) : false;
  }

  /** Switch an expression on, or off where it is on already. */
  choose(name) {
    this.now = name === this.now ? null : name;
    this.onExpression(this.now);
    this.#show();
    return true;
  }

  /** Show that another page has switched one on. */
  follow(name) {
    this.now = name || null;
    this.#show();
  }

  #row({ name, labels }) {
    const label = labels[language()] ?? labels.en ?? name;
    const choose = h("button.expression", { type: "button", onclick: () => this.choose(name) }, label);
    const key = h("button.key", { type: "button", title: text("Give it another key"), onclick: () => this.#wait(name) });
    const row = h("div.expression-row", {}, choose, key);
    row.dataset.name = name;
    return row;
  }

  #wait(name) {
    this.waiting = this.waiting === name ? null : name;
    this.#show();
  }

  /** The key that was pressed is the waiting expression's; Delete takes its key away. */
  #assign(key) {
    const name = this.waiting;
    this.waiting = null;
    const keys = Object.fromEntries(Object.entries(this.keys).filter(([one, its]) => one !== name && its !== key.toLowerCase()));
    if (key.length === 1) keys[name] = key.toLowerCase();
    if (key !== "Escape") this.onKeys((this.keys = keys));
    this.#show();
    return true;
  }

  #show() {
    for (const row of this.element.children) {
      const [choose, key] = row.children;
      const { name } = row.dataset;
      choose.setAttribute("aria-pressed", String(name === this.now));
      key.textContent = name === this.waiting ? text("press a key") : (this.keys[name] ?? "–").toUpperCase();
    }
  }
}

function firstKeys(known) {
  const there = FIRST.filter((name) => known.some((one) => one.name === name));
  return Object.fromEntries(there.map((name, i) => [name, FIRST_KEYS[i]]));
}
