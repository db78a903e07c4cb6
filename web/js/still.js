// The picture of a character that nobody can render yet, as it lies in the frame.
import { LatestRequest } from "./api.js";
import { adjusted, drawPlaced } from "./fit/placement.js";
import { missing } from "./text.js";

export class Still {
  /**
   * `onPicture(draw)` gets a function that draws it into a context of 512 pixels; `onError(text)` why there is none.
   * `onNote()` is called when `note` changes.
   */
  constructor(onPicture, onError, onNote) {
    Object.assign(this, { onPicture, wanted: null, bitmap: null, problem: null });
    this.looking = new LatestRequest("/tha4/fit", (found, asked) => this.#place(found, asked), onError, onNote);
    this.picturing = new LatestRequest("/tha4/picture", (blob) => this.#take(blob), onError, onNote);
    this.onError = onError;
  }

  /** Show the picture of that `source` at that `place` (fit, scale, offset_x, offset_y). */
  show({ source, place }) {
    const wanted = JSON.stringify([source, place]);
    if (wanted !== this.wanted) {
      this.#forget();
      this.wanted = wanted;
      this.looking.send({ source, ...place });
    } else if (this.bitmap) this.#show();
    else if (this.problem) this.onError(this.problem);
  }

  /** Why it is late; mostly empty. */
  get note() {
    return this.looking.note || this.picturing.note;
  }

  /** Stop, and give the memory back. */
  close() {
    this.looking.close();
    this.picturing.close();
    this.#forget();
  }

  #place({ problem, missing: lacking, size, start }, { source, scale, offset_x: x, offset_y: y }) {
    this.problem = lacking ? missing(lacking) : problem;
    if (this.problem) return this.onError(this.problem);
    Object.assign(this, { size, at: adjusted(start, { scale, x, y }) });
    this.picturing.send({ source });
  }

  async #take(blob) {
    const { wanted } = this;
    const bitmap = await createImageBitmap(blob);
    if (wanted === null || wanted !== this.wanted) return bitmap.close();
    this.bitmap = bitmap;
    this.#show();
  }

  #show() {
    this.onPicture((context) => drawPlaced(context, this.bitmap, this.size, this.at));
  }

  #forget() {
    this.bitmap?.close();
    Object.assign(this, { wanted: null, bitmap: null, problem: null });
  }
}
