// What the server knows: the 45 parameters, the expressions, the characters. Asked for once, and again on `load(true)`.
import { api } from "../../../scripts/api.js";

let asked = null;

/** `now` is what was answered last: `{parameters, expressions, characters}`, or null before that. */
export const library = {
  now: null,

  /** The answer; the same one each time unless `again`. Rejects where the server does not give it. */
  load(again = false) {
    if (!asked || again) asked = ask();
    return asked;
  },
};

async function ask() {
  const answer = await api.fetchApi("/tha4/library");
  if (!answer.ok) {
    asked = null;
    throw new Error(`THA4: the server did not say what it can do (${answer.status}).`);
  }
  library.now = await answer.json();
  return library.now;
}
