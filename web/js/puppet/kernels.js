// The student as WGSL compute kernels: four dispatches a frame, of which the face is left out while it stays the same.
//
//   face    [side / 4]²  x, y -> 8 sine layers of 128 -> 4 channels, written over the face of the picture
//   level0  [side / 4]²  x, y -> 360 -> 360 -> 180, times the matrix of the next level's first layer -> 180
//   level1  [side / 2]²  the 180 resized, x, y -> 180 -> 180 -> 90, times the next matrix -> 90
//   level2  [side]²      the 90 resized, x, y -> 90 -> 90 -> 90 -> 7 -> warp, blend, sRGB, 8 bits
//
// A workgroup takes a tile of pixels, 8 wide, through all layers of its stage. The tile's features stay in workgroup
// memory and are updated in place: a layer accumulates in registers, waits for the others, and writes its sines. A
// thread makes 8 outputs (4 where a layer is narrow) of 4 pixels that lie side by side.
//
// A stage's features, `[channels / 4][quads][4]` of vec4f: blocks of 4 channels, of 4 pixels each (a quad).
// Weights, `[inputs / 4][outputs / 4][4]` of vec4f: blocks of 4 inputs x 4 outputs. Blocks are indexed by constants
// within, so that a compiler checks bounds once a block.

/** Width of a tile in pixels. */
export const TILE_WIDTH = 8;

const WORKGROUP_BYTES = 16384; // what every adapter has
const TILE_PIXELS = { face: 32, level0: 8, level1: 16, level2: 32 };

/** How many times the smallest tile an adapter's limits allow: 1 or 2. Large tiles read the weights half as often. */
export function tileScale({ maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup }) {
  return maxComputeWorkgroupStorageSize >= 2 * WORKGROUP_BYTES && maxComputeInvocationsPerWorkgroup >= 256 ? 2 : 1;
}

/** Height of a stage's tile in pixels. */
export const tileHeight = (name, scale) => (TILE_PIXELS[name] * scale) / TILE_WIDTH;

// Taylor's polynomial would need many more terms: this one is fitted to sin(2 pi r) for r in -0.5..0.5, error 7e-7.
// The built-in sin() is not used: its error grows with the argument, and arguments reach 39 radians.
const SINE = `
fn sine(turns: vec4f) -> vec4f {
  let r = turns - round(turns);
  let z = r * r;
  return r * (6.283182621 + z * (-41.34142303 + z * (81.59618378 + z * (-76.5801010
    + z * (41.20539474 - z * 12.27126026)))));
}
`;

/**
 * The WGSL of one of the stages of `foldStudent`: `face`, `level0`, `level1` or `level2`. Its entry point is `main`.
 *
 * Bindings: 0 `entry` `[channels]` (of x, of y, bias, unused); 1 `weights`, all layers one after another; 2 `biases`;
 * 3 `result` (the picture, the next level's input, or the frame); 4 `below` of level1 and level2; 5 `picture` of level2.
 * To be dispatched over (side / 8, side / tile height) workgroups; the side is found from that number. With `floats` the
 * frame is `[side][side]` of vec4f instead of packed bytes. `sine` is the WGSL of another function of that name.
 */
