// The live page: a character that answers now. This module starts it; ComfyUI's own page, which loads every module of a
// pack, has no place for it and is left alone.
import { LivePage } from "./live_page.js";

const root = document.getElementById("tha4-live");
if (root) {
  root.page = new LivePage(root); // for scripts, and for tests
  root.page.open();
}
