// A character in a pose, as one element: a student rendered by this page's GPU where that works well, else by the
// server; without a student by the teacher that is open on the server; else its picture as it is.
import { h } from "./editor/dom.js";
import { Frames } from "./frame.js";
import { openGPU } from "./puppet/gpu.js";
import { Puppet } from "./puppet/puppet.js";
import { pageSize, previewRenderer } from "./settings.js";
import { Still } from "./still.js";
import { TeacherFrames } from "./teacher_frames.js";

const FULL = 512;
const SIZES = [256, 384, 512, 768, 1024];
// Milliseconds of a frame on the page's GPU: above the first the next one is smaller, below the second larger.
const SLOW = 33;
const FAST = 12;
// Too slow for the page: fewer than 10 frames a second at the smallest size, so many times in a row.
const TOO_SLOW = 100;
const PATIENCE = 5;

let tooSlow = false;

export class View {
  /**
   * `onDrawn({size, moving, milliseconds, by})` is called after every frame, `by` being `page`, `server`, `teacher`,
   * `picture` or `nobody`; `onError(text)` where there is none; `onNote()` when `note` changes between frames.
   */
  constructor(onDrawn, onError = () => {}, onNote = () => {}) {
    Object.assign(this, { onDrawn, onError, wanted: null, puppet: null, student: null, step: 0, slowFrames: 0 });
    this.closed = false;
    this.canvas = h("canvas", { width: FULL, height: FULL });
    this.element = h("div.tha4-view", {}, this.canvas);
    this.frames = new Frames((...frame) => this.#drawServerFrame(...frame), (why) => this.onError(why), onNote);
    this.teacher = new TeacherFrames({
      onFrame: (...frame) => this.#drawServerFrame(...frame),
      onMissing: () => this.#drawWithoutTeacher(),
      onSame: (moving) => this.onDrawn({ size: FULL, moving, milliseconds: 0, by: "teacher" }),
      onNote,
    });
    this.still = new Still((draw) => this.#drawStill(draw), (why) => this.#lack(why), onNote);
  }

  /** Show a character (`{kind, name}`; of the kinds `picture` and `teacher` as findCharacter has it; of the kind `missing` nothing is seen) in a pose (45 numbers); `moving` while it is about to change again. */
  show(character, pose, moving = false) {
    if (this.closed) return;
    this.wanted = { character, pose, moving };
    if (character.kind !== "teacher") this.teacher.forget();
    if (character.kind === "missing") return this.#clear();
    if (character.kind === "teacher") return this.#useTeacher();
    if (character.kind === "picture") return this.#useStill();
    if (character.kind !== "student" || !mayUsePage()) return this.#useServer();
    if (this.student !== character.name) this.#open(character.name);
    if (this.puppet) this.#drawInPage();
    else this.#useServer();
  }

  /** Whether a newer frame than the last one drawn is on its way. */
  get pending() {
    return Boolean(this.frames.pending || this.teacher.pending || this.puppet?.next);
  }

  /** What people are to know of the frame: that it is being rendered, why it is late or there is none; mostly empty. */
  get note() {
    return this.teacher.note || this.frames.note || this.still.note;
  }

  /** Stop, and give the GPU's memory back. */
  close() {
    this.closed = true;
    this.frames.close();
    this.teacher.close();
    this.still.close();
    this.#closePuppet();
  }

  #useTeacher() {
    const { character, pose, moving } = this.wanted;
    this.#closePuppet();
    this.frames.cancel();
    this.teacher.show(character, pose, moving);
    if (this.teacher.shown === null) this.still.show(character);
  }

  #drawWithoutTeacher() {
    if (this.teacher.shown === null) this.still.show(this.wanted.character);
    else this.onDrawn({ size: FULL, moving: this.wanted.moving, milliseconds: 0, by: "teacher" });
  }