export function stageCode(name, stages, scale, { sine = SINE, floats = false } = {}) {
  const stage = stages[name];
  const below = { level1: "level0", level2: "level1" }[name];
  const pixels = TILE_PIXELS[name] * scale;
  const quads = pixels / 4;
  const { channels } = stage;
  const threads = (channels / 8) * quads;
  const widest = Math.max(channels, ...stage.layers.map(({ outputs }) => outputs));
  const layers = [];
  let [block, bias] = [0, 0];
  for (const layer of stage.layers) {
    layers.push(sineLayer(layer, quads, block, bias));
    block += (layer.inputs * layer.outputs) / 16;
    bias += layer.outputs / 4;
  }
  const tail = name === "level2" ? frameTail : name === "face" ? faceTail : nextLevelTail;
  return `
// ${name}: tiles of ${TILE_WIDTH} x ${pixels / TILE_WIDTH} pixels, ${threads} threads
@group(0) @binding(0) var<storage, read> entry: array<vec4f>;
@group(0) @binding(1) var<storage, read> weights: array<array<vec4f, 4>>;
@group(0) @binding(2) var<storage, read> biases: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> result: array<${name === "level2" && !floats ? "u32" : "vec4f"}>;
${below ? "@group(0) @binding(4) var<storage, read> below: array<vec4f>;" : ""}
${name === "level2" ? "@group(0) @binding(5) var<storage, read> picture: array<vec4f>;" : ""}

var<workgroup> features: array<array<vec4f, 4>, ${(widest / 4) * quads}>;
${sine}
${below ? resized(stages[below].exit.outputs / 4) : ""}
${name === "level2" ? FRAME : ""}
@compute @workgroup_size(${threads})
fn main(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) tile: vec3u,
  @builtin(num_workgroups) tiles: vec3u,
) {
  let side = tiles.x * ${TILE_WIDTH}u;
  let quad = thread % ${quads}u;
  let group = thread / ${quads}u;
  // The first pixel of this thread's quad.
  let at = vec2u(tile.x * ${TILE_WIDTH}u + (quad % 2u) * 4u, tile.y * ${pixels / TILE_WIDTH}u + quad / 2u);
  {
    // Pixel centres in -1..1.
    let x = (2 * (vec4f(f32(at.x)) + vec4f(0, 1, 2, 3)) + 1) / f32(side) - 1;
    let y = (2 * f32(at.y) + 1) / f32(side) - 1;
    for (var half = 0u; half < 2u; half++) {
      let block = group * 2u + half;
      var t = array<vec4f, 4>();
${below ? "      for (var i = 0u; i < 4u; i++) { let v = resizedAt(at + vec2u(i, 0), side, block); t[0][i] = v.x; t[1][i] = v.y; t[2][i] = v.z; t[3][i] = v.w; }" : ""}
      for (var i = 0u; i < 4u; i++) {
        let e = entry[block * 4u + i];
        t[i] = sine(t[i] + e.x * x + e.y * y + e.z);
      }
      features[block * ${quads}u + quad] = t;
    }
  }
  workgroupBarrier();
${layers.join("")}
${tail({ ...stage.exit, quads, pixels, block, bias, floats })}
}
`;
}

/** One sine layer, in place. */
function sineLayer({ inputs, outputs, each }, quads, block, bias) {
  const halves = each / 4;
  const sums = (text) => lines(halves, (half) => lines(4, (i) => text(half, i)));
  return `
  { // ${inputs} -> ${outputs}
    let works = group < ${outputs / each}u;
${sums((half, i) => `    var s${half}${i} = vec4f();`)}
    if (works) {
${lines(halves, (half) => `      let b${half} = biases[${bias}u + group * ${halves}u + ${half}u];`)}
${sums((half, i) => `      s${half}${i} = vec4f(b${half}[${i}]);`)}
      for (var k = 0u; k < ${inputs / 4}u; k++) {
        let x = features[k * ${quads}u + quad];
${lines(halves, (half) => `        let w${half} = weights[${block}u + k * ${outputs / 4}u + group * ${halves}u + ${half}u];`)}
${lines(4, (k) => sums((half, i) => `        s${half}${i} = fma(vec4f(w${half}[${k}][${i}]), x[${k}], s${half}${i});`))}
      }
    }
    workgroupBarrier();
    if (works) {
${lines(halves, (half) => `      features[(group * ${halves}u + ${half}u) * ${quads}u + quad] = array(${[0, 1, 2, 3].map((i) => `sine(s${half}${i})`).join(", ")});`)}
    }
    workgroupBarrier();
  }`;
}

/** Writes what the next level starts from, `[side][side][outputs / 4]` of vec4f. */
function nextLevelTail({ inputs, outputs, quads, block }) {
  return `
  if (group < ${outputs / 4}u) { // ${inputs} -> ${outputs}
${lines(4, (i) => `    var s${i} = vec4f();`)}
    for (var k = 0u; k < ${inputs / 4}u; k++) {
      let x = features[k * ${quads}u + quad];
      let w = weights[${block}u + k * ${outputs / 4}u + group];
${lines(4, (k) => lines(4, (i) => `      s${i} = fma(vec4f(w[${k}][${i}]), x[${k}], s${i});`))}
    }
    for (var i = 0u; i < 4u; i++) {
      result[(at.y * side + at.x + i) * ${outputs / 4}u + group] = vec4f(s0[i], s1[i], s2[i], s3[i]);
    }
  }`;
}

