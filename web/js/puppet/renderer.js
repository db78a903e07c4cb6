// One student on one device: pipelines once, buffers for each size, four dispatches a frame.
import { BLIT, CLAMP, RESAMPLE, stageCode, TILE_WIDTH, tileHeight, tileScale, TO_MODEL_SPACE } from "./kernels.js";
import { axisWeights } from "./resample.js";
import { entries } from "./weights.js";

const STAGES = ["face", "level0", "level1", "level2"];
const SIDES = { face: 1 / 4, level0: 1 / 4, level1: 1 / 2, level2: 1 }; // of the frame's side
const FACE_POSE = 39;
const VEC4 = 16; // bytes
// By device, the pipelines by their WGSL: students differ in their weights alone, so that the second opens at once.
const compiled = new WeakMap();

export class Renderer {
  /**
   * `device` a GPUDevice; `stages` of `foldStudent`; `picture` an ImageBitmap with straight alpha, or anything else
   * that a texture can be copied from. `tiles` is how many times the smallest tile (default: what the device allows);
   * the other options are `stageCode`'s.
   */
  static async create(device, stages, picture, { tiles = tileScale(device.limits), ...code } = {}) {
    const renderer = new Renderer();
    Object.assign(renderer, { device, stages, tiles, size: 0, face: "", sized: [], kept: [] });
    renderer.pixelBytes = code.floats ? VEC4 : 4;
    device.pushErrorScope("validation");
    const [toModel, resample, clamp, ...pipelines] = await Promise.all([
      renderer.#pipeline(TO_MODEL_SPACE),
      renderer.#pipeline(RESAMPLE),
      renderer.#pipeline(CLAMP),
      ...STAGES.map((name) => renderer.#pipeline(stageCode(name, stages, tiles, code))),
    ]);
    Object.assign(renderer, { toModel, resample, clamp });
    renderer.pipelines = Object.fromEntries(STAGES.map((name, i) => [name, pipelines[i]]));
    renderer.weights = Object.fromEntries(STAGES.map((name) => [name, renderer.#weights(stages[name])]));
    renderer.source = renderer.#source(picture);
    const problem = await device.popErrorScope();
    if (problem) throw new Error(`The student cannot be rendered on this GPU: ${problem.message}`);
    return renderer;
  }

  /** Submit the frame of a pose (45 numbers) at a size (a multiple of 32); it is then in `frame`. */
  draw(pose, size) {
    if (size !== this.size) this.#resize(size);
    const of = entries(this.stages, pose);
    // The face does not depend on how the head is turned.
    const face = Array.prototype.slice.call(pose, 0, FACE_POSE).join();
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const name of STAGES) {
      if (name === "face" && face === this.face) continue;
      this.device.queue.writeBuffer(this.weights[name].entry, 0, of[name]);
      const side = size * SIDES[name];
      pass.setPipeline(this.pipelines[name]);
      pass.setBindGroup(0, this.groups[name]);
      pass.dispatchWorkgroups(side / TILE_WIDTH, side / tileHeight(name, this.tiles));
    }
    pass.end();
    this.device.queue.submit([encoder.finish()]);
    this.face = face;
  }

  /** The frame, `[size][size][4]`: sRGB, premultiplied; bytes, or with the option `floats` numbers of 0..1. */
  async pixels() {
    const bytes = this.size * this.size * this.pixelBytes;
    const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
    const copy = this.device.createBuffer({ size: bytes, usage });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(this.frame, 0, copy, 0, bytes);
    this.device.queue.submit([encoder.finish()]);
    await copy.mapAsync(GPUMapMode.READ);
    const Numbers = this.pixelBytes === VEC4 ? Float32Array : Uint8Array;
    const pixels = new Numbers(copy.getMappedRange().slice(0));
    copy.destroy();
    return pixels;
  }

  /** A function that draws the frame onto a canvas, whose size it sets. */
  blitter(canvas) {
    const { device } = this;
    const context = canvas.getContext("webgpu");
    const format = navigator.gpu.getPreferredCanvasFormat();
    context.configure({ device, format, alphaMode: "premultiplied" });
    const module = device.createShaderModule({ code: BLIT });
    const pipeline = device.createRenderPipeline({
      layout: "auto",
      vertex: { module },
      fragment: { module, targets: [{ format }] },
    });
    const side = this.#keep(this.#buffer(16, GPUBufferUsage.UNIFORM));
    return () => {
      if (canvas.width !== this.size) Object.assign(canvas, { width: this.size, height: this.size });
      device.queue.writeBuffer(side, 0, new Uint32Array([this.size]));
      const encoder = device.createCommandEncoder();
      const view = context.getCurrentTexture().createView();
      const pass = encoder.beginRenderPass({ colorAttachments: [{ view, loadOp: "clear", storeOp: "store" }] });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, this.#group(pipeline, [this.frame, side]));
      pass.draw(3);
      pass.end();
      device.queue.submit([encoder.finish()]);
    };
  }

  /** Give the GPU's memory back. */
  destroy() {
    for (const one of [...this.sized, ...this.kept]) one.destroy();
    Object.assign(this, { sized: [], kept: [], size: 0 });
  }

  #pipeline(code) {
    const known = compiled.get(this.device) ?? new Map();
    compiled.set(this.device, known);
    if (!known.has(code)) {
      const module = this.device.createShaderModule({ code });
      const compute = { module, entryPoint: "main" };
      known.set(code, this.device.createComputePipelineAsync({ layout: "auto", compute }));
    }
    return known.get(code);
  }

  #weights(stage) {
    const all = [...stage.layers, stage.exit];
    const entry = this.#keep(this.#buffer(stage.channels * VEC4, GPUBufferUsage.STORAGE));
    const weights = this.#keep(this.#filled(all.map((layer) => layer.weights)));
    const biases = this.#keep(this.#filled(all.map((layer) => layer.biases)));
    return { entry, weights, biases };
  }

  /** The picture in model space at its own size: `{buffer, side}`. */
  #source(picture) {
    const side = picture.width;
    const usage = GPUTextureUsage.COPY_DST | GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.RENDER_ATTACHMENT;
    const texture = this.device.createTexture({ size: [side, side], format: "rgba8unorm", usage });
    const to = { texture, premultipliedAlpha: false };
    this.device.queue.copyExternalImageToTexture({ source: picture }, to, [side, side]);
    const buffer = this.#keep(this.#buffer(side * side * VEC4, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC));
    this.#run(this.toModel, [texture.createView(), buffer], [side / 8, side / 8]);
    texture.destroy();
    return { buffer, side };
  }

