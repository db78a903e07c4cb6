// Small helpers for elements.
import { app } from "../../../../scripts/app.js";

export { h } from "../element.js";

/** An icon of 16 x 16 from the path of its strokes. */
export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  const look = 'fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"';
  svg.innerHTML = `<path d="${path}" ${look}/>`;
  return svg;
}

/** Where a pointer is in an element, both 0..1; right at any zoom, because the element's rectangle is zoomed too. */
export function place(element, event) {
  const box = element.getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
}

/**
 * Drags with mouse, pen or one finger. `start(event)` may return false to refuse; `move(event)` follows the pointer;
 * `end()` comes once, however the drag ends. All listeners are the element's own.
 */
export function onDrag(element, { start, move, end }) {
  let pointer = null;
  const finish = (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    end();
  };
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || pointer !== null || start(event) === false) return;
    pointer = event.pointerId;
    element.setPointerCapture(pointer);
    event.stopPropagation();
  });
  element.addEventListener("pointermove", (event) => {
    if (event.pointerId === pointer) move(event);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) element.addEventListener(name, finish);
}

/**
 * Put a node's element where the one of its predecessor is still shown. Nodes 2.0 keeps what it has mounted for a node's
 * id while undo makes the node anew; without this the page goes on showing an element whose node is gone.
 */
export function takePlace(node, element) {
  if (element.isConnected || node.graph !== app.canvas?.graph) return;
  document.querySelector(`[data-node-id="${node.id}"] .${element.classList[0]}`)?.replaceWith(element);
}