/** The last linear layer: one output of one quad a thread. Its weights are transposed blocks. */
function lastLayer({ inputs, quads, block, bias }, count) {
  return `
  var sum = vec4f();
  if (group < ${count}u) {
    sum = vec4f(biases[${bias}u + group / 4u][group % 4u]);
    for (var k = 0u; k < ${inputs / 4}u; k++) {
      let x = features[k * ${quads}u + quad];
      let w = weights[${block}u + k * 2u + group / 4u][group % 4u];
      sum = fma(vec4f(w.x), x[0], fma(vec4f(w.y), x[1], fma(vec4f(w.z), x[2], fma(vec4f(w.w), x[3], sum))));
    }
  }
  workgroupBarrier();
  if (group < ${count}u) {
    features[(group / 4u) * ${quads}u + quad][group % 4u] = sum;
  }
  workgroupBarrier();
  let here = vec2u(tile.x * ${TILE_WIDTH}u + thread % ${TILE_WIDTH}u, 0);`;
}

/** Writes the face's 4 channels over the picture `[4 side][4 side]`. */
function faceTail(exit) {
  return `${lastLayer(exit, 4)}
  if (thread < ${exit.pixels}u) {
    let all = side * 4u;
    let row = tile.y * ${exit.pixels / TILE_WIDTH}u + thread / ${TILE_WIDTH}u;
    let q = features[thread / 4u];
    let lane = thread % 4u;
    // The face lies in rows 80 to 207 and columns 192 to 319 of 512.
    result[(row + 5u * side / 8u) * all + here.x + 3u * side / 2u] = vec4f(q[0][lane], q[1][lane], q[2][lane], q[3][lane]);
  }`;
}

/** Warps the picture, blends, and writes the frame `[side][side]`: premultiplied sRGB, 8 bits a channel. */
function frameTail(exit) {
  return `${lastLayer(exit, 7)}
  if (thread < ${exit.pixels}u) {
    let row = tile.y * ${exit.pixels / TILE_WIDTH}u + thread / ${TILE_WIDTH}u;
    let lane = thread % 4u;
    let p = features[thread / 4u];
    let q = features[${exit.quads}u + thread / 4u];
    let warped = look(vec2f(vec2u(here.x, row)) + vec2f(p[0][lane], p[1][lane]) * f32(side) / 2, side);
    let colour = vec4f(p[3][lane], q[0][lane], q[1][lane], q[2][lane]);
    let frame = warped + p[2][lane] * (colour - warped);
    result[row * side + here.x] = ${exit.floats ? "premultiplied(frame)" : "pack4x8unorm(premultiplied(frame))"};
  }`;
}

// `below` [side / 2][side / 2][blocks] at twice its size: bilinear, pixel centres.
// Blocks that are not there read the last one; their weights are zero.
const resized = (blocks) => `
fn resizedAt(at: vec2u, side: u32, wanted: u32) -> vec4f {
  let block = min(wanted, ${blocks - 1}u);
  let small = i32(side / 2u);
  let first = (vec2i(at) - 1) >> vec2u(1);
  let low = max(first, vec2i(0));
  let high = min(first + 1, vec2i(small - 1));
  // A pixel lies a quarter of the way from the nearer of two pixels below.
  let share = select(vec2f(0.75), vec2f(0.25), (at & vec2u(1)) == vec2u(1));
  let top = mix(belowAt(low.x, low.y, small, block), belowAt(high.x, low.y, small, block), share.x);
  let bottom = mix(belowAt(low.x, high.y, small, block), belowAt(high.x, high.y, small, block), share.x);
  return mix(top, bottom, share.y);
}

fn belowAt(x: i32, y: i32, side: i32, block: u32) -> vec4f {
  return below[u32(y * side + x) * ${blocks}u + block];
}
`;

