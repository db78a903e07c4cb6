// A student in the page: 45 pose numbers to a picture on a canvas, by WebGPU. Needs no server but the one of its files.
//
//   const puppet = await Puppet.open("student.safetensors", canvas);
//   await puppet.render(pose);
import { openGPU } from "./gpu.js";
import { Renderer } from "./renderer.js";
import { readSafetensors } from "./safetensors.js";
import { foldStudent } from "./weights.js";

/** There is no WebGPU here, or no adapter for it. */
export class NoGPU extends Error {}

export class Puppet {
  /**
   * Open a student: `student` is the URL or the bytes of one of this pack's .safetensors files. `size` is the height
   * and width of its frames, a multiple of 32 from 64 to 2048. `onRestore` is called after the GPU was lost and the
   * puppet has drawn its last frame again; `onLost(error)` where it could not. `renderer` are the renderer's options.
   *
   * Throws NoGPU, or an Error that says what is wrong with the file.
   */
  static async open(student, canvas, { size = 512, onRestore = () => {}, onLost = () => {}, renderer = {} } = {}) {
    const content = readSafetensors(typeof student === "string" ? await fetchBytes(student) : toBuffer(student));
    const puppet = new Puppet();
    Object.assign(puppet, { canvas, size, onRestore, onLost, options: renderer, closed: false });
    Object.assign(puppet, { next: null, last: null, running: false, milliseconds: 0 });
    puppet.metadata = content.metadata;
    puppet.stages = foldStudent(content.tensors);
    puppet.pictures = {
      small: await decode(content.tensors["character.picture"]),
      large: content.tensors["character.source"] && (await decode(content.tensors["character.source"])),
    };
    await puppet.#build();
    return puppet;
  }

  /** The adapter: `{name, isFallback}`; a fallback adapter computes on the CPU. */
  get adapter() {
    return { name: this.gpu.name, isFallback: this.gpu.isFallback };
  }

  /**
   * Draw a pose (45 numbers). Resolves with the milliseconds that it took once the GPU has done it; with null where a
   * newer pose came before this one was begun. Frames never queue up.
   */
  render(pose, size = this.size) {
    if (size % 32 || size < 64 || size > 2048) throw new Error(`size is ${size}: a multiple of 32 from 64 to 2048.`);
    if (pose.length !== 45) throw new Error(`A pose has 45 numbers, not ${pose.length}.`);
    this.next?.resolve(null);
    return new Promise((resolve, reject) => {
      this.next = { pose: Float32Array.from(pose), size, resolve, reject };
      if (!this.running) this.#run();
    });
  }

  /** The last frame, `[size][size][4]` bytes: sRGB, premultiplied. */
  pixels() {
    return this.renderer.pixels();
  }

  /** Give the GPU's memory back. Nothing can be drawn afterwards. */
  close() {
    this.closed = true;
    this.next?.resolve(null);
    this.next = null;
    this.renderer?.destroy();
    for (const picture of Object.values(this.pictures)) picture?.close();
  }

  async #build() {
    const gpu = await openGPU();
    if (!gpu) throw new NoGPU("There is no WebGPU adapter in this browser.");
    this.gpu = gpu;
    await this.#usePicture(this.size > this.pictures.small.width);
    gpu.lost.then(() => this.#restore());
  }

  /** The larger picture, where there is one, is for frames that are larger than the other. */
  async #usePicture(large) {
    const picture = (large && this.pictures.large) || this.pictures.small;
    if (this.renderer && this.picture === picture) return;
    this.renderer?.destroy();
    this.picture = picture;
    this.renderer = await Renderer.create(this.gpu.device, this.stages, picture, this.options);
    if (this.closed) return this.renderer.destroy(); // meanwhile
    this.blit = this.canvas && this.renderer.blitter(this.canvas);
  }

  async #run() {
    this.running = true;
    while (this.next && !this.closed) {
      const { pose, size, resolve, reject } = this.next;
      this.next = null;
      try {
        resolve(await this.#draw(pose, size));
      } catch (error) {
        reject(error);
      }
    }
    this.running = false;
  }

  async #draw(pose, size) {
    const start = performance.now();
    await this.#usePicture(size > this.pictures.small.width);
    if (this.closed) return null;
    this.last = { pose, size };
    this.renderer.draw(pose, size);
    this.blit?.();
    await this.gpu.device.queue.onSubmittedWorkDone();
    this.milliseconds = performance.now() - start;
    return this.milliseconds;
  }

  /** The GPU is gone (a driver that was updated, a laptop that slept): open it again and draw what was last seen. */
  async #restore() {
    if (this.closed) return;
    try {
      this.renderer = null;
      await this.#build();
      if (this.last) await this.#draw(this.last.pose, this.last.size);
      this.onRestore();
    } catch (error) {
      this.onLost(error);
    }
  }
}

async function fetchBytes(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: the server answered ${answer.status}.`);
  return answer.arrayBuffer();
}

function toBuffer(bytes) {
  if (bytes instanceof ArrayBuffer) return bytes;
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

/** A picture as its file has it: nothing is multiplied or converted on the way. */
async function decode(tensor) {
  if (!tensor) throw new Error("This student has no picture.");
  const blob = new Blob([tensor.data]);
  return createImageBitmap(blob, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
}
