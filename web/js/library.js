// What the server knows: the 45 parameters, the expressions, the characters. Loaded once, and again by `load(true)`.
import { api } from "../../../scripts/api.js";

let loading = null;

/** `now` is what was loaded last, `{parameters, expressions, characters}`, or null before the first time. */
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

// A run may have made or fetched a student.
api.addEventListener("execution_success", () => library.load(true).catch((error) => console.warn(error.message)));