  /** Buffers for frames of another size. */
  #resize(size) {
    for (const buffer of this.sized) buffer.destroy();
    const sized = (bytes, usage = 0) => {
      const buffer = this.#buffer(bytes, GPUBufferUsage.STORAGE | usage);
      this.sized.push(buffer);
      return buffer;
    };
    Object.assign(this, { sized: [], size, face: "" });
    this.frame = sized(size * size * this.pixelBytes, GPUBufferUsage.COPY_SRC);
    const picture = sized(size * size * VEC4, GPUBufferUsage.COPY_DST);
    this.#pictureAt(picture, size);
    const below = {};
    for (const name of ["level0", "level1"]) {
      below[name] = sized((size * SIDES[name]) ** 2 * this.stages[name].exit.outputs * 4);
    }
    const results = { face: [picture], level0: [below.level0], level1: [below.level1, below.level0] };
    results.level2 = [this.frame, below.level1, picture];
    this.groups = {};
    for (const name of STAGES) {
      const { entry, weights, biases } = this.weights[name];
      this.groups[name] = this.#group(this.pipelines[name], [entry, weights, biases, ...results[name]]);
    }
  }

  /** Fill `target` with the picture at a size. */
  #pictureAt(target, size) {
    const { buffer, side } = this.source;
    if (side === size) {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, target, 0, size * size * VEC4);
      this.device.queue.submit([encoder.finish()]);
      return;
    }
    const { taps, shares, most } = axisWeights(side, size);
    const [tapsBuffer, sharesBuffer] = [this.#filled([taps]), this.#filled([shares])];
    const half = this.#buffer(side * size * VEC4, GPUBufferUsage.STORAGE);
    for (const [rows, from, to] of [
      [side, buffer, half],
      [size, half, target],
    ]) {
      const axis = this.#filled([new Uint32Array([rows, side, size, most])], GPUBufferUsage.UNIFORM);
      const groups = [Math.ceil(size / 8), Math.ceil(rows / 8)];
      this.#run(this.resample, [axis, tapsBuffer, sharesBuffer, from, to], groups);
      axis.destroy();
    }
    this.#run(this.clamp, [target], [Math.ceil(size / 64), size]);
    for (const one of [tapsBuffer, sharesBuffer, half]) one.destroy();
  }

  #run(pipeline, resources, groups) {
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this.#group(pipeline, resources));
    pass.dispatchWorkgroups(...groups);
    pass.end();
    this.device.queue.submit([encoder.finish()]);
  }

  #group(pipeline, resources) {
    const entries = resources.map((one, binding) => ({
      binding,
      resource: one instanceof GPUBuffer ? { buffer: one } : one,
    }));
    return this.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  }

  #buffer(size, usage) {
    return this.device.createBuffer({ size, usage: usage | GPUBufferUsage.COPY_DST });
  }

  /** A buffer that holds these arrays one after another. */
  #filled(arrays, usage = GPUBufferUsage.STORAGE) {
    const buffer = this.#buffer(arrays.reduce((bytes, one) => bytes + one.byteLength, 0), usage);
    let offset = 0;
    for (const array of arrays) {
      this.device.queue.writeBuffer(buffer, offset, array);
      offset += array.byteLength;
    }
    return buffer;
  }

  #keep(buffer) {
    this.kept.push(buffer);
    return buffer;
  }
}
