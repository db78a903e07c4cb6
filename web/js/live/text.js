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
  const language = String(chosen).split("-")[0];
  useTexts(language, language === "en" ? {} : (await json("../i18n"))?.[language]?.tha4);
}

/** Be in a language, such as `ja`, with these translations of it, `{ENGLISH: TRANSLATED}`. */
export function useTexts(language, texts = {}) {
  spoken = language;
  translations = texts;
  document.documentElement.lang = spoken;
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
