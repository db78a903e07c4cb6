// The microphone as an input: the mouth moves as the voice is heard. The sound stays in the page.
import { Listener } from "../speech/listener.js";
import { text } from "../text.js";

// Echoes would open the mouth; a browser's own gain makes every voice as loud.
const WANTED = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true }, video: false };

export class Microphone {
  /**
   * `constants` are the library's (`live.speech`). `onMouth(mouth)` gets the mouth by names while it moves, `onLevel` how
   * loud it is in decibels. `silence` is the level below which nothing is speech.
   */
  constructor(constants, onMouth, onLevel) {
    Object.assign(this, { constants, onMouth, onLevel, silence: -50, stream: null, context: null });
    Object.assign(this, { wanted: false, spoke: false });
  }

  /** Ask for the microphone, and listen. Rejects where there is none, or the user does not want it. */
  async open() {
    this.wanted = true;
    if (this.stream) return;
    if (!navigator.mediaDevices) throw new Error(text("A browser lends it only to https and localhost pages."));
    const stream = await navigator.mediaDevices.getUserMedia(WANTED);
    if (!this.wanted || this.stream) return stop(stream);
    this.stream = stream;
    this.context = new AudioContext({ latencyHint: "interactive" });
    await this.#listen(stream, this.context);
  }

  /** Give the microphone back. */
  close() {
    this.wanted = false;
    if (this.stream) stop(this.stream);
    this.context?.close();
    Object.assign(this, { stream: null, context: null });
  }

  async #listen(stream, context) {
    await context.audioWorklet.addModule(new URL("./microphone_worklet.js", import.meta.url));
    if (this.context !== context) return;
    const listener = new Listener(this.constants, context.sampleRate);
    const mono = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
    const worklet = new AudioWorkletNode(context, "tha4-microphone", mono);
    worklet.port.onmessage = ({ data }) => this.context === context && this.#hear(listener, data);
    context.createMediaStreamSource(stream).connect(worklet);
    // A page that nobody has clicked yet may have to wait for that.
    const resume = () => context.state === "suspended" && context.resume();
    for (const name of ["pointerdown", "keydown"]) window.addEventListener(name, resume, { once: true });
    resume();
  }

  #hear(listener, samples) {
    const mouth = listener.hear(samples, this.silence).at(-1);
    if (!mouth) return;
    this.onLevel(Math.max(-90, listener.level));
    const speaks = Object.values(mouth).some((value) => value > 1e-3);
    if (speaks || this.spoke) this.onMouth(mouth);
    this.spoke = speaks;
  }
}

const stop = (stream) => stream.getTracks().forEach((track) => track.stop());