const FRAME = `
// The picture at a place in pixels: bilinear, its border continued outside.
fn look(place: vec2f, side: u32) -> vec4f {
  let p = clamp(place, vec2f(0), vec2f(f32(side) - 1));
  let low = vec2u(p);
  let high = min(low + 1, vec2u(side - 1));
  let share = p - vec2f(low);
  let top = mix(picture[low.y * side + low.x], picture[low.y * side + high.x], share.x);
  let bottom = mix(picture[high.y * side + low.x], picture[high.y * side + high.x], share.x);
  return mix(top, bottom, share.y);
}

// Model space (linear light, premultiplied, -1..1) as sRGB 0..1, premultiplied again for a canvas.
fn premultiplied(frame: vec4f) -> vec4f {
  let alpha = clamp((frame.w + 1) / 2, 0, 1);
  if (alpha < 1e-5) { return vec4f(0, 0, 0, alpha); }
  let linear = clamp((frame.xyz + 1) / 2 / alpha, vec3f(0), vec3f(1));
  let curve = 1.055 * pow(max(linear, vec3f(0.0031308)), vec3f(1 / 2.4)) - 0.055;
  return vec4f(select(curve, linear * 12.92, linear <= vec3f(0.0031308)) * alpha, alpha);
}
`;

/**
 * The character's picture, a texture of straight-alpha sRGB, in model space: `[height][width]` of vec4f. Colours of
 * textures come as 0..1; the curve is IEC 61966-2-1.
 */
export const TO_MODEL_SPACE = `
@group(0) @binding(0) var source: texture_2d<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) at: vec3u) {
  let size = textureDimensions(source);
  if (any(at.xy >= size)) { return; }
  let pixel = textureLoad(source, at.xy, 0);
  let curve = pow((pixel.xyz + 0.055) / 1.055, vec3f(2.4));
  let linear = select(curve, pixel.xyz / 12.92, pixel.xyz <= vec3f(0.04045));
  result[at.y * size.x + at.x] = vec4f(linear * pixel.w, pixel.w) * 2 - 1;
}
`;

/**
 * One axis of a resize: rows `[rows][from]` of vec4f become `[to][rows]`, turned over, so that two passes make both
 * axes. `taps` has for every output its first input and the number of inputs, `shares` its weights, `most` for each.
 */
export const RESAMPLE = `
struct Axis { rows: u32, inputs: u32, outputs: u32, most: u32 }
@group(0) @binding(0) var<uniform> axis: Axis;
@group(0) @binding(1) var<storage, read> taps: array<vec2u>;
@group(0) @binding(2) var<storage, read> shares: array<f32>;
@group(0) @binding(3) var<storage, read> source: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) at: vec3u) {
  if (at.x >= axis.outputs || at.y >= axis.rows) { return; }
  var sum = vec4f();
  let tap = taps[at.x];
  for (var i = 0u; i < tap.y; i++) {
    sum += shares[at.x * axis.most + i] * source[at.y * axis.inputs + tap.x + i];
  }
  result[at.x * axis.rows + at.y] = sum;
}
`;

/** After both passes: what a cubic filter overshoots is cut off. */
export const CLAMP = `
@group(0) @binding(0) var<storage, read_write> picture: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = at.y * groups.x * 64u + at.x;
  if (index < arrayLength(&picture)) { picture[index] = clamp(picture[index], vec4f(-1), vec4f(1)); }
}
`;

/** Draws a frame `[side][side]` of packed colours onto a canvas of the same size. */
export const BLIT = `
@group(0) @binding(0) var<storage, read> frame: array<u32>;
@group(0) @binding(1) var<uniform> side: u32;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
  return vec4f(f32(index & 1u) * 4 - 1, f32(index >> 1u) * 4 - 1, 0, 1);
}

@fragment
fn pixel(@builtin(position) place: vec4f) -> @location(0) vec4f {
  let at = vec2u(place.xy);
  return unpack4x8unorm(frame[at.y * side + at.x]);
}
`;

const lines = (count, line) => Array.from({ length: count }, (_, i) => line(i)).join("\n");
