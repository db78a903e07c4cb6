// What the server knows: the 45 parameters, the expressions, the characters, the teachers. Loaded once, and again
// whenever it may have changed.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

let loading = null;

/** `now` is what was loaded last, `{parameters, expressions, characters, teachers}`, or null before the first time. */
export const library = {
  now: null,

  /** What the server knows; the same promise each time unless `again`. Rejects where the server gives an error. */
  load(again = false) {
    if (!loading || again) loading = fetchLibrary();
    return loading;
  },
};

async function fetchLibrary() {
  const response = await api.fetchApi("/tha4/library");
  if (!response.ok) {
    loading = null;
    throw new Error(`THA4: the server did not say what it can do (${response.status}).`);
  }
  library.now = await response.json();
  return library.now;
}

/** Load it again. Where there are other students than before, ComfyUI's lists follow. */
async function refresh() {
  const before = students();
  await library.load(true);
  if (before !== null && students() !== before) await (app.reloadNodeDefs ?? app.refreshComboInNodes)?.call(app);
}

const students = () => library.now && JSON.stringify(library.now.characters);
const refreshQuietly = () => refresh().catch((error) => console.warn(error.message));

app.registerExtension({
  name: "THA4.Library",
  setup() {
    // A run may have made or fetched a student or a teacher; files may have come while the page was not looked at.
    api.addEventListener("execution_success", refreshQuietly);
    api.addEventListener("tha4.distill", ({ detail }) => detail?.state === "finished" && refreshQuietly());
    window.addEventListener("focus", refreshQuietly);
  },
  refreshComboInNodes: refreshQuietly, // the key R
});
