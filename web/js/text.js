// The texts of our widgets in the language of the page. The English text is the key, and the fallback.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { translator } from "./messages.js";

let translations = {};
let inputs = {};
let translated = (english) => english;

/** A text, with `{name}` in it replaced by what `values` has under that name. */
export function text(english, values = {}) {
  return (translations[english] ?? english).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** That a file which a graph names is not on the server, in the folder where it belongs. */
export const missing = (file) => text("{name} is missing: put it into {folder}, or choose another one.", file);

/** The translation of a finding, which the server sends in English. */
export const finding = (code, english) => translations[`finding.${code}`] ?? english;

/** What the server says (an error, notes of a node), as far as its sentences are translated. */
export const message = (english) => translated(english);

/** The name of a pose parameter, or of both sides of one without its side; null where the page is in English. */
export function parameterName(name) {
  const found = inputs[name]?.name ?? inputs[`${name}_left`]?.name.replace(/\s*[（(].*[）)]$/, "");
  return found ?? null;
}

/** The language of the page, such as `en`. */
export const language = () => (app.extensionManager?.setting?.get("Comfy.Locale") ?? "en").split("-")[0];

app.registerExtension({
  name: "THA4.Text",
  async setup() {
    if (language() === "en") return;
    const { tha4 = {}, tha4Messages = {}, nodeDefs } = (await api.getCustomNodesI18n?.())?.[language()] ?? {};
    [translations, inputs, translated] = [tha4, nodeDefs?.THA4PoseVector?.inputs ?? {}, translator(tha4Messages)];
    // The page has set the texts of its nodes before this listener is called.
    api.addEventListener("progress_text", translateTexts);
  },
});

// Listeners are called in the order in which they were added: this one before the page's own, which shows the error.
api.addEventListener("execution_error", translateError);

/** Translate the error of one of our nodes. All listeners get the same `detail`. */
function translateError({ detail }) {
  if (detail?.node_type?.startsWith("THA4")) detail.exception_message = message(detail.exception_message);
}

/** Translate what `show_text` shows on nodes: the page's own widgets, in the graph that is seen. */
function translateTexts() {
  for (const { widgets = [] } of app.canvas.graph.nodes) {
    const shown = widgets.find(({ name }) => name === "$$node-text-preview");
    if (shown) shown.value = message(shown.value);
  }
}
