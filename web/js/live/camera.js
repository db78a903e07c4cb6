// The controls of the webcam: which camera, its picture, and what to do where MediaPipe's files are missing.
import { h } from "../element.js";
import { listCameras } from "./inputs/webcam.js";
import { text } from "./text.js";

// What the files are, for the user to compare: nothing is loaded from elsewhere than models/tha4/mediapipe.
const PACKAGE = "@mediapipe/tasks-vision 0.10.35";
const MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff";

export class CameraPanel {
  /** `video` shows the camera; `change(some)` is called with the options that the user has changed. */
  constructor(video, change) {
    this.video = video;
    this.choice = h("select", { name: "camera", onchange: () => change({ camera: this.choice.value }) });
    const show = { type: "checkbox", name: "preview", onchange: () => change({ preview: this.preview.checked }) };
    this.preview = h("input", show);
    this.state = h("p.hint", { role: "status" });
    this.controls = h(
      "div.camera",
      { hidden: true },
      h("label.choice", {}, h("span", {}, text("Camera")), this.choice),
      h("label.toggle", {}, this.preview, text("Show its picture")),
      video,
      this.state,
    );
    this.help = h("div.hint.camera-files", { hidden: true });
    this.element = h("div", {}, this.controls, this.help);
  }

  /** Show the options as they are now. */
  show({ webcam, preview }) {
    this.controls.hidden = !webcam;
    if (webcam) this.help.hidden = true;
    this.preview.checked = preview;
    this.video.hidden = !preview;
  }

  /** Show whether a face is found. */
  follow(found) {
    this.state.textContent = found ? text("A face is found.") : text("No face is found.");
  }

  /** The camera is open: only now does a browser tell the names of all. */
  async list(stream) {
    const cameras = await listCameras();
    const options = cameras.map(([value, label], i) => h("option", { value }, label || `${i + 1}`));
    this.choice.replaceChildren(...options);
    this.choice.value = stream.getVideoTracks()[0]?.getSettings().deviceId ?? "";
    this.state.textContent = text("MediaPipe is starting …");
  }

  /** Say which files are missing, and where to get them. */
  ask(missing) {
    this.help.hidden = false;
    const names = missing.map((name) => h("li", {}, h("code", {}, name)));
    this.help.replaceChildren(
      h("p", {}, text("The webcam needs these files of MediaPipe in models/tha4/mediapipe on the server:")),
      h("ul", {}, ...names),
      h("p", {}, text("vision_bundle.mjs and the folder wasm are in the npm package {name}. Take no newer version: it reports to its maker.", { name: PACKAGE })),
      h("p", {}, text("face_landmarker.task is Google's face landmarker model. Its SHA-256:"), " ", h("code", {}, MODEL_SHA256)),
    );
  }
}
