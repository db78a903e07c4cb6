// The note of a panel whose answer is late because the server is distilling a student.
import { isDistilling } from "./monitor/history.js";
import { text } from "./text.js";

const LATE = 300; // milliseconds

export class Late {
  /** `onNote()` is called when `note`, mostly empty, changes. */
  constructor(onNote) {
    Object.assign(this, { onNote, note: "", timer: null });
  }

  /** An answer is awaited. Where one is already, the time goes on. */
  wait() {
    this.timer ??= setInterval(() => this.#say(isDistilling() ? text("busy distilling…") : ""), LATE);
  }

  /** The answer has come, or is not awaited any more. */
  end() {
    clearInterval(this.timer);
    this.timer = null;
    this.#say("");
  }

  #say(note) {
    if (note === this.note) return;
    this.note = note;
    this.onNote();
  }
}
