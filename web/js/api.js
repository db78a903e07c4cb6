// Requests to one of our routes: one at a time, and only the newest one gets a response.
import { api } from "../../../scripts/api.js";
import { message } from "./text.js";

let clients = 0;
const page = Math.random().toString(36).slice(2);

export class LatestRequest {
  /** `onResponse(content, body)` gets the JSON (or the Blob) for a body; `onError(text, body)` the server's error. */
  constructor(path, onResponse, onError) {
    Object.assign(this, { path, onResponse, onError, client: `${page}-${++clients}`, next: null, abort: null });
  }

  /** Send a body as JSON. Requests before it that have no response yet get none. */
  send(body) {
    this.next = body;
    if (!this.abort) this.#sendNext();
  }

  /** Cancel: no response will come any more. */
  close() {
    this.next = null;
    this.abort?.abort();
    this.abort = null;
  }

  async #sendNext() {
    const body = this.next;
    const abort = new AbortController();
    Object.assign(this, { next: null, abort });
    try {
      const content = await this.#fetch(body, abort.signal);
      if (this.abort === abort && !this.next && content) this.onResponse(content, body);
    } catch (error) {
      if (this.abort === abort && !this.next) this.onError(message(error.message), body);
    } finally {
      if (this.abort === abort) {
        this.abort = null;
        if (this.next) this.#sendNext();
      }
    }
  }

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
