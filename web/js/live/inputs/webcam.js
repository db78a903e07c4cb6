// The webcam as an input: a face that MediaPipe follows in it. Pictures stay in the page and its worker.
import { h } from "../../element.js";
import { text } from "../text.js";

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
const DEGREES = 180 / Math.PI;

export class Webcam {
  /**
   * `getFiles()` resolves with MediaPipe's files and the worker that runs them: `{worker, bundle, loader, wasm, model}`, the
   * worker a URL, the others as `webcam_worker.js` takes them. `onFace(message)` gets a message of the type `face` for every
   * picture with one; `onError(error)` is called where it cannot go on.
   */
  constructor(getFiles, onFace, onError) {
    Object.assign(this, { getFiles, onFace, onError, stream: null, worker: null, opening: null, found: null });
    this.video = h("video", { muted: true, playsInline: true });
  }

  /** Follow the face that a camera sees: `camera` is a device's id, or "" for any. Rejects with what the user can do. */
  async open(camera) {
    this.close();
    const opening = {};
    this.opening = opening;
    const files = await this.getFiles();
    const stream = await openCamera(camera);
    if (this.opening !== opening) return stop(stream);
    this.stream = stream;
    this.video.srcObject = stream;
    stream.getVideoTracks()[0].onended = () => this.#fail(new Error(text("The camera is gone.")));
    await this.video.play();
    if (this.stream === stream) this.#follow(files);
  }

  /** Give the camera back. */
  close() {
    this.opening = null;
    this.worker?.terminate();
    if (this.stream) stop(this.stream);
    if (this.found) this.onFace(faceMessage({}));
    this.video.srcObject = null;
    Object.assign(this, { stream: null, worker: null, found: null });
  }

  #follow({ worker: url, ...files }) {
    const worker = new Worker(url, { type: "module" });
    this.worker = worker;
    const why = ({ message }) => this.#fail(new Error(text("MediaPipe does not run: {why}", { why: message || "worker.js" })));
    worker.onerror = why;
    worker.onmessage = ({ data }) => {
      if (this.worker !== worker) return;
      if (data.error) why({ message: data.error });
      else if (data.next) this.#send(worker);
      else this.#take(faceMessage(data));
    };
    worker.postMessage({ files });
  }

  async #send(worker) {
    try {
      const picture = await createImageBitmap(this.video);
      worker.postMessage({ picture }, [picture]);
    } catch (error) {
      if (this.worker === worker) this.#fail(error);
    }
  }

  #take(message) {
    // That a face is lost is said once.
    if (message.found || this.found !== false) this.onFace(message);
    this.found = message.found;
  }

  #fail(error) {
    this.close();
    this.onError(error);
  }
}

/** The message for what MediaPipe has found: `shapes` by name, and the head's `matrix`, 4 × 4, column by column. */
export function faceMessage({ shapes, matrix }) {
  const angles = matrix && eulerAngles(matrix);
  if (!shapes || !angles?.every(Number.isFinite)) return { type: "face", source: "webcam", found: false };
  const { _neutral, ...named } = shapes;
  return { type: "face", source: "webcam", found: true, shapes: named, angles: angles.map((angle) => angle * DEGREES) };
}

/** The extrinsic x, y, z angles in radians of a matrix, 4 × 4, column by column; as the library has them. */
export function eulerAngles(matrix) {
  const [x, y, z] = [0, 4, 8].map((start) => {
    const column = [matrix[start], matrix[start + 1], matrix[start + 2]];
    return column.map((value) => value / Math.hypot(...column));
  });
  return [Math.atan2(y[2], z[2]), -Math.asin(Math.min(1, Math.max(-1, x[2]))), Math.atan2(x[1], x[0])];
}

/** The cameras as `[id, label]`; without labels until one of them is open. */
export async function listCameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter(({ kind }) => kind === "videoinput").map(({ deviceId, label }) => [deviceId, label]);
}

async function openCamera(camera) {
  if (!navigator.mediaDevices) throw new Error(text("A browser lends it only to https and localhost pages."));
  const video = camera ? { ...WANTED, deviceId: { exact: camera } } : WANTED;
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    // The one that was chosen may not be plugged in any more.
    if (camera && error.name === "OverconstrainedError") return openCamera("");
    throw new Error(reason(error));
  }
}

function reason({ name, message }) {
  if (name === "NotAllowedError") return text("The browser has no permission for it. Allow it beside the address of the page.");
  if (name === "NotFoundError") return text("None is plugged in.");
  if (name === "NotReadableError") return text("Another program is using it.");
  return message;
}

const stop = (stream) => stream.getTracks().forEach((track) => track.stop());
