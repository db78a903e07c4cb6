// The player of one node that makes a motion: its character in it, and its curves, before anything is queued.
import { h, icon, onDrag, place } from "../editor/dom.js";
import { findCharacter } from "../character.js";
import { library } from "../library.js";
import { leaveWheel } from "../panel.js";
import { text } from "../text.js";
import { View } from "../view.js";
import { bands, drawCurves } from "./curves.js";
import { Keys } from "./keys.js";
import { Motion } from "./motion.js";
import { offerPlayer, putPoseInto, use } from "./put.js";
import { recordFor } from "./record.js";
import { Sound, findSound } from "./sound.js";

const WATCH = 250; // milliseconds between looks at what changed
const [PLAY, PAUSE] = ["▶", "❚❚"];
const KEY = "M6.5 3.5 11 8l-4.5 4.5L2 8zM12.5 2v5M10 4.5h5";
const SPEAKER = "M2 6h2.5L8 3v10l-3.5-3H2z";
const [LOUD, MUTE] = [`${SPEAKER}M10.5 5.5a3.5 3.5 0 0 1 0 5M12.5 3.5a6.4 6.4 0 0 1 0 9`, `${SPEAKER}M10.5 6l4 4M14.5 6l-4 4`];
// What a person set in a player, by node, so that undo, which makes every node anew, leaves it as it was.
const remembered = new Map();

