// The texts of our widgets in the language of the page; English is the key, and what is shown where there is no other.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

let words = {};

/** A text, with `{name}` in it replaced by what `values` has under that name. */
export function text(english, values = {}) {
  return (words[english] ?? english).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The text that the translations have for a finding of the server's, which itself speaks English. */
export const finding = (code, english) => words[`finding.${code}`] ?? english;

app.registerExtension({
  name: "THA4.Text",
  async setup() {
    const language = app.extensionManager?.setting?.get("Comfy.Locale") ?? "en";
    if (language === "en") return;
    words = (await api.getCustomNodesI18n?.())?.[language]?.tha4 ?? {};
  },
});
