// The exported page: one HTML file with a character that moves. This module starts it, from the document that
// tha4_core/export/page.py writes; ComfyUI's own page, which loads every module of a pack, is left alone.
import { PuppetPage } from "./puppet_page.js";

const root = document.getElementById("tha4-puppet");
if (root) new PuppetPage(root).open();