  /** There is no picture of a character that nobody can render. */
  #lack(why) {
    if (this.closed || !["picture", "teacher"].includes(this.wanted.character.kind)) return;
    this.#clear();
    this.onError(why);
  }

  /** There is nothing to see. */
  #clear() {
    this.#closePuppet();
    this.frames.cancel();
    this.canvas.getContext("2d").clearRect(0, 0, FULL, FULL);
    this.#put(this.canvas);
    this.onDrawn({ size: FULL, moving: this.wanted.moving, milliseconds: 0, by: "nobody" });
  }

  #useStill() {
    this.#closePuppet();
    this.frames.cancel();
    this.still.show(this.wanted.character);
  }

  #useServer() {
    const { character, pose, moving } = this.wanted;
    this.#closePuppet(character);
    this.frames.request(character, pose, moving);
  }

  /** Open a student in the page. Until it is open, and where it cannot be, the server's frames are shown. */
  async #open(name) {
    this.#closePuppet();
    this.student = name;
    const canvas = h("canvas", { width: FULL, height: FULL });
    try {
      const gpu = await openGPU();
      if (!gpu || (gpu.isFallback && previewRenderer() !== "page")) return;
      const url = new URL(`/tha4/student?${new URLSearchParams({ name })}`, location.href).href;
      const puppet = await Puppet.open(url, canvas, { onLost: (error) => this.#fail(error) });
      if (this.closed || this.student !== name) return puppet.close();
      this.puppet = puppet;
      if (this.wanted.character.name === name) this.show(this.wanted.character, this.wanted.pose, this.wanted.moving);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The page's renderer does not work: say why where a developer looks, and let the server render. */
  #fail(error) {
    console.warn(`THA4: the server renders this student's previews. ${error.message}`);
    this.puppet?.close();
    this.puppet = null;
    if (!this.closed && this.wanted) this.#useServer();
  }

  async #drawInPage() {
    const { puppet, wanted } = this;
    const size = wanted.moving ? Math.min(SIZES[this.step], pageSize()) : pageSize();
    let milliseconds;
    try {
      milliseconds = await puppet.render(wanted.pose, size);
    } catch (error) {
      return this.#fail(error);
    }
    if (milliseconds === null || this.closed || this.puppet !== puppet) return;
    this.frames.cancel(); // of the time before the student was open
    this.#put(puppet.canvas);
    if (wanted.moving) this.#pace(milliseconds);
    this.onDrawn({ size, moving: wanted.moving, milliseconds, by: "page" });
  }

  #drawServerFrame(bitmap, request, milliseconds) {
    const { kind, name } = this.wanted.character;
    const isOfOther = request.character.kind !== kind || request.character.name !== name;
    if (this.closed || (this.puppet && this.element.firstChild === this.puppet.canvas) || isOfOther) return bitmap.close();
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, FULL, FULL);
    context.drawImage(bitmap, 0, 0, FULL, FULL);
    this.#put(this.canvas);
    const size = bitmap.width;
    bitmap.close();
    this.onDrawn({ size, moving: request.moving, milliseconds, by: kind === "teacher" ? kind : "server" });
  }

  /** Nobody renders this character yet: the picture stays as it is in every pose. */
  #drawStill(draw) {
    const isMissing = this.wanted.character.kind === "teacher" && this.teacher.shown === null;
    if (this.closed || !(isMissing || this.wanted.character.kind === "picture")) return;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, FULL, FULL);
    draw(context);
    this.#put(this.canvas);
    this.onDrawn({ size: FULL, moving: this.wanted.moving, milliseconds: 0, by: "picture" });
  }

  #put(canvas) {
    if (this.element.firstChild !== canvas) this.element.replaceChildren(canvas);
  }

  /** Frames are as large as the GPU holds them while something moves. */
  #pace(milliseconds) {
    if (milliseconds > SLOW && this.step > 0) this.step -= 1;
    else if (milliseconds < FAST && SIZES[this.step] < pageSize()) this.step += 1;
    this.slowFrames = milliseconds > TOO_SLOW && this.step === 0 ? this.slowFrames + 1 : 0;
    if (this.slowFrames < PATIENCE || previewRenderer() === "page") return;
    tooSlow = true;
    this.#fail(new Error("This browser's GPU renders fewer than 10 frames a second."));
  }

  /** Close the student that is open, unless it is this character's. */
  #closePuppet(character = null) {
    if (character?.kind === "student" && character.name === this.student && mayUsePage()) return;
    this.puppet?.close();
    Object.assign(this, { puppet: null, student: null });
  }
}

const mayUsePage = () => previewRenderer() === "page" || (previewRenderer() === "auto" && !tooSlow);
