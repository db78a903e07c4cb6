// Frames from the server for one view: the newest wish wins.
import { api } from "../../../scripts/api.js";
import { previewRate, previewSize } from "./settings.js";

const FULL = 512;
const SIZES = [96, 128, 160, 192, 256, 320, 384, 448, 512];
// Milliseconds between a request and its picture: above the first the next frame is smaller, below the second larger.
const TOO_LONG = 180;
const SHORT = 70;
const PAUSE = 300;

let views = 0;
const page = Math.random().toString(36).slice(2);

/**
 * `onFrame(bitmap, wish, milliseconds)` gets every picture that comes, as an ImageBitmap that is its to close, and how
 * long ago it was wished for; `onError(text)` what the server said instead.
 */
export class Frames {
  constructor(onFrame, onError = () => {}) {
    this.onFrame = onFrame;
    this.onError = onError;
    this.client = `${page}-${++views}`;
    this.wish = null;
    this.flight = null;
    this.sentAt = 0;
    this.step = SIZES.indexOf(192);
    this.closed = false;
  }

  /**
   * Wish for a frame: `character` is `{kind, name}`, `pose` 45 numbers in their order. While something is `moving`,
   * frames are as small as it takes to keep up with it; at rest the frame is exact and of full size.
   */
  ask(character, pose, moving = false) {
    const { kind, name } = character;
    this.wish = { character: { kind, name }, pose: [...pose], moving, at: performance.now() };
    // Small frames are worth waiting for; a full one that is out of date is not.
    if (this.flight && !this.flight.moving) this.flight.abort.abort();
    else if (!this.flight) this.#schedule();
  }

  /** Forget the wish, and answer nothing any more. */
  close() {
    this.closed = true;
    this.wish = null;
    clearTimeout(this.timer);
    this.timer = null;
    this.flight?.abort.abort();
  }

  #schedule() {
    if (this.closed || this.timer || !this.wish) return;
    const wait = this.sentAt + 1000 / previewRate() - performance.now();
    const start = () => {
      this.timer = null;
      this.#fly();
    };
    if (wait <= 0) start();
    else this.timer = setTimeout(start, wait);
  }

  async #fly() {
    const wish = this.wish;
    this.wish = null;
    this.sentAt = performance.now();
    this.flight = { moving: wish.moving, abort: new AbortController() };
    try {
      const bitmap = await this.#fetch(wish, this.flight.abort.signal);
      if (wish.moving) this.#pace(performance.now() - this.sentAt);
      if (this.closed) bitmap?.close();
      else if (bitmap) this.onFrame(bitmap, wish, performance.now() - wish.at);
    } catch (error) {
      if (error.name !== "AbortError" && !this.closed) this.onError(error.message);
    } finally {
      this.flight = null;
      this.#schedule();
    }
  }

  async #fetch(wish, signal) {
    const { character, pose, moving } = wish;
    const size = moving ? Math.min(previewSize(), SIZES[this.step]) : FULL;
    const body = JSON.stringify({ character, pose, size, lossless: !moving, client: this.client });
    const headers = { "Content-Type": "application/json" };
    const answer = await api.fetchApi("/tha4/frame", { method: "POST", headers, body, signal });
    if (answer.status === 204) return null; // a newer one is on its way
    if (answer.status === 503) return this.#later(wish);
    if (!answer.ok) throw new Error(await complaint(answer));
    return createImageBitmap(await answer.blob());
  }

  /** Many views ask at once, as where a large workflow opens: ask again soon, unless for something newer. */
  #later(wish) {
    this.wish ??= wish;
    this.sentAt = performance.now() + PAUSE;
    return null;
  }

  #pace(took) {
    if (took > TOO_LONG && this.step > 0) this.step -= 1;
    if (took < SHORT && this.step < SIZES.length - 1 && SIZES[this.step] < previewSize()) this.step += 1;
  }
}

async function complaint(answer) {
  try {
    return (await answer.json()).error;
  } catch {
    return `The server answered ${answer.status}.`;
  }
}
