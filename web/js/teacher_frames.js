// Frames of a character that has no student yet, by the teacher that a run of the graph has left open on the server.
import { api } from "../../../scripts/api.js";
import { Frames } from "./frame.js";
import { library } from "./library.js";
import { text } from "./text.js";

// Milliseconds: a teacher on a CPU takes seconds for a frame, so it begins once the pose has rested.
const REST = 500;
// A teacher whose frame takes longer does not follow the hand.
const LIVE = 400;
// What the server answers where no run has opened the teacher, and while a graph runs.
const [NOT_OPEN, RUNNING] = ["not open", "running"];

export class TeacherFrames {
  /**
   * `onFrame` is as Frames has it. `onMissing()` is called where no frame comes, `onSame(moving)` where the last one is
   * still right, `onNote()` when one is begun that takes its time. `note` says for people what is going on.
   */
  constructor({ onFrame, onMissing, onSame, onNote }) {
    Object.assign(this, { onFrame, onMissing, onSame, onNote, timer: null });
    this.frames = new Frames((...frame) => this.#take(...frame), (...why) => this.#miss(...why), () => {}, ROUTE, described);
    this.forget();
    this.afterRun = ({ detail }) => {
      if (this.missing && detail?.exec_info?.queue_remaining === 0) this.#ask(false);
    };
    api.addEventListener("status", this.afterRun);
  }

  /** Whether a frame is on its way, or will be asked for. */
  get pending() {
    return Boolean(this.timer || this.waiting);
  }

  /** Show a character (of the kind `teacher`) in a pose (45 numbers); `moving` while it is about to change again. */
  show(character, pose, moving) {
    const key = JSON.stringify(described(character));
    if (key !== this.key) this.forget();
    Object.assign(this, { key, character, pose });
    if (this.shown === pose.join()) return this.#keep(moving);
    if (this.#follows) return this.#ask(moving);
    this.#cancel();
    this.timer = setTimeout(() => this.#ask(false), REST);
  }

  /** Forget the character that was shown. */
  forget() {
    Object.assign(this, { key: null, shown: null, missing: false, took: 0 });
    this.#cancel();
  }

  /** Cancel: no frame will come any more. */
  close() {
    this.forget();
    this.frames.close();
    api.removeEventListener("status", this.afterRun);
  }

  #cancel() {
    clearTimeout(this.timer);
    Object.assign(this, { timer: null, waiting: false });
    this.frames.cancel();
    if (!this.missing) this.note = "";
  }

  /** Whether frames follow the hand. */
  get #follows() {
    return library.now?.gpu && this.took < LIVE;
  }

  #ask(moving) {
    Object.assign(this, { timer: null, waiting: true });
    this.frames.request(this.character, this.pose, moving);
    if (this.#follows || this.missing) return;
    this.note = text("rendering…");
    this.onNote();
  }

  #keep(moving) {
    this.missing = false;
    this.#cancel();
    this.onSame(moving);
  }

  #take(bitmap, request, milliseconds) {
    if (JSON.stringify(described(request.character)) !== this.key) return bitmap.close();
    const isNewest = request.pose.join() === this.pose.join();
    Object.assign(this, { took: milliseconds, missing: false, note: "", waiting: !isNewest });
    this.shown = request.moving ? "" : request.pose.join();
    this.onFrame(bitmap, request, milliseconds);
  }

  /** The last frame stays while a graph runs; without a teacher there is none. */
  #miss(message, reason) {
    Object.assign(this, { missing: true, waiting: false, note: REASONS[reason]?.() ?? message });
    if (reason !== RUNNING) this.shown = null;
    this.onMissing();
  }
}

const ROUTE = "/tha4/teacher_frame";
const described = ({ source, place, teacher }) => ({ source, ...place, ...teacher });
const REASONS = {
  [NOT_OPEN]: () => text("run the graph once: then its teacher shows her"),
  [RUNNING]: () => text("a graph is running: her frame comes afterwards"),
};
