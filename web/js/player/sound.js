// The sound of a motion: the file that a Load Audio gives to the Lip Sync that made it.
import { api } from "../../../../scripts/api.js";
import { h } from "../editor/dom.js";
import { isLinked, origin, value } from "../graph.js";
import { text } from "../text.js";

const ALWAYS = 0;
const MOST_NODES = 64;
const MUTED = "THA4.PlayersMuted"; // in the browser's storage; one for all players

/**
 * `{url}` of the sound that a node's motion follows from its first frame on, `{note}` why it cannot be heard, or null
 * where nothing speaks.
 */
export function findSound(node, left = MOST_NODES) {
  if (!node || node.mode !== ALWAYS || !left) return null;
  if (node.type === "THA4LipSync" && isLinked(node, "audio")) return ofFile(origin(node, "audio"));
  for (const name of inputsInTime(node)) {
    const found = findSound(origin(node, name), left - 1);
    if (found) return found;
  }
  return null;
}

/** The inputs whose motion a node passes on at the same times. */
function inputsInTime(node) {
  if (["THA4LipSync", "THA4IdleMotion", "THA4Expression"].includes(node.type)) return ["poses"];
  if (node.type === "THA4EditPoses") return value(node, "speed") === 1 && !value(node, "reverse") ? ["poses"] : [];
  if (node.type !== "THA4CombinePoses") return [];
  return ["append", "cross-fade"].includes(value(node, "how")) ? ["a"] : ["a", "b"];
}

function ofFile(source) {
  const isKnown = source?.type === "LoadAudio" && source.mode === ALWAYS && !isLinked(source, "audio");
  const name = isKnown ? value(source, "audio").replace(/ \[input\]$/, "") : null;
  if (name === "") return null; // nothing is chosen yet
  if (!name || / \[\w+\]$/.test(name)) return { note: text("no sound: only a Load Audio's file can be heard here") };
  const folder = name.lastIndexOf("/");
  const place = { filename: name.slice(folder + 1), subfolder: name.slice(0, Math.max(0, folder)), type: "input" };
  return { url: api.apiURL(`/view?${new URLSearchParams(place)}`) };
}

export class Sound {
  /** `problem` says why the browser does not play it, or is empty. */
  constructor() {
    Object.assign(this, { url: null, problem: "" });
    this.element = h("audio", { preload: "metadata", muted: this.muted });
  }

  /** Take the sound at this address, or none for null. */
  use(url) {
    if (url === this.url) return;
    Object.assign(this, { url, problem: "" });
    this.element.pause();
    if (url) this.element.src = url;
    else this.element.removeAttribute("src");
    this.element.load();
  }

  /** Seconds from its start while it is being played, else null. */
  get time() {
    const { paused, ended, error, currentTime } = this.element;
    return paused || ended || error ? null : currentTime;
  }

  /** Play from a time in seconds on. */
  async play(seconds) {
    if (!this.url || seconds >= this.element.duration) return;
    this.problem = "";
    this.element.muted = this.muted;
    this.element.currentTime = seconds;
    try {
      await this.element.play();
    } catch (error) {
      if (error.name === "NotAllowedError") this.problem = text("the browser does not let the sound play yet: click ▶ again");
      else if (error.name !== "AbortError") this.problem = text("the browser cannot play this sound");
    }
  }

  pause() {
    this.element.pause();
  }

  get muted() {
    return localStorage.getItem(MUTED) === "true";
  }

  /** The other players follow when they play next. */
  set muted(muted) {
    localStorage.setItem(MUTED, muted);
    this.element.muted = muted;
  }
}
