// Requests to one of our routes: one at a time, and only the newest one gets a response.
import { api } from "../../../scripts/api.js";
import { Late } from "./late.js";
import { message } from "./text.js";

let clients = 0;
const page = Math.random().toString(36).slice(2);

export class LatestRequest {
  /**
   * `onResponse(content, body)` gets the JSON (or the Blob) for a body; `onError(text, body)` the server's error.
   * `onNote()` is called when `note` changes.
   */
  constructor(path, onResponse, onError, onNote = () => {}) {
    Object.assign(this, { path, onResponse, onError, client: `${page}-${++clients}`, next: null, abort: null });
    this.late = new Late(onNote);
  }

  /** Why a response is late; mostly empty. */
  get note() {
    return this.late.note;
  }

  /** Send a body as JSON. Requests before it that have no response yet get none. */
  send(body) {
    this.next = body;
    this.late.wait();
    if (!this.abort) this.#sendNext();
  }

  /** Cancel: no response will come any more. */
  close() {
    this.next = null;
    this.abort?.abort();
    this.abort = null;
    this.late.end();
  }

  async #sendNext() {
    const body = this.next;
    const abort = new AbortController();
    Object.assign(this, { next: null, abort });
    try {
      const content = await this.#fetch(body, abort.signal);
      if (!this.#isNewest(abort)) return;
      this.late.end();
      if (content) this.onResponse(content, body);
    } catch (error) {
      if (!this.#isNewest(abort)) return;
      this.late.end();
      this.onError(message(error.message), body);
    } finally {
      if (this.abort === abort) {
        this.abort = null;
        if (this.next) this.#sendNext();
      }
    }
  }

  #isNewest = (abort) => this.abort === abort && !this.next;

  async #fetch(body, signal) {
    const headers = { "Content-Type": "application/json" };
    const text = JSON.stringify({ ...body, client: this.client });
    const response = await api.fetchApi(this.path, { method: "POST", headers, body: text, signal });
    if (response.status === 204) return null;
    const isJson = response.headers.get("Content-Type")?.includes("json");
    const content = isJson ? await response.json() : await response.blob();
    if (!response.ok) throw new Error(content.error ?? `${response.status}`);
    return content;
  }
}
