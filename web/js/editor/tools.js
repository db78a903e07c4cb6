// Buttons for the whole pose: mirror, random, copy, paste, reset.
import { fromText, mirrored, neutral, random, toText } from "../pose.js";
import { putPoseOf } from "../player/put.js";
import { message, text } from "../text.js";
import { h, icon } from "./dom.js";

const ICONS = {
  mirror: "M8 1.5v13M5.5 4.5 2 8l3.5 3.5zM10.5 4.5 14 8l-3.5 3.5z",
  random: "M2.5 2.5h11v11h-11zM5.5 5.5h0M10.5 10.5h0M8 8h0M10.5 5.5h0M5.5 10.5h0",
  copy: "M5.5 5.5h8v8h-8zM3 10.5h-.5v-8h8V3",
  paste: "M4.5 3h-1.5v11h10v-11h-1.5M5.5 1.5h5v3h-5zM5.5 8h5M5.5 11h5",
  script: "M6.5 5.5 11 10l-4.5 4.5L2 10zM12.5 2v5M10 4.5h5",
  reset: "M3 8a5 5 0 1 0 1.5-3.6M3 2.5v3h3",
};

const titles = () => ({
  mirror: text("Mirror (M)"),
  random: text("Random pose (Space)"),
  copy: text("Copy the pose as JSON (Ctrl+C)"),
  paste: text("Paste a pose (Ctrl+V)"),
  script: text("Put the pose into the script of a Pose Sequence, at the moment that its player shows"),
  reset: text("Reset (0)"),
});
const copied = () => text("Copied.");
const noClipboard = () => text("The browser keeps its clipboard: click the picture and press Ctrl+C or Ctrl+V.");

/** What each tool makes of `{values, library}`: a pose to set. */
export const CHANGES = {
  mirror: ({ parameters }, pose) => mirrored(parameters, pose),
  random: ({ parameters, expressions }) => random(parameters, expressions),
  reset: ({ parameters }) => neutral(parameters),
};

export class Tools {
  /** `pose` is the editor's; `say(message)` shows a message to the user. */
  constructor(library, pose, say) {
    Object.assign(this, { library, pose, say });
    const title = titles();
    const buttons = Object.entries(ICONS).map(([name, path]) => {
      const what = { type: "button", title: title[name], "data-tool": name, onclick: () => this.use(name) };
      return h("button", what, icon(path));
    });
    this.element = h("div.tha4-tools", {}, ...buttons);
  }

  /** Use a tool by its name. */
  use(name) {
    if (name === "copy") return this.#copy();
    if (name === "paste") return this.#paste();
    if (name === "script") return this.say(putPoseOf(this.pose.node));
    return this.pose.change(CHANGES[name](this.library, this.pose.pose()));
  }

  /** The pose as text, for the clipboard. */
  text() {
    return toText(this.pose.pose());
  }

  /** Take a pose from text; says so where it is none. */
  take(content) {
    try {
      const outside = [];
      const pose = fromText(this.library.parameters, content, outside);
      this.pose.change(pose);
      const driven = Object.keys(pose).filter((name) => this.pose.isDriven(name));
      const told = [text("Pasted.")];
      if (outside.length) told.push(text("Brought into their range: {names}.", { names: outside.join(", ") }));
      if (driven.length) told.push(text("Left to their links: {names}.", { names: driven.join(", ") }));
      this.say(told.join(" "));
    } catch (error) {
      this.say(text("Not pasted. {why}", { why: message(error.message) }));
    }
  }

  async #copy() {
    if (!navigator.clipboard) return this.say(noClipboard());
    await navigator.clipboard.writeText(this.text());
    return this.say(copied());
  }

  async #paste() {
    if (!navigator.clipboard?.readText) return this.say(noClipboard());
    try {
      return this.take(await navigator.clipboard.readText());
    } catch {
      return this.say(noClipboard()); // the user said no
    }
  }
}
