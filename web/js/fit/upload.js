// Bringing a picture from this computer into ComfyUI's input folder, by a button or by dropping it.
import { api } from "../../../../scripts/api.js";
import { h } from "../editor/dom.js";
import { text } from "../text.js";

const SUFFIXES = [".png", ".webp", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff"];
const isPicture = ({ name }) => SUFFIXES.some((suffix) => name.toLowerCase().endsWith(suffix));

/** Send a file to the input folder; how Load Character names it there. */
async function upload(file) {
  if (!isPicture(file)) throw new Error(text("This is no picture file that is read here. Save it as a PNG."));
  const body = new FormData();
  body.append("image", file);
  const answer = await api.fetchApi("/upload/image", { method: "POST", body });
  if (answer.status === 413) throw new Error(text("The file is too large for ComfyUI's upload limit."));
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return `input/${(await answer.json()).name}`;
}

/** A button that asks for a picture file; `done(name)` when it has been uploaded, `failed(why)` when not. */
export function uploadButton(done, failed) {
  const chooser = h("input", { type: "file", accept: SUFFIXES.join(",") });
  chooser.onchange = async () => {
    await send(chooser.files, done, failed);
    chooser.value = ""; // the same file may be chosen again
  };
  const title = text("Upload a picture from this computer, or drop one on the node");
  return h("button", { type: "button", title, "data-name": "upload", onclick: () => chooser.click() }, text("Upload"));
}

/** Let files be dropped on a node, its element of ours included. */
export function takeDrops(node, element, done, failed) {
  const bringsFiles = (event) => [...(event.dataTransfer?.items ?? [])].some(({ kind }) => kind === "file");
  const drop = (event) => {
    if (!event.dataTransfer?.files.length) return false;
    send(event.dataTransfer.files, done, failed);
    return true;
  };
  // The rest of the node: ComfyUI asks the node whether it takes what is dropped on it.
  Object.assign(node, { onDragOver: bringsFiles, onDragDrop: drop });
  const mark = (event, over) => {
    if (!bringsFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    element.classList.toggle("tha4-dropping", over);
  };
  element.addEventListener("dragover", (event) => mark(event, true));
  element.addEventListener("dragleave", (event) => mark(event, false));
  element.addEventListener("drop", (event) => {
    mark(event, false);
    drop(event);
  });
}

async function send(files, done, failed) {
  try {
    done(await upload(files[0]));
  } catch (error) {
    failed(error.message);
  }
}
