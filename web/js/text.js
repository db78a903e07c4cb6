// The texts of our widgets in the language of the page. The English text is the key, and the fallback.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

let translations = {};

/** A text, with `{name}` in it replaced by what `values` has under that name. */
export function text(english, values = {}) {
  return (translations[english] ?? english).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** That a file which a graph names is not on the server, in the folder where it belongs. */
export const missing = (file) => text("{name} is missing: put it into {folder}, or choose another one.", file);

/** The translation of a finding, which the server sends in English. */
export const finding = (code, english) => translations[`finding.${code}`] ?? english;

/** The language of the page, such as `en`. */
export const language = () => (app.extensionManager?.setting?.get("Comfy.Locale") ?? "en").split("-")[0];

app.registerExtension({
  name: "THA4.Text",
  async setup() {
    if (language() === "en") return;
    translations = (await api.getCustomNodesI18n?.())?.[language()]?.tha4 ?? {};
  },
});
