// Questions to one of our routes: one at a time, and the newest is the one that gets an answer.
import { api } from "../../../scripts/api.js";

let asked = 0;
const page = Math.random().toString(36).slice(2);

export class Asking {
  /** `onAnswer(answer, question)` gets the JSON (or the Blob) that comes; `onError(text, question)` the refusal. */
  constructor(path, onAnswer, onError) {
    Object.assign(this, { path, onAnswer, onError, client: `${page}-${++asked}`, next: null, abort: null });
  }

  /** Ask; what was asked before and has no answer yet needs none. */
  ask(question) {
    this.next = question;
    if (!this.abort) this.#send();
  }

  /** Want no answer any more. */
  close() {
    this.next = null;
    this.abort?.abort();
    this.abort = null;
  }

  async #send() {
    const question = this.next;
    const abort = new AbortController();
    Object.assign(this, { next: null, abort });
    try {
      const answer = await this.#fetch(question, abort.signal);
      if (this.abort === abort && !this.next && answer) this.onAnswer(answer, question);
    } catch (error) {
      if (this.abort === abort && !this.next) this.onError(error.message, question);
    } finally {
      if (this.abort === abort) {
        this.abort = null;
        if (this.next) this.#send();
      }
    }
  }

  async #fetch(question, signal) {
    const body = JSON.stringify({ ...question, client: this.client });
    const headers = { "Content-Type": "application/json" };
    const answer = await api.fetchApi(this.path, { method: "POST", headers, body, signal });
    if (answer.status === 204) return null;
    const isJson = answer.headers.get("Content-Type")?.includes("json");
    const content = isJson ? await answer.json() : await answer.blob();
    if (!answer.ok) throw new Error(content.error ?? `${answer.status}`);
    return content;
  }
}
