// Preview frames from the server for one view: only the newest request counts.
import { api } from "../../../scripts/api.js";
import { Late } from "./late.js";
import { previewRate, previewSize } from "./settings.js";

const FULL = 512;
const SIZES = [96, 128, 160, 192, 256, 320, 384, 448, 512];
// Milliseconds between a request and its frame: above the first the next frame is smaller, below the second larger.
const SLOW = 180;
const FAST = 70;
const RETRY_DELAY = 300;

let views = 0;
const page = Math.random().toString(36).slice(2);

/**
 * `onFrame(bitmap, request, milliseconds)` gets every frame that comes, as an ImageBitmap that it must close, and the
 * time since it was requested; `onError(text, reason)` gets the server's error, or its `reason` for no frame; `onNote()`
 * is called when `note` changes. `described(character)` is what a request to that `route` says of the character.
 */
export class Frames {
  constructor(onFrame, onError = () => {}, onNote = () => {}, route = "/tha4/frame", described = ofLibrary) {
    Object.assign(this, { onFrame, onError, route, described });
    this.late = new Late(onNote);
    this.client = `${page}-${++views}`;
    this.pending = null; // the newest request, until it is sent
    this.inFlight = null;
    this.sentAt = 0;
    this.step = SIZES.indexOf(192);
    this.closed = false;
  }

  /**
   * Request a frame: `character` is `{kind, name}` or what `described` knows, `pose` 45 numbers in their order. While something is `moving`,
   * frames are as small as it takes to keep up with it; at rest the frame is exact and of full size.
   */
  request(character, pose, moving = false) {
    this.pending = { character, pose: [...pose], moving, at: performance.now() };
    this.late.wait();
    // Small frames are worth waiting for; a full one that is out of date is not.
    if (this.inFlight && !this.inFlight.moving) this.inFlight.abort.abort();
    else if (!this.inFlight) this.#schedule();
  }

  /** Why a frame is late; mostly empty. */
  get note() {
    return this.late.note;
  }

  /** Cancel: no frame will come any more. */
  close() {
    this.closed = true;
    this.cancel();
  }

  /** Cancel what was requested. */
  cancel() {
    this.pending = null;
    clearTimeout(this.timer);
    this.timer = null;
    this.inFlight?.abort.abort();
    this.late.end();
  }

  #schedule() {
    if (this.closed || this.timer || !this.pending) return;
    const wait = this.sentAt + 1000 / previewRate() - performance.now();
    const start = () => {
      this.timer = null;
      this.#send();
    };
    if (wait <= 0) start();
    else this.timer = setTimeout(start, wait);
  }

  async #send() {
    const request = this.pending;
    this.pending = null;
    this.sentAt = performance.now();
    this.inFlight = { moving: request.moving, abort: new AbortController() };
    try {
      const bitmap = await this.#fetch(request, this.inFlight.abort.signal);
      if (request.moving) this.#adaptSize(performance.now() - this.sentAt);
      if (bitmap) this.late.end();
      if (this.closed) bitmap?.close();
      else if (bitmap) this.onFrame(bitmap, request, performance.now() - request.at);
    } catch (error) {
      if (error.name === "AbortError" || this.closed) return;
      this.late.end();
      this.onError(error.message, error.reason);
    } finally {
      this.inFlight = null;
      if (this.pending) this.late.wait();
      this.#schedule();
    }
  }

  async #fetch(request, signal) {
    const { character, pose, moving } = request;
    const size = moving ? Math.min(previewSize(), SIZES[this.step]) : FULL;
    const body = JSON.stringify({ ...this.described(character), pose, size, lossless: !moving, client: this.client });
    const headers = { "Content-Type": "application/json" };
    const response = await api.fetchApi(this.route, { method: "POST", headers, body, signal });
    if (response.status === 204) return null; // a newer request replaced it
    if (response.status === 503) return this.#retry(request);
    if (!response.ok) throw new Error(await errorText(response));
    if (response.headers.get("Content-Type").includes("json")) {
      const { no_frame: reason } = await response.json();
      throw Object.assign(new Error(reason), { reason });
    }
    return createImageBitmap(await response.blob());
  }

  /** The server's queue is full, as where a large workflow opens: send again soon, unless there is a newer request. */
  #retry(request) {
    this.pending ??= request;
    this.sentAt = performance.now() + RETRY_DELAY;
    return null;
  }

  #adaptSize(milliseconds) {
    if (milliseconds > SLOW && this.step > 0) this.step -= 1;
    if (milliseconds < FAST && this.step < SIZES.length - 1 && SIZES[this.step] < previewSize()) this.step += 1;
  }
}

const ofLibrary = ({ kind, name }) => ({ character: { kind, name } });

async function errorText(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `The server answered ${response.status}.`;
  }
}
