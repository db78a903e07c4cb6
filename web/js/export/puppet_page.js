// What the parts of the exported page do together. It makes no request: all that it needs is in the document.
import { h } from "../element.js";
import { LiveEngine } from "../live/engine.js";
import { PAGE_PACE } from "../live/figure.js";
import { followMouse } from "../live/inputs/mouse.js";
import { Microphone } from "../live/inputs/microphone.js";
import { Loop } from "../live/loop.js";
import { engineSettings, readOptions, toQuery } from "../live/options.js";
import { Speaker } from "../live/speaker.js";
import { Stage } from "../live/stage.js";
import { text, useTexts } from "../live/text.js";
import { openGPU } from "../puppet/gpu.js";
import { Puppet } from "../puppet/puppet.js";
import { readStudent } from "./document.js";
import { PuppetAPI } from "./puppet_api.js";

const NOTICE_SECONDS = 6;

export class PuppetPage {
  constructor(root) {
    const { library, options, texts } = JSON.parse(document.getElementById("tha4-data").textContent);
    const language = navigator.language.split("-")[0];
    useTexts(language in texts ? language : "en", texts[language]);
    // The URL's query has the last word: the same file serves several frames of one site.
    const query = new URLSearchParams([...toQuery(options), ...new URLSearchParams(location.search)]);
    Object.assign(this, { root, library, options: readOptions(query, null), inputs: {}, stopMouse: null, pose: null });
  }

  /** Have the document's button of that name switch an input; `use(on)` is called at the beginning too. */
  addInput(name, label, use) {
    const button = document.querySelector(`button[data-name="${name}"]`);
    button.setAttribute("aria-label", label);
    Object.assign(button, { title: label, onclick: () => this.switch(name, !this.options[name]) });
    this.inputs[name] = { button, use };
  }

  /** Show the still at once, and the moving character as soon as it can be drawn. */
  async open() {
    this.#build();
    window.puppet = new PuppetAPI(this);
    window.addEventListener("message", ({ data }) => window.puppet.receive(data));
    for (const name of Object.keys(this.inputs)) this.switch(name, this.options[name]);
    const why = await this.#start();
    this.root.dataset.moves = why === null;
    if (why !== null) this.#stay(why);
    window.puppet.opened(why === null);
  }

  /** Switch an input on or off. */
  switch(name, on) {
    const { button, use } = this.inputs[name];
    this.options[name] = on;
    button.setAttribute("aria-pressed", String(on));
    return use(on);
  }

  tell(what, seconds = NOTICE_SECONDS) {
    clearTimeout(this.telling);
    Object.assign(this.notice, { textContent: what, hidden: !what });
    if (seconds < Infinity) this.telling = setTimeout(() => (this.notice.hidden = true), seconds * 1000);
  }

  /** The canvas on which the character is drawn. */
  get canvas() {
    return this.stage.frame.querySelector("canvas");
  }

  #build() {
    const { options, library } = this;
    this.engine = new LiveEngine(library, engineSettings(options));
    this.still = this.root.querySelector(".still");
    this.notice = h("p.notice", { role: "status", hidden: true });
    this.stage = new Stage(() => {});
    this.stage.show(this.still);
    this.stage.apply(options);
    this.speaker = new Speaker((track, start) => this.engine.say(track, start), () => this.tell(text("Click the page once, so that it may play sound.")));
    this.microphone = new Microphone(library.live.speech, (mouth) => this.engine.speech(mouth, now()), () => {});
    this.microphone.silence = options.silence;
    this.addInput("mouse", text("Follow the pointer"), (on) => this.#useMouse(on));
    this.addInput("microphone", text("The microphone moves the mouth"), (on) => this.#useMicrophone(on));
    this.buttons = document.querySelector(".buttons");
    this.buttons.hidden = !options.controls;
    this.root.replaceChildren(this.stage.element, this.notice);
  }

  /** Begin to draw. Resolves with null, or with the text that says why the character does not move. */
  async #start() {
    const gpu = await openGPU();
    if (!gpu) return noGPU();
    if (gpu.isFallback && this.options.renderer !== "page") return text("This browser computes WebGPU without a graphics card, which is too slow to move the character. Switch on hardware acceleration in its settings.");
    try {
      const canvas = h("canvas");
      this.stage.frame.prepend(canvas);
      const lost = (error) => this.#fail(error);
      const puppet = await Puppet.open(await readStudent(document), canvas, { size: 64, onLost: lost });
      this.loop = new Loop(this.engine, () => this.#limits(), (frame) => this.#drawn(frame), lost);
      this.loop.use({ pace: PAGE_PACE, draw: (pose, size) => puppet.render(pose, size) });
      return null;
    } catch (error) {
      return text("The character cannot be shown: {why}", { why: error.message });
    }
  }

  /** The GPU is gone for good. */
  #fail(error) {
    this.loop?.use(null);
    this.#stay(text("The character cannot be shown: {why}", { why: error.message }));
  }

  /** Show the still, and why it does not move. */
  #stay(why) {
    this.stage.show(this.still);
    this.buttons.hidden = true;
    for (const name of Object.keys(this.inputs)) this.switch(name, false);
    this.tell(why, Infinity);
  }

  #limits() {
    const { fps, size } = this.options;
    return { fps, size: Math.min(size, this.stage.pixels) };
  }

  #drawn({ size, pose }) {
    this.still.remove();
    this.pose = pose;
    Object.assign(this.root.dataset, { size, drawn: Number(this.root.dataset.drawn ?? 0) + 1 });
  }

  #useMouse(on) {
    this.stopMouse?.();
    const look = (x, y) => this.engine.look(x, y, now());
    this.stopMouse = on ? followMouse(this.stage.frame, look) : null;
  }

  async #useMicrophone(on) {
    try {
      if (on) await this.microphone.open();
      else this.microphone.close();
    } catch (error) {
      this.switch("microphone", false);
      this.tell(text("There is no microphone: {why}", { why: error.message }));
    }
  }
}

const now = () => performance.now() / 1000;

function noGPU() {
  if (!window.isSecureContext) return text("This page came over http, where browsers have no WebGPU, so the character does not move. Use https, or open the file itself.");
  return text("This browser has no WebGPU, so the character does not move here. Open the page in a current Chrome, Edge or Safari.");
}