export class Player {
  constructor(node) {
    this.node = node;
    this.state = { frame: 0, looping: true };
    Object.assign(this, { complaint: "", unseen: "" });
    this.caption = h("div.tha4-player-caption");
    this.problem = h("div.tha4-player-problem", { role: "status", hidden: true });
    this.stage = h("div.tha4-player-stage", {}, this.problem);
    this.curves = h("canvas.tha4-player-curves", { tabIndex: 0, title: text(HOW) });
    this.play = h("button", { type: "button", "data-name": "play", title: text("Play (Space)"), onclick: () => this.#toggle() }, PLAY);
    this.loop = h("button", { type: "button", "data-name": "loop", title: text("Again and again"), onclick: () => this.#set({ looping: !this.state.looping }) }, "↻");
    this.sound = new Sound();
    this.mute = h("button", { type: "button", "data-name": "mute", title: text("Sound on or off"), hidden: true, onclick: () => this.#mute() });
    this.keys = new Keys(node, (seconds) => this.#seek(seconds));
    this.time = h("span.tha4-player-time");
    const bar = h("div.tha4-player-bar", {}, this.play, this.loop, this.mute, ...this.#scriptTools(), this.time, this.sound.element);
    this.element = h("div.tha4-panel.tha4-player", { "data-capture-wheel": "true" }, this.caption, this.stage, this.keys.element, this.curves, bar);
    this.#listen();
  }

  async start() {
    if (this.timer) return;
    Object.assign(this.state, remembered.get(this.node.id));
    this.view?.element.remove();
    this.view = new View((drawn) => this.#drawn(drawn), (why) => this.#tell({ unseen: why }));
    this.stage.prepend(this.view.element);
    this.motion = new Motion(this.node, (found) => this.#take(found), (...why) => this.#miss(...why));
    this.motion.made(this.mark);
    this.timer = setInterval(() => this.#watch(), WATCH);
    this.sized = new ResizeObserver(() => this.#drawCurves());
    this.sized.observe(this.curves);
    await library.load().catch((error) => this.#complain(error.message));
    this.#watch();
  }

  stop() {
    this.#pause();
    clearInterval(this.timer);
    this.timer = null;
    this.sound.use(null);
    this.view?.close();
    this.motion?.close();
    this.sized?.disconnect();
    Object.assign(this, { found: null, shown: null });
  }

  /** The node has run. */
  ran(output) {
    this.mark = output?.tha4_motion?.[0];
    this.motion?.made(this.mark);
  }

  /** Write a pose into the script at the time that is shown; returns what to tell the user. */
  put(pose) {
    this.#pause();
    return this.keys.put(pose, this.found ? this.state.frame / this.found.fps : 0);
  }

  #scriptTools() {
    if (this.node.comfyClass !== "THA4PoseSequence") return [];
    offerPlayer(this.node, this);
    const title = text("Put the Pose Vector's pose into the script at this moment");
    const record = text("Record from the camera, the mouse or a tracker");
    return [
      h("button", { type: "button", "data-name": "key", title, onclick: () => this.#complain(putPoseInto(this.node)) }, icon(KEY)),
      h("button", { type: "button", "data-name": "record", title: record, onclick: () => this.#complain(recordFor(this.node)) }, "●"),
    ];
  }

  #seek(seconds) {
    this.#pause();
    this.#show(Math.min(this.found.frames - 1, Math.round(seconds * this.found.fps)), false);
  }

  #listen() {
    this.element.addEventListener("pointerdown", () => use(this.node), true);
    let playing = false;
    onDrag(this.curves, {
      start: (event) => {
        if (!this.found) return false;
        this.curves.focus({ preventScroll: true });
        playing = Boolean(this.playing);
        this.#pause();
        this.#scrub(event, true);
        return true;
      },
      move: (event) => this.#scrub(event, true),
      end: () => {
        if (playing) this.#start();
        else this.#show(this.state.frame, false);
      },
    });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("wheel", leaveWheel, { passive: true });
  }

  #scrub(event, moving) {
    const x = Math.min(1, Math.max(0, place(this.curves, event).x));
    this.#show(Math.round(x * (this.found.frames - 1)), moving);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !this.found || (!step && event.key !== " ")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === " ") return this.#toggle();
    this.#pause();
    this.#show(Math.min(this.found.frames - 1, Math.max(0, this.state.frame + step)), false);
  }

  #watch() {
    if (!this.timer || !this.element.isConnected || document.hidden) return;
    this.motion.watch().catch((error) => this.#complain(error.message));
    const character = findCharacter(this.node);
    const sound = findSound(this.node);
    this.#hear(sound?.url ?? null);
    const late = this.view.note || this.motion.note;
    const notes = [late, this.found?.note, sound?.note, this.sound.problem];
    this.caption.textContent = [character.text, ...notes].filter(Boolean).join(" · ");
    const known = JSON.stringify(character);
    if (this.character && known !== this.character) this.shown = null;
    this.character = known;
    if (this.found && !this.playing && !this.shown) this.#show(this.state.frame, false);
  }

  #hear(url) {
    this.sound.use(url);
    this.mute.hidden = !url;
    const look = this.sound.muted ? MUTE : LOUD;
    if (this.mute.dataset.look !== look) this.mute.replaceChildren(icon(look));
    Object.assign(this.mute.dataset, { look, muted: this.sound.muted });
  }

  #mute() {
    this.sound.muted = !this.sound.muted;
    this.#hear(this.sound.url);
  }

  #take(found) {
    Object.assign(this, { found, shown: null });
    this.bands = bands(found, library.now?.parameters ?? []);
    for (const band of this.bands) band.label = text(band.group);
    this.#complain(found.notes.join("\n"));
    this.element.dataset.frames = found.frames;
    this.keys.show(found);
    if (!this.playing) this.#show(Math.min(this.state.frame, found.frames - 1), false);
  }

  /** There is no motion. While an input is wrong the last one stays: it plays on beside the text that is mended. */
  #miss(why, inInput) {
    if (inInput && this.found) return this.#complain(why);
    this.#pause();
    Object.assign(this, { found: null, shown: null });
    delete this.element.dataset.frames;
    this.keys.show(null);
    this.#complain(why);
    this.curves.getContext("2d").clearRect(0, 0, this.curves.width, this.curves.height);
    this.time.textContent = "";
  }

  #complain(why) {
    this.#tell({ complaint: why });
  }

  /** Over the picture: what is wrong with the motion, and why its frame is not seen. */
  #tell(why) {
    Object.assign(this, why);
    const lines = [this.complaint, this.unseen].filter(Boolean).join("\n");
    Object.assign(this.problem, { textContent: lines, hidden: !lines });
  }

  #set(changes) {
    Object.assign(this.state, changes);
    remembered.set(this.node.id, { ...this.state });
    this.loop.classList.toggle("tha4-on", this.state.looping);
  }

  #toggle() {
    if (this.playing) this.#pause(true);
    else if (this.found) this.#start();
  }

  #start() {
    this.play.textContent = PAUSE;
    this.#playFrom(this.state.frame >= this.found.frames - 1 ? 0 : this.state.frame / this.found.fps);
    const tick = () => {
      if (!this.found) return this.#pause();
      const frame = Math.floor(this.#seconds() * this.found.fps + 1e-6);
      if (frame >= this.found.frames && !this.state.looping) return this.#end();
      if (frame >= this.found.frames) this.#playFrom(0);
      this.#show(frame % this.found.frames, true);
      this.playing = requestAnimationFrame(tick);
    };
    this.playing = requestAnimationFrame(tick);
  }

  #playFrom(seconds) {
    this.began = performance.now() - seconds * 1000;
    this.sound.play(seconds);
  }

  /** The time in the motion while it plays: the sound's, so that both stay in step; without a sound the page's. */
  #seconds() {
    const heard = this.sound.time;
    if (heard !== null) this.began = performance.now() - heard * 1000;
    return Math.max(0, performance.now() - this.began) / 1000;
  }

  #end() {
    this.#show(this.found.frames - 1, true);
    this.#pause(true);
  }

  #pause(atRest = false) {
    cancelAnimationFrame(this.playing);
    this.sound.pause();
    const was = this.playing;
    this.playing = null;
    this.play.textContent = PLAY;
    if (was && atRest && this.found) this.#show(this.state.frame, false);
  }

  /** Show a frame: small and soon while something is `moving`, exact at rest. */
  #show(frame, moving) {
    if (!this.timer) return;
    const wish = `${frame} ${moving}`;
    if (wish === this.shown) return;
    this.shown = wish;
    this.#set({ frame });
    const { fps, frames, curves } = this.found;
    const pose = (library.now?.parameters ?? []).map(({ name }) => (curves[name]?.[frame] ?? 0) / 1000);
    this.element.dataset.resting = "false";
    if (pose.length) this.view.show(findCharacter(this.node), pose, moving);
    this.time.textContent = `${(frame / fps).toFixed(2)} s   ${frame + 1} / ${frames}   ${+fps.toFixed(2)} fps`;
    this.#drawCurves();
  }

  #drawCurves() {
    if (this.found) drawCurves(this.curves, this.found, this.bands, this.state.frame);
  }

  #drawn({ moving, by }) {
    this.drawn = (this.drawn ?? 0) + 1;
    if (this.unseen) this.#tell({ unseen: "" });
    Object.assign(this.element.dataset, { drawn: this.drawn, by, resting: !moving && !this.view.pending });
  }
}

const HOW = "Drag to go to a moment; the arrow keys go frame by frame.";
