// From a Pose Sequence to the live page, which records what a camera or the mouse does, and back: the recording's file
// comes into a Load Poses beside the node.
import { app } from "../../../../scripts/app.js";
import { findCharacter } from "../character.js";
import { liveURL } from "../live.js";
import { text } from "../text.js";

const CHANNEL = "tha4.live"; // as in live/recording.js
const GAP = 60;
const waiting = new Map(); // what stands in the page's URL → the node that wants a recording
const made = new WeakMap(); // that node → {type: id} of the nodes beside it
let channel = null;

/** Open the live page with the node's character; what it records comes to this node. Returns what to tell the user. */
export function recordFor(node) {
  if (!channel) {
    channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = ({ data }) => data?.type === "recorded" && take(data);
  }
  const token = Array.from(crypto.getRandomValues(new Uint32Array(2)), (part) => part.toString(36)).join("");
  waiting.set(token, node);
  const { kind, name, found } = findCharacter(node);
  const url = new URL(liveURL(found && kind === "student" ? name : null));
  url.searchParams.set("record_for", token);
  window.open(url.href, "_blank", "noopener");
  return text("Press Record on the live page. What it records comes into a Load Poses here.");
}

async function take({ recordFor: token, file, sound }) {
  const node = waiting.get(token);
  if (!node?.graph) return;
  await app.refreshComboInNodes(); // so that the new files are among those that can be chosen
  app.canvas?.emitBeforeChange?.(); // one step of the graph's history
  put(node, "THA4LoadPoses", "file", file, 0);
  if (sound) put(node, "LoadAudio", "audio", sound, 1);
  app.canvas?.emitAfterChange?.();
  app.canvas?.setDirty(true, true);
}

/** Set an input of the node of that type that was put beside this one; of a new one where there is none (any more). */
function put(node, type, input, value, column) {
  const beside = made.get(node) ?? {};
  let target = node.graph.getNodeById(beside[type]);
  if (target?.type !== type) {
    target = window.LiteGraph.createNode(type);
    node.graph.add(target);
    const [x, y] = node.pos;
    target.pos = [x + column * (target.size[0] + GAP), y + node.size[1] + GAP];
    made.set(node, { ...beside, [type]: target.id });
  }
  const widget = target.widgets.find(({ name }) => name === input);
  widget.value = value;
  widget.callback?.(value);
}
