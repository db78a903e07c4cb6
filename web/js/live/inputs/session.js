// The session on the server: what trackers, programs and other pages of the same name send, and what this page sends them.

const RETRY_SECONDS = [1, 2, 5, 10];
// Messages of one type that a page sends a second, at most; each the newest.
const MOST_A_SECOND = 40;

export class Session {
  /** `onMessage(message)` gets every message, `onState({connected})` every change of the connection. */
  constructor(onMessage, onState) {
    Object.assign(this, { onMessage, onState, name: null, socket: null, tries: 0, sentAt: {} });
  }

  /** Be in the session of that name, and in no other. */
  open(name) {
    if (this.name === name) return;
    this.close();
    this.onState({ connected: false });
    this.name = name;
    this.#connect();
  }

  /** Leave the session. */
  close() {
    this.name = null;
    clearTimeout(this.timer);
    this.socket?.close();
    this.socket = null;
  }

  /** Send a message to the other pages. One that comes too soon after the last of its type is left out if it `streams`. */
  send(message, streams = false) {
    const now = performance.now();
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (streams && now - (this.sentAt[message.type] ?? -Infinity) < 1000 / MOST_A_SECOND) return;
    this.sentAt[message.type] = now;
    this.socket.send(JSON.stringify(message));
  }

  /** Ask the server for something, such as `receive`, with a form or an object. Resolves with its answer, or rejects. */
  async post(what, body) {
    const json = { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(`live/${this.name}/${what}`, { method: "POST", ...(body instanceof FormData ? { body } : json) });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.error ?? `${response.status}`);
    return answer;
  }

  #connect() {
    const url = new URL(`live/${this.name}/socket`, document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => {
      this.tries = 0;
      this.onState({ connected: true });
    };
    socket.onmessage = ({ data }) => {
      if (this.socket === socket) this.#take(data); // not what an earlier session still had on its way
    };
    socket.onclose = () => {
      if (this.socket === socket) this.#retry();
    };
  }

  #take(data) {
    let message = null;
    try {
      message = JSON.parse(data);
    } catch {
      return; // not of ours
    }
    this.onMessage(message);
  }

  #retry() {
    this.onState({ connected: false });
    const seconds = RETRY_SECONDS[Math.min(this.tries, RETRY_SECONDS.length - 1)];
    this.tries += 1;
    this.timer = setTimeout(() => this.#connect(), seconds * 1000);
  }
}
