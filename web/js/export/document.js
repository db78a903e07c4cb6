// The student in the document: base64 of a zlib stream, whose content is the file's bytes in four planes.

/** The bytes of the .safetensors file that the document holds, as an ArrayBuffer. */
export async function readStudent(page) {
  const base64 = page.getElementById("tha4-student").textContent.trim();
  const compressed = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return joined(new Uint8Array(await new Response(stream).arrayBuffer())).buffer;
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
