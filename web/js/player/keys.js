// The keys of a Pose Sequence's script as marks over its curves, which can be dragged in time. The text is what counts.
import { app } from "../../../../scripts/app.js";
import { h, onDrag, place } from "../editor/dom.js";
import { isLinked, value } from "../graph.js";
import { text } from "../text.js";
import { keysOf, poseAsText, withKey, withLater } from "./script.js";

const MOST = 500; // marks; a script with more is not read by eye

export class Keys {
  /** `seek(seconds)` goes to a moment. */
  constructor(node, seek) {
    Object.assign(this, { node, seek, found: null });
    this.element = h("div.tha4-player-keys");
  }

  /** Show the keys of a motion as the server tells it, with the script that it was made from; null for none. */
  show(found) {
    this.found = found;
    const keys = found?.line_times && found.script !== undefined ? keysOf(found.script, found.line_times) : [];
    this.keys = keys.length > MOST ? [] : keys;
    this.element.replaceChildren(...this.keys.map((key, index) => this.#mark(key, index)));
  }

  /** Write a pose into the script at a time; returns what to tell the user. */
  put(pose, seconds) {
    if (isLinked(this.node, "script")) return text("The script comes from a link: it cannot be changed here.");
    if (!this.#isCurrent()) return text("Mend the script first.");
    const { script, line_times: times, fps } = this.found;
    this.#write(withKey(script, times, seconds, poseAsText(pose), 1 / fps));
    return text("The pose is in the script at {time} s.", { time: seconds.toFixed(2) });
  }

  /** Whether the marks are those of the text as it is now. */
  #isCurrent() {
    return this.found?.script === value(this.node, "script") && !isLinked(this.node, "script");
  }

  #mark(key, index) {
    const mark = h("button.tha4-player-key", { type: "button", title: key.text.trim(), "data-line": key.line });
    const { frames, fps } = this.found;
    const length = Math.max(1, frames - 1) / fps;
    const move = (seconds) => (mark.style.left = `${Math.min(1, seconds / length) * 100}%`);
    move(key.seconds);
    let [from, now] = [0, key.seconds];
    onDrag(mark, {
      start: (event) => {
        if (!this.#isCurrent()) return false;
        from = place(this.element, event).x;
        return true;
      },
      move: (event) => {
        now = this.#within(index, key.seconds + (place(this.element, event).x - from) * length);
        move(now);
      },
      end: () => {
        if (now === key.seconds) this.seek(now);
        else this.#write(withLater(this.found.script, key.line, now - key.seconds));
      },
    });
    return mark;
  }

  /** A key stays between its neighbours; what counts from it goes along. In steps of a hundredth of a second. */
  #within(index, seconds) {
    const [before, after] = [this.keys[index - 1]?.seconds ?? 0, this.keys[index + 1]];
    const isFree = !after || /^\s*[+＋]/.test(after.text);
    return Math.max(before, Math.min(isFree ? Infinity : after.seconds, Math.round(seconds * 100) / 100));
  }

  /** Set the script as one step of the graph's history. */
  #write(script) {
    const widget = this.node.widgets.find(({ name }) => name === "script");
    const before = widget.value;
    app.canvas?.emitBeforeChange();
    widget.value = script;
    widget.callback?.(script, app.canvas, this.node);
    this.node.onWidgetChanged?.("script", script, before, widget);
    app.canvas?.emitAfterChange();
    this.node.setDirtyCanvas?.(true, true);
  }
}
