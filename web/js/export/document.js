// Files in the document: each is an element whose text is base64 of a zlib stream. The student's bytes are in four planes.

/** The bytes of the .safetensors file that the document holds, as an ArrayBuffer. */
export const readStudent = async (page) => joined(await readFile(page, "tha4-student")).buffer;

/** The bytes of the file in the element with this id. */
export async function readFile(page, id) {
  const base64 = page.getElementById(id).textContent.trim();
  const compressed = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Bytes from their planes: every fourth byte from the first on, every fourth from the second on, and so on. */
function joined(planes) {
  const bytes = new Uint8Array(planes.length);
  let at = 0;
  for (let plane = 0; plane < 4; plane += 1) {
    for (let i = plane; i < bytes.length; i += 4, at += 1) bytes[i] = planes[at];
  }
  return bytes;
}
