// The live page's texts in the user's language. It has no ComfyUI around it, so it asks the server for ComfyUI's setting
// and for the pack's translations. The English text is the key, and the fallback.

let translations = {};
let spoken = "en";

/** A text, with `{name}` in it replaced by what `values` has under that name. */
export function text(english, values = {}) {
  return (translations[english] ?? english).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The language of the page, such as `en`. */
export const language = () => spoken;

/** Load the translations for `wanted`, else for what ComfyUI is set to, else for what the browser prefers. */
export async function loadTexts(wanted) {
  const chosen = wanted || (await json("../settings/Comfy.Locale")) || navigator.language || "en";
  spoken = String(chosen).split("-")[0];
  document.documentElement.lang = spoken;
  if (spoken !== "en") translations = (await json("../i18n"))?.[spoken]?.tha4 ?? {};
}

/** What the server has there, or null: without it the page is in English. */
async function json(path) {
  try {
    const response = await fetch(path);
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
