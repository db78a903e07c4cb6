// From the pose of a Pose Vector to the script of a Pose Sequence: which of each is meant, and who writes.
import { library } from "../library.js";
import { Values } from "../editor/values.js";
import { text } from "../text.js";

const [VECTOR, SEQUENCE] = ["THA4PoseVector", "THA4PoseSequence"];
const players = new WeakMap(); // Pose Sequence node → its player
const used = []; // nodes in the order in which they were used last

/** A Pose Sequence's player writes poses: `player.put(pose)` returns what to tell the user. */
export const offerPlayer = (node, player) => players.set(node, player);

/** A person works on this node: of several, it is the one that is meant. */
export function use(node) {
  if (used.includes(node)) used.splice(used.indexOf(node), 1);
  used.push(node);
  used.splice(0, used.length - 16);
}

/** Put a Pose Vector's pose into the script, at the time that its player shows. Returns what to tell the user. */
export function putPoseOf(vector) {
  const sequence = meant(vector.graph, SEQUENCE);
  if (!sequence) return text("Add a Pose Sequence: the pose goes into its script.");
  return players.get(sequence).put(new Values(vector, library.now.parameters).pose());
}

/** Put the pose of the graph's Pose Vector into a Pose Sequence's script. Returns what to tell the user. */
export function putPoseInto(sequence) {
  const vector = meant(sequence.graph, VECTOR);
  if (!vector) return text("Add a Pose Vector: its pose goes into the script.");
  return players.get(sequence).put(new Values(vector, library.now.parameters).pose());
}

/** The node of a type that was used last, else the newest one. */
function meant(graph, type) {
  const nodes = (graph?.nodes ?? []).filter((node) => node.type === type);
  return used.findLast((node) => nodes.includes(node)) ?? nodes.at(-1);
}
