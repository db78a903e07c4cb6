// The controls of the live page. Each shows an option and changes it; nothing here knows what an option does.
import { h } from "../element.js";
import { BACKGROUNDS, CROPS, RENDERERS } from "./options.js";
import { text } from "./text.js";

const PICTURE_TYPES = "image/png, image/jpeg, image/webp";

export class Panel {
  /**
   * `options` are those now; `change(some)` is called with what the user has changed. `students` are names, `actions`
   * has `calibrate`, `copy`, `upload(file)`, `reset`; the others are elements that go into the panel.
   */
  constructor(options, change, { students, actions, camera, expressions, trackers, recording }) {
    Object.assign(this, { options, change, actions, controls: [] });
    this.status = h("p.status", { role: "status" });
    this.element = h(
      "aside.panel",
      { "aria-label": text("Controls") },
      h("header", {}, h("h1", {}, text("THA4 live")), this.#hide()),
      this.#section(text("Character"), ...this.#character(students)),
      this.#section(text("Driven by"), ...this.#inputs(), this.#toggle("webcam", text("Webcam")), camera, trackers),
      this.#section(text("Picture"), ...this.#picture()),
      this.#section(text("Movement"), ...this.#movement()),
      this.#section(text("Expressions"), h("p.hint", {}, text("A key switches one on and off, Esc ends it.")), expressions),
      this.#section(text("Recording"), this.#slider("recordFps", text("Poses a second"), 10, 60, 1), recording),
      this.#section(text("For OBS"), ...this.#sharing()),
      this.status,
    );
    this.show(options);
  }

  /** Show the options as they are now. */
  show(options) {
    this.options = options;
    for (const update of this.controls) update(options);
  }

  #hide() {
    return this.#button("hide", text("Hide the controls (H)"), "×", () => this.change({ controls: false }));
  }

  #character(students) {
    const renderers = [text("this page, else the server"), text("this page"), text("the server")];
    return [
      this.#choice("student", text("Student"), labelled(students, students)),
      this.#choice("renderer", text("Rendered by"), labelled(RENDERERS, renderers)),
    ];
  }

  // The place of further inputs: a module of inputs/, an option, and a toggle here.
  #inputs() {
    return [this.#toggle("mouse", text("Mouse")), this.#toggle("microphone", text("Microphone")), this.#microphone()];
  }

  /** The level of the microphone, and below which level nothing is speech. */
  #microphone() {
    this.meter = h("meter", { min: -90, max: 0, low: -60, value: -90, "aria-label": text("Loudness") });
    const row = h("div.when-microphone", {}, this.meter, this.#slider("silence", text("Silence below (dB)"), -90, 0, 1));
    this.controls.push(({ microphone }) => (row.hidden = !microphone));
    return row;
  }

  #picture() {
    const backgrounds = [text("transparent"), text("green screen"), text("a colour"), text("a picture")];
    const crops = [text("all of the picture"), text("head and shoulders"), text("the face")];
    const color = h("input", { type: "color", "aria-label": text("Colour"), oninput: () => this.change({ color: color.value }) });
    const file = h("input", { type: "file", accept: PICTURE_TYPES, "aria-label": text("Picture file") });
    file.onchange = () => file.files[0] && this.actions.upload(file.files[0]);
    this.controls.push((options) => {
      color.hidden = options.background !== "color";
      color.value = options.color;
      file.hidden = options.background !== "picture";
    });
    return [
      this.#choice("background", text("Background"), labelled(BACKGROUNDS, backgrounds)),
      color,
      file,
      this.#choice("crop", text("Shows"), labelled(CROPS, crops)),
      this.#slider("scale", text("Scale"), 0.2, 4, 0.01),
      h("p.hint", {}, text("Drag the character to move it, turn the wheel to scale it.")),
      this.#slider("size", text("Pixels of a frame, at most"), 64, 1024, 64),
      this.#slider("fps", text("Frames a second, at most"), 5, 120, 5),
    ];
  }

  #movement() {
    return [
      this.#button("calibrate", text("My face is neutral now"), text("Calibrate (C)"), this.actions.calibrate),
      this.#toggle("mirror", text("Mirror (M)")),
      this.#slider("smoothing", text("Smoothing"), 0, 1, 0.05),
      this.#slider("idle", text("Idle motion"), 0, 1, 0.05),
      this.#slider("head", text("Head"), 0, 2, 0.05),
      this.#slider("body", text("Body"), 0, 2, 0.05),
      this.#slider("mouth", text("Mouth of live speech"), 0, 2, 0.05),
      this.#slider("recentre", text("Centre a turned head in (s, 0: never)"), 0, 600, 10),
      this.#toggle("sound", text("Play what is said")),
    ];
  }

  #sharing() {
    const copies = text("A transparent page without controls that shows this character");
    return [
      this.#button("copy", copies, text("Copy URL for OBS"), this.actions.copy),
      this.#toggle("share", text("Send my mouse, camera, microphone and keys to it")),
      this.#field("session", text("Session")),
      this.#button("reset", text("All settings as they were at first"), text("Reset all"), this.actions.reset),
    ];
  }

  #section(title, ...children) {
    return h("details", { open: true }, h("summary", {}, title), ...children);
  }

  #button(name, title, label, onclick) {
    const button = h("button", { type: "button", title, onclick }, label);
    button.dataset.name = name;
    return button;
  }

  #toggle(name, label) {
    const input = h("input", { type: "checkbox", name, onchange: () => this.change({ [name]: input.checked }) });
    this.controls.push((options) => (input.checked = options[name]));
    return h("label.toggle", {}, input, label);
  }

  #slider(name, label, min, max, step) {
    const output = h("output");
    const input = h("input", { type: "range", name, min, max, step });
    input.oninput = () => this.change({ [name]: Number(input.value) });
    this.controls.push((options) => {
      input.value = options[name];
      output.value = options[name];
    });
    return h("label.slider", {}, h("span", {}, label), output, input);
  }

  #choice(name, label, choices) {
    const known = choices.map(([value, shown]) => h("option", { value }, shown));
    const select = h("select", { name, onchange: () => this.change({ [name]: select.value }) }, ...known);
    this.controls.push((options) => (select.value = options[name]));
    return h("label.choice", {}, h("span", {}, label), select);
  }

  #field(name, label) {
    const input = h("input", { type: "text", name, maxLength: 64, pattern: "[A-Za-z0-9_\\-]{1,64}", spellcheck: false });
    input.onchange = () => input.reportValidity() && this.change({ [name]: input.value });
    this.controls.push((options) => (input.value = options[name]));
    return h("label.choice", {}, h("span", {}, label), input);
  }
}

const labelled = (values, labels) => values.map((value, i) => [value, labels[i]]);
