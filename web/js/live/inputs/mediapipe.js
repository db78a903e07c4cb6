// MediaPipe's files for the webcam of the live page: the user's own, which the server has in models/tha4/mediapipe.
import { text } from "../text.js";

const FOLDER = "mediapipe"; // beside the page on the server
const NAMES = {
  worker: "worker.js",
  bundle: "vision_bundle.mjs",
  loader: "wasm/vision_wasm_module_internal.js",
  wasm: "wasm/vision_wasm_module_internal.wasm",
  model: "face_landmarker.task",
};

/** Some of MediaPipe's files are not in their folder; `missing` are their names. */
export class MissingFiles extends Error {
  constructor(missing) {
    super(text("MediaPipe's files are not there."));
    this.missing = missing;
  }
}

/** The URLs of the files, for `Webcam`. Rejects with MissingFiles, or where the server does not answer. */
export async function filesOnServer() {
  const response = await fetch(FOLDER);
  if (!response.ok) throw new Error(text("The server did not say what it can do ({status}).", { status: response.status }));
  const { files } = await response.json();
  const missing = Object.keys(files).filter((name) => !files[name]);
  if (missing.length) throw new MissingFiles(missing);
  const url = (name) => new URL(`${FOLDER}/${name}`, document.baseURI).href;
  return Object.fromEntries(Object.entries(NAMES).map(([role, name]) => [role, url(name)]));
}
