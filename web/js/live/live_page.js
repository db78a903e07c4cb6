// What the parts of the live page do together.
import { h } from "../element.js";
import { CameraPanel } from "./camera.js";
import { LiveEngine } from "./engine.js";
import { ExpressionKeys } from "./expression_keys.js";
import { openFigure } from "./figure.js";
import { filesOnServer, MissingFiles } from "./inputs/mediapipe.js";
import { followMouse } from "./inputs/mouse.js";
import { Microphone } from "./inputs/microphone.js";
import { Session } from "./inputs/session.js";
import { Webcam } from "./inputs/webcam.js";
import { Loop } from "./loop.js";
import { engineSettings, obsQuery, OPTIONS, readOptions, storeOptions } from "./options.js";
import { Panel } from "./panel.js";
import { Recording } from "./recording.js";
import { Speaker } from "./speaker.js";
import { Stage } from "./stage.js";
import { loadTexts, text } from "./text.js";
import { Trackers } from "./trackers.js";

const NOTICE_SECONDS = 6;
const LONG_NOTICE_SECONDS = 12;
const STORE_DELAY = 300;

export class LivePage {
  constructor(root) {
    Object.assign(this, { root, options: readOptions(new URLSearchParams(location.search), localStorage) });
    Object.assign(this, { figure: null, opening: null, stopMouse: null });
  }

  async open() {
    await loadTexts(this.options.language);
    document.title = text("THA4 live");
    this.notice = h("div.notice", { role: "alert", hidden: true });
    try {
      this.library = await fetchLibrary();
    } catch (error) {
      this.root.replaceChildren(this.notice);
      return this.#tell(error.message, Infinity);
    }
    this.#build();
    this.#apply();
    this.#listen();
  }

  /** Change some options, as the user has asked. */
  change(some) {
    const before = this.options;
    this.options = { ...before, ...some };
    this.#apply(before);
    clearTimeout(this.storing);
    this.storing = setTimeout(() => this.#store(), STORE_DELAY);
  }

  #build() {
    this.engine = new LiveEngine(this.library, engineSettings(this.options));
    this.stage = new Stage((placed) => this.change(placed));
    this.session = new Session((message) => this.#take(message), (state) => this.#connected(state));
    this.speaker = new Speaker(
      (track, start) => this.engine.say(track, start),
      () => this.#tell(text("Click the page once, so that it may play sound.")),
      (audio) => this.recording.hear(audio),
    );
    this.webcam = new Webcam(filesOnServer, (face) => this.#see(face), (error) => this.#closeWebcam(error));
    this.camera = new CameraPanel(this.webcam.video, (some) => this.change(some));
    this.recording = new Recording({
      poseAt: (time) => this.engine.pose(time),
      sounds: () => [this.microphone.stream, this.speaker.playing].filter(Boolean),
      send: (form) => this.session.post("record", form),
      onError: (why) => this.#tell(why, LONG_NOTICE_SECONDS),
    });
    this.microphone = new Microphone(
      this.library.live.speech,
      (mouth) => this.#drive({ type: "speech", pose: mouth }, true),
      (level) => (this.panel.meter.value = level),
    );
    this.expressions = new ExpressionKeys(
      this.library.expressions,
      this.options.keys,
      (name) => this.#drive({ type: "expression", name, seconds: null, strength: 1 }),
      (keys) => this.change({ keys }),
    );
    this.trackers = new Trackers((what, body) => this.session.post(what, body), (why) => this.#tell(why));
    this.panel = this.#panel();
    this.loop = new Loop(this.engine, () => this.#limits(), (frame) => this.#drawn(frame), (error) => this.#fail(error));
    this.root.replaceChildren(this.stage.element, this.panel.element, this.notice);
  }

  #panel() {
    const students = this.library.characters.filter(({ kind }) => kind === "student").map(({ name }) => name);
    const actions = {
      calibrate: () => this.#calibrate(),
      copy: () => this.#copy(),
      upload: (file) => this.#upload(file),
      reset: () => this.change({ ...OPTIONS }),
    };
    const parts = { camera: this.camera, expressions: this.expressions, trackers: this.trackers, recording: this.recording };
    const elements = Object.fromEntries(Object.entries(parts).map(([name, { element }]) => [name, element]));
    return new Panel(this.options, (some) => this.change(some), { students, actions, ...elements });
  }

  /** Do what the options say, where they differ from those before. */
  #apply(before = {}) {
    const { options } = this;
    const changed = (...names) => names.some((name) => options[name] !== before[name]);
    Object.assign(this.engine.settings, engineSettings(options));
    if (changed("neutral")) this.engine.settings.neutral = options.neutral;
    this.stage.apply(options);
    document.body.classList.toggle("with-controls", options.controls);
    this.panel.show(options);
    if (changed("student", "renderer")) this.#openStudent();
    if (changed("session")) this.session.open(options.session);
    if (changed("mouse")) this.#useMouse();
    if (changed("microphone")) this.#useMicrophone();
    if (changed("webcam") || (options.webcam && changed("camera"))) this.#useWebcam();
    this.camera.show(options);
    this.recording.fps = options.recordFps;
    this.microphone.silence = options.silence;
  }

  #listen() {
    window.addEventListener("keydown", (event) => this.#key(event));
    window.addEventListener("pagehide", () => this.session.close());
  }

  // --- what drives the character -----------------------------------------------------------------------------------

  /** An input of this page: for the engine, and for the other pages of the session where the user wants that. */
  #drive(message, streams = false) {
    this.engine.receive(message, performance.now() / 1000);
    if (this.options.share) this.session.send(message, streams);
  }

  /** A message of the session. */
  #take(message) {
    if (message.type === "state") this.#showState(message);
    else if (message.type === "error") this.#tell(message.error);
    else if (message.type === "say") this.speaker.say(message, this.options.sound);
    else this.engine.receive(message, performance.now() / 1000);
    if (message.type === "expression") this.expressions.follow(message.seconds ? null : message.name);
  }

