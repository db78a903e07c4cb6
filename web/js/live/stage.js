// Where the character stands: the background, the canvas, and how much of it the window shows.
import { h } from "../element.js";

// The part of the picture that the window shows at a scale of 1: its centre, and its height, in heights of the picture.
const CROPS = { all: [0.5, 0.5, 1], bust: [0.5, 0.3, 0.62], face: [0.5, 0.25, 0.32] };
const STEP = 1.1; // of the scale for a notch of the wheel
const SCALES = [0.2, 4];
const GREEN = "#00b140";

export class Stage {
  /** `onPlace({scale, x, y})` is called when the user has dragged or zoomed the character. */
  constructor(onPlace) {
    this.frame = h("div.stage-frame");
    this.element = h("main.stage", { tabIndex: -1 }, this.frame);
    this.placed = { scale: 1, x: 0, y: 0 };
    this.onPlace = onPlace;
    this.element.addEventListener("wheel", (event) => this.#zoom(event), { passive: false });
    this.#followDrags();
  }

  /** The canvas to show; null: none. */
  show(canvas) {
    this.frame.replaceChildren(...(canvas ? [canvas] : []));
  }

  /** The height of the picture in pixels of the screen. */
  get pixels() {
    return this.frame.getBoundingClientRect().height * window.devicePixelRatio;
  }

  /** Place the character and the background as the options say. */
  apply({ background, color, picture, crop, scale, x, y }) {
    this.placed = { scale, x, y };
    const [centreX, centreY, height] = CROPS[crop];
    const side = (100 / height) * scale;
    const style = this.frame.style;
    style.setProperty("--side", `${side}cqmin`);
    style.setProperty("--left", `calc(50cqw + ${100 * x}cqh - ${centreX * side}cqmin)`);
    style.setProperty("--top", `calc(50cqh + ${100 * y}cqh - ${centreY * side}cqmin)`);
    document.documentElement.style.background = backgroundOf(background, color, picture);
  }

  #zoom(event) {
    event.preventDefault();
    const scale = this.placed.scale * STEP ** -Math.sign(event.deltaY);
    this.onPlace({ ...this.placed, scale: Math.min(SCALES[1], Math.max(SCALES[0], scale)) });
  }

  #followDrags() {
    let from = null;
    const end = () => (from = null);
    const { element } = this;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { left: event.clientX, top: event.clientY, ...this.placed };
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => from && this.#drag(from, event));
    for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, end);
  }

  #drag(from, { clientX, clientY }) {
    const height = this.element.clientHeight;
    const [x, y] = [from.x + (clientX - from.left) / height, from.y + (clientY - from.top) / height];
    this.onPlace({ scale: this.placed.scale, x: bounded(x), y: bounded(y) });
  }
}

const bounded = (value) => Math.min(2, Math.max(-2, value));

function backgroundOf(background, color, picture) {
  if (background === "green") return GREEN;
  if (background === "color") return color;
  if (background !== "picture" || !picture) return "none";
  const url = new URL(`../view?${new URLSearchParams({ filename: picture, type: "input" })}`, document.baseURI);
  return `url("${url.href}") center / cover no-repeat`;
}
