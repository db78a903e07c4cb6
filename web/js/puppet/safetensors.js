// Reads a .safetensors file: eight bytes with the length of a JSON header, the header, then the tensors' bytes.

const ARRAYS = { F32: Float32Array, U8: Uint8Array };

/**
 * The tensors and the metadata of a file's bytes (an ArrayBuffer): `{tensors: {NAME: {shape, data}}, metadata}`, where
 * `data` is a Float32Array or a Uint8Array of its own. Throws an Error that says what is wrong with the file.
 */
export function readSafetensors(buffer) {
  const header = readHeader(buffer);
  const start = 8 + header.bytes;
  const { __metadata__: metadata = {}, ...entries } = header.content;
  const tensors = {};
  for (const [name, entry] of Object.entries(entries)) tensors[name] = readTensor(buffer, start, name, entry);
  return { tensors, metadata };
}

function readHeader(buffer) {
  if (buffer.byteLength < 8) throw new Error("This is no .safetensors file: it is too short.");
  const bytes = Number(new DataView(buffer).getBigUint64(0, true));
  if (!(bytes <= buffer.byteLength - 8)) throw new Error("This is no whole .safetensors file: its header is cut off.");
  try {
    const content = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, bytes)));
    if (content === null || typeof content !== "object" || Array.isArray(content)) throw new Error("no object");
    return { bytes, content };
  } catch (error) {
    throw new Error(`This is no .safetensors file: its header cannot be read (${error.message}).`);
  }
}

function readTensor(buffer, start, name, { dtype, shape, data_offsets: [from, to] }) {
  const Numbers = ARRAYS[dtype];
  if (!Numbers) throw new Error(`${name} has the type ${dtype}; this reads F32 and U8.`);
  const count = shape.reduce((product, side) => product * side, 1);
  if (to - from !== count * Numbers.BYTES_PER_ELEMENT || !(from >= 0) || start + to > buffer.byteLength) {
    throw new Error(`${name}: the file is cut off or damaged.`);
  }
  // A copy: a typed array may not begin at an odd byte.
  return { shape, data: new Numbers(buffer.slice(start + from, start + to)) };
}
