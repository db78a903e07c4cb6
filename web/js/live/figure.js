// Who draws the student: this page's GPU, or the server where the page has none that is fast enough.
import { openGPU } from "../puppet/gpu.js";
import { Puppet } from "../puppet/puppet.js";
import { h } from "../element.js";
import { text } from "./text.js";

const SERVER_SIZES = [64, 512];
// Milliseconds of a frame: above the first the next one is smaller, below the second larger. The page keeps 30 a second.
export const PAGE_PACE = [33, 12];
const SERVER_PACE = [180, 70];

/**
 * Open a student. `renderer` is `auto`, `page` or `server`; `onLost(error)` is called where the GPU has gone for good.
 * Returns a figure: `canvas`, `by` (`page` or `server`), `name` of what draws, `pace`, `draw(pose, size)`, `close()`.
 */
export async function openFigure(student, renderer, onLost) {
  const gpu = renderer === "server" ? null : await openGPU();
  if (gpu && (renderer === "page" || !gpu.isFallback)) return PageFigure.open(student, onLost);
  if (renderer === "page") throw new Error(text("This browser has no WebGPU. Choose “the server” under “Rendered by”."));
  return new ServerFigure(student);
}

class PageFigure {
  static async open(student, onLost) {
    const figure = new PageFigure();
    figure.canvas = h("canvas");
    const url = new URL(`student?${new URLSearchParams({ name: student })}`, document.baseURI).href;
    figure.puppet = await Puppet.open(url, figure.canvas, { size: 64, onLost });
    return Object.assign(figure, { by: "page", name: figure.puppet.adapter.name, pace: PAGE_PACE });
  }

  /** Draw a pose. Resolves with the milliseconds that it took, once it is drawn. */
  draw(pose, size) {
    return this.puppet.render(pose, size);
  }

  close() {
    this.puppet.close();
  }
}

class ServerFigure {
  constructor(student) {
    const client = `live-${Array.from(crypto.getRandomValues(new Uint32Array(2)), (part) => part.toString(36)).join("")}`;
    Object.assign(this, { student, client, canvas: h("canvas"), by: "server", name: "", pace: SERVER_PACE });
    this.abort = new AbortController();
  }

  async draw(pose, size) {
    const start = performance.now();
    const wanted = Math.min(SERVER_SIZES[1], Math.max(SERVER_SIZES[0], size));
    const body = { character: { kind: "student", name: this.student }, pose: [...pose], size: wanted, client: this.client };
    const headers = { "Content-Type": "application/json" };
    const response = await fetch("frame", { method: "POST", headers, body: JSON.stringify(body), signal: this.abort.signal });
    if (response.status === 204 || response.status === 503) return performance.now() - start;
    if (!response.ok) throw new Error((await response.json()).error);
    this.#show(await createImageBitmap(await response.blob()));
    return performance.now() - start;
  }

  #show(bitmap) {
    const { width, height } = bitmap;
    Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  close() {
    this.abort.abort();
  }
}