  #useMouse() {
    this.stopMouse?.();
    const look = (x, y) => this.#drive({ type: "look", x, y }, x !== null);
    this.stopMouse = this.options.mouse ? followMouse(this.stage.frame, look) : null;
  }

  async #useMicrophone() {
    try {
      if (!this.options.microphone) return this.microphone.close();
      await this.microphone.open();
      if (this.microphone.stream) this.recording.hear(this.microphone.stream);
    } catch (error) {
      this.change({ microphone: false });
      this.#tell(text("There is no microphone: {why}", { why: error.message }));
    }
  }

  async #useWebcam() {
    try {
      if (!this.options.webcam) return this.webcam.close();
      await this.webcam.open(this.options.camera);
      if (this.webcam.stream) await this.camera.list(this.webcam.stream);
    } catch (error) {
      this.#closeWebcam(error);
    }
  }

  #closeWebcam(error) {
    this.change({ webcam: false });
    if (error instanceof MissingFiles) this.camera.ask(error.missing);
    this.#tell(text("The webcam cannot be used: {why}", { why: error.message }), LONG_NOTICE_SECONDS);
  }

  #see(face) {
    this.camera.follow(face.found);
    this.#drive(face, true);
  }

  #calibrate() {
    this.#drive({ type: "calibrate" });
    this.change({ neutral: this.engine.settings.neutral });
    this.#tell(text("This is the neutral face now."), 2);
  }

  #key(event) {
    const typing = event.target.closest?.("input:not([type=checkbox], [type=range]), select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (this.expressions.press(event.key) || this.#command(event.key.toLowerCase())) event.preventDefault();
  }

  /** Do what a key is for. Returns whether it is for anything. */
  #command(key) {
    if (key === "h") this.change({ controls: !this.options.controls });
    else if (key === "m") this.change({ mirror: !this.options.mirror });
    else if (key === "c") this.#calibrate();
    else return false;
    return true;
  }

  // --- what is shown -----------------------------------------------------------------------------------------------

  async #openStudent() {
    const { student, renderer } = this.options;
    const opening = {};
    this.opening = opening;
    this.#close();
    if (this.telling === null) this.notice.hidden = true; // it was about the figure before
    try {
      const figure = await openFigure(student, renderer, (error) => this.#fail(error));
      if (this.opening !== opening) return figure.close();
      this.figure = figure;
      this.stage.show(figure.canvas);
      this.loop.use(figure);
      if (figure.by === "server" && renderer === "auto") this.#tell(serverRenders(), LONG_NOTICE_SECONDS);
    } catch (error) {
      if (this.opening === opening) this.#fail(error);
    }
  }

  #close() {
    this.figure?.close();
    this.figure = null;
    this.loop.use(null);
    this.stage.show(null);
  }

  /** The character cannot be drawn. */
  #fail(error) {
    this.#close();
    this.#tell(text("The character cannot be shown: {why}", { why: error.message }), Infinity);
  }

  #limits() {
    const { fps, size } = this.options;
    return { fps, size: Math.min(size, this.stage.pixels) }; // more would not be seen
  }

  #drawn({ size, milliseconds, rate, pose }) {
    const { by, name } = this.figure;
    Object.assign(this.root.dataset, { by, size, drawn: Number(this.root.dataset.drawn ?? 0) + 1 });
    this.pose = pose;
    if (!this.options.controls) return;
    const who = by === "page" ? name : text("the server");
    this.panel.status.textContent = `${rate} fps · ${size} px · ${milliseconds.toFixed(0)} ms · ${who}`;
  }

  #connected({ connected }) {
    this.root.dataset.connected = connected;
    if (connected) return; // the session says its state at once
    delete this.root.dataset.pages;
    this.trackers.show(null);
  }

  #showState(state) {
    this.trackers.show(state);
    this.root.dataset.pages = state.pages;
  }

  #tell(what, seconds = NOTICE_SECONDS) {
    clearTimeout(this.telling);
    Object.assign(this.notice, { textContent: what, hidden: false });
    this.telling = seconds < Infinity ? setTimeout(() => (this.notice.hidden = true), seconds * 1000) : null;
  }

  // --- what is kept ------------------------------------------------------------------------------------------------

  #store() {
    storeOptions(this.options, localStorage);
  }

  async #copy() {
    const url = new URL(`?${obsQuery({ ...this.options, neutral: this.engine.settings.neutral })}`, location.href).href;
    this.root.dataset.url = url;
    this.change({ share: true });
    try {
      await navigator.clipboard.writeText(url);
      this.#tell(copied(), LONG_NOTICE_SECONDS);
    } catch {
      window.prompt(text("Copy this URL:"), url);
    }
  }

  async #upload(file) {
    const form = new FormData();
    form.append("image", file);
    const response = await fetch("../upload/image", { method: "POST", body: form }).catch((error) => ({ status: error.message }));
    if (!response.ok) return this.#tell(text("The server did not take the picture ({status}).", { status: response.status }));
    return this.change({ picture: (await response.json()).name });
  }
}

async function fetchLibrary() {
  const response = await fetch("library");
  if (!response.ok) throw new Error(text("The server did not say what it can do ({status}).", { status: response.status }));
  return response.json();
}

// prettier-ignore
const serverRenders = () => text("This browser has no WebGPU, so the server renders, with fewer frames. Chrome and Edge have WebGPU; in OBS it comes with version 33.");
// prettier-ignore
const copied = () => text("Copied. In OBS add a browser source with this URL. This page sends it what drives the character: keep it open.");
