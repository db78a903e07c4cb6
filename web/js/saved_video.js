// Lets ComfyUI show on Save Video with Alpha what was saved. What is transparent lies on a checkerboard (panel.css).
import { app } from "../../../scripts/app.js";
import { chain } from "./panel.js";

// The page's own widgets for a video, for an animated picture, and for the text of `show_text`.
const [VIDEO, PICTURE, TEXT] = ["video-preview", "$$comfy_animation_preview", "$$node-text-preview"];

app.registerExtension({
  name: "THA4.SavedVideo",
  nodeCreated(node) {
    if (node.comfyClass !== "THA4SaveVideo") return;
    // Left alone, the page takes all that a node with a VIDEO input shows for videos, and stays with what it showed first.
    const kind = { get: () => (isPicture(node) ? "image" : "video"), set: () => {}, configurable: true };
    Object.defineProperty(node, "previewMediaType", kind);
    // The page makes room for a video while it draws the node, and does not draw it again by itself.
    chain(node, "onResize", () => requestAnimationFrame(() => node.setDirtyCanvas(true, true)));
    chain(node, "onExecuted", (output) => {
      forget(node, isPicture(node) ? VIDEO : PICTURE);
      if (!output.text?.length) forget(node, TEXT);
    });
  },
});

/** Whether what a node shows is an animated WebP. */
function isPicture(node) {
  const graph = node.graph?.rootGraph === node.graph ? "" : `${node.graph?.id}:`;
  const images = app.nodeOutputs?.[`${graph}${node.id}`]?.images ?? [];
  return images.some(({ filename }) => filename.endsWith(".webp"));
}

/** Remove a widget that the run before this one needed. */
function forget(node, name) {
  if (name === VIDEO) node.videoContainer = undefined;
  if (name === PICTURE) node.imgs = undefined;
  const index = node.widgets.findIndex((widget) => widget.name === name);
  if (index < 0) return;
  node.widgets[index].onRemove?.();
  node.widgets.splice(index, 1);
}
