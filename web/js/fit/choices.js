// Two placements of one picture, to choose between with one click.
import { h } from "../editor/dom.js";
import { text } from "../text.js";

const SIZE = 128;

export class Choices {
  /** `choose(fit)` is called with the one that was clicked. */
  constructor(choose) {
    this.choose = choose;
    this.element = h("div.tha4-fit-choices", { hidden: true });
  }

  /** Offer `choices` (`{fit, start}`) of a picture, `draw(context, start)` of which draws it into a frame of 512. */
  offer(choices, draw) {
    this.element.hidden = !choices.length;
    this.element.replaceChildren(...choices.map((choice) => this.#button(choice, draw)));
  }

  #button({ fit, start }, draw) {
    const canvas = h("canvas", { width: SIZE, height: SIZE });
    const context = canvas.getContext("2d");
    context.scale(SIZE / 512, SIZE / 512);
    draw(context, start);
    const label = fit === "head in box" ? text("Head moved") : text("As it is");
    return h("button", { type: "button", "data-fit": fit, onclick: () => this.choose(fit) }, canvas, label);
  }
}
