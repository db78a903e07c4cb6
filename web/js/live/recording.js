// Records what the character does, and its sound, into ComfyUI's input folder, where Load Poses finds it.
import { h } from "../element.js";
import { PoseTrack } from "./pose_track.js";
import { SoundRecorder } from "./sound_recorder.js";
import { text } from "./text.js";

const MOST_SECONDS = 600;
/** Where ComfyUI's page hears of a recording. */
const CHANNEL = "tha4.live";

export class Recording {
  /**
   * `poseAt(seconds)` says the pose, `sounds()` lists what is to be heard from the start on, `send(form)` brings a
   * recording to the server and resolves with its answer, `onError(text)` is called where that fails.
   */
  constructor({ poseAt, sounds, send, onError }) {
    Object.assign(this, { poseAt, sounds, send, onError, track: null, fps: 30, sound: new SoundRecorder() });
    this.button = h("button", { type: "button", onclick: () => this.toggle() });
    this.button.dataset.name = "record";
    this.result = h("p.hint.recorded", { role: "status" });
    this.element = h("div.recording", {}, this.button, this.result);
    document.addEventListener("visibilitychange", () => document.hidden && this.stop(text("It ended when the page was hidden.")));
    this.#show();
  }

  get isRunning() {
    return this.track !== null;
  }

  /** Start, or stop and keep what there is. */
  toggle() {
    return this.isRunning ? this.stop() : this.start();
  }

  async start() {
    if (this.isRunning || this.busy) return;
    this.busy = true;
    try {
      await this.sound.start();
      const now = performance.now() / 1000;
      this.track = new PoseTrack(this.fps, now, MOST_SECONDS * this.fps);
      for (const sound of this.sounds()) this.sound.add(sound);
      this.result.textContent = "";
      this.#tick(this.track);
    } catch (error) {
      this.onError(text("It cannot be recorded: {why}", { why: error.message }));
    } finally {
      this.busy = false;
    }
  }

  /** Something begins to be heard. */
  hear(sound) {
    if (this.isRunning) this.sound.add(sound);
  }

  async stop(note = "") {
    const { track } = this;
    if (!track) return;
    Object.assign(this, { track: null, busy: true });
    this.#show();
    try {
      const sound = await this.sound.stop();
      this.#tell(await this.send(form(track, sound)), note);
    } catch (error) {
      this.onError(text("It cannot be recorded: {why}", { why: error.message }));
    } finally {
      this.busy = false;
      this.#show();
    }
  }

  #tick(track) {
    if (this.track !== track) return;
    const now = performance.now() / 1000;
    track.add(this.poseAt(now), now);
    this.#show();
    if (track.isFull) this.stop(text("{minutes} minutes are the most.", { minutes: MOST_SECONDS / 60 }));
    else requestAnimationFrame(() => this.#tick(track));
  }

  #show() {
    const seconds = this.track ? Math.floor(this.track.frames.length / this.track.fps) : 0;
    const elapsed = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    this.button.textContent = this.isRunning ? `■ ${text("Stop")} ${elapsed}` : `● ${text("Record")}`;
    this.button.disabled = Boolean(this.busy);
    this.button.setAttribute("aria-pressed", String(this.isRunning));
  }

  #tell({ file, sound, seconds }, note) {
    const names = [file, sound && `input/${sound}`].filter(Boolean).join(", ");
    const where = text("{names}: {seconds} s. Load Poses and Load Audio find them.", { names, seconds: seconds.toFixed(1) });
    this.result.textContent = [where, note].filter(Boolean).join(" ");
    this.result.dataset.file = file;
    const channel = new BroadcastChannel(CHANNEL);
    // ComfyUI's page has put into this page's URL for which node it wants a recording.
    const recordFor = new URLSearchParams(location.search).get("record_for");
    channel.postMessage({ type: "recorded", recordFor, file, sound });
    channel.close();
  }
}

function form(track, sound) {
  const content = new FormData();
  content.append("fps", String(track.fps));
  content.append("poses", new Blob([track.values()], { type: "application/octet-stream" }));
  if (sound) content.append("sound", sound);
  return content;
}
