// The webcam of an exported page that has MediaPipe inside: two buttons, and the keys of the live page.
import { Webcam } from "../live/inputs/webcam.js";
import { text } from "../live/text.js";
import { readFile } from "./document.js";

const LOST = 1; // seconds without a face, from which on the page says so
const FILES = ["bundle", "loader", "wasm", "model"];

/** Give a page the webcam as one more input. */
export const addWebcam = (page) => new WebcamInput(page);

class WebcamInput {
  #page;
  #found = null;

  constructor(page) {
    this.#page = page;
    this.webcam = new Webcam(filesInDocument, (face) => this.#see(face), (error) => this.#fail(error));
    this.calibration = document.querySelector('button[data-name="calibrate"]');
    Object.assign(this.calibration, { title: text("Calibrate (C)"), onclick: () => this.#calibrate() });
    this.calibration.setAttribute("aria-label", text("Calibrate (C)"));
    page.addInput("webcam", text("The webcam moves head and face"), (on) => this.#use(on));
    window.addEventListener("keydown", (event) => this.#key(event));
  }

  async #use(on) {
    this.calibration.hidden = !on;
    this.#found = null;
    try {
      if (!on) return this.#close();
      await this.webcam.open(this.#page.options.camera);
      if (this.webcam.stream) this.#say(text("MediaPipe is starting …"), Infinity);
    } catch (error) {
      this.#fail(error);
    }
  }

  #close() {
    if (this.webcam.worker) this.#say("");
    this.webcam.close();
    clearTimeout(this.losing);
  }

  #fail(error) {
    this.#page.switch("webcam", false);
    this.#page.tell(text("The webcam cannot be used: {why}", { why: error.message }));
  }

  #see(face) {
    this.#page.engine.face(face, now());
    clearTimeout(this.losing);
    if (face.found) this.#follow(true);
    else this.losing = setTimeout(() => this.#follow(false), LOST * 1000);
  }

  #follow(found) {
    if (found === this.#found || !this.#page.options.webcam) return;
    this.#found = found;
    this.#say(found ? text("A face is found.") : text("No face is found."));
  }

  /** Say how it goes, but not in a page without controls: it may be a picture within a film. */
  #say(what, seconds) {
    if (this.#page.options.controls) this.#page.tell(what, seconds);
  }

  #calibrate() {
    this.#page.engine.calibrate(now());
    this.#say(text("This is the neutral face now."), 2);
  }

  #key({ key, ctrlKey, metaKey, altKey, repeat }) {
    if (!this.#page.options.webcam || ctrlKey || metaKey || altKey || repeat) return;
    const { settings } = this.#page.engine;
    if (key.toLowerCase() === "c") this.#calibrate();
    if (key.toLowerCase() === "m") settings.mirror = !settings.mirror;
  }
}

/** MediaPipe as `Webcam` takes it, from the document; its worker becomes a data: URL within this script. */
async function filesInDocument() {
  const contents = await Promise.all(FILES.map((role) => readFile(document, `tha4-${role}`)));
  const files = Object.fromEntries(FILES.map((role, i) => [role, contents[i]]));
  return { worker: new URL("../live/inputs/webcam_worker.js", import.meta.url), ...files };
}

const now = () => performance.now() / 1000;
