// The mouse (or a finger) as an input: the character looks at it.

/**
 * Call `onLook(x, y)` with where the pointer is: -1..1 to the right and up, 0 in the middle of the element and 1 half a
 * window away from it; `onLook(null, null)` when it has left the page. Returns a function that stops it.
 */
export function followMouse(element, onLook) {
  const move = (event) => {
    const box = element.getBoundingClientRect();
    const across = (event.clientX - (box.left + box.width / 2)) / (window.innerWidth / 2);
    // A face is in the upper half of its picture.
    const down = (event.clientY - (box.top + box.height * 0.35)) / (window.innerHeight / 2);
    onLook(unit(across), -unit(down));
  };
  const leave = () => onLook(null, null);
  const root = document.documentElement;
  window.addEventListener("pointermove", move);
  root.addEventListener("pointerleave", leave);
  window.addEventListener("blur", leave);
  return () => {
    window.removeEventListener("pointermove", move);
    root.removeEventListener("pointerleave", leave);
    window.removeEventListener("blur", leave);
    leave();
  };
}

const unit = (value) => Math.min(1, Math.max(-1, value));
