// Moving and scaling something with a mouse, a pen, or one or two fingers.
import { place } from "../editor/dom.js";

/**
 * `move({x, y, scale})` says how far the middle of the pointers has gone since the last call, as a share of the
 * element's size, and how much farther apart they are. `start()` may return false to refuse.
 */
export function onHands(element, { start, move, end }) {
  const pointers = new Map();
  const seen = () => {
    const points = [...pointers.values()];
    const middle = (axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
    const apart = points.length > 1 ? Math.hypot(points[0].x - points[1].x, points[0].y - points[1].y) : 0;
    return { x: middle("x"), y: middle("y"), apart };
  };
  let last = null;
  // The page takes two fingers, wherever they are, for a pinch of the graph.
  const keep = (event) => event.stopPropagation();
  const touch = ["touchmove", keep, { capture: true }];

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || pointers.size === 2 || (pointers.size === 0 && start() === false)) return;
    if (pointers.size === 0) window.addEventListener(...touch);
    pointers.set(event.pointerId, place(element, event));
    element.setPointerCapture(event.pointerId);
    event.stopPropagation();
    last = seen();
  });
  element.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    pointers.set(event.pointerId, place(element, event));
    const now = seen();
    move({ x: now.x - last.x, y: now.y - last.y, scale: last.apart && now.apart ? now.apart / last.apart : 1 });
    last = now;
  });
  const leave = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (pointers.size) {
      last = seen();
      return;
    }
    window.removeEventListener(...touch);
    end();
  };
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) element.addEventListener(name, leave);
}
