// Which character a node's poses are for: along the links to a render node, and from there back to what it renders.
import { DEMO, defaultCharacter } from "./settings.js";
import { library } from "./library.js";
import { text } from "./text.js";

const POSES = "THA4_POSES";
// The render nodes, and the inputs that say whom they render.
const RENDER_INPUTS = {
  THA4StudentRender: ["student"],
  THA4TeacherRender: ["character"],
  THA4RenderVideo: ["student", "character"],
};
const FROM_HUB = "from the hub";
const RIG = { kind: "rig", name: DEMO };

/**
 * The character to preview for a node, `{kind, name, found, text}`: what the graph renders the node's poses with where
 * that can be previewed (`found`), else the one of the settings. `text` says which it is, for people.
 */
export function findCharacter(node) {
  const reached = renderNodes(node).map(renderedCharacter);
  const known = reached.find((character) => character && isKnown(character));
  if (known) return { ...known, found: true, text: known.name };
  const fallback = byName(defaultCharacter());
  const why = reached.length ? text("this graph's character has no student yet") : text("no render node is connected");
  return { ...fallback, found: false, text: `${fallback.name} (${why})` };
}

/** The nodes that render a node's poses, the nearest first. */
function renderNodes(node) {
  const found = [];
  const seen = new Set();
  const waiting = [{ node, outputs: null }];
  while (waiting.length) {
    const { node: at } = waiting.shift();
    if (!at || seen.has(at)) continue;
    seen.add(at);
    if (RENDER_INPUTS[at.type ?? at.comfyClass]) found.push(at);
    else for (const next of downstream(at)) waiting.push({ node: next });
  }
  return found;
}

function downstream(node) {
  const next = [];
  for (const output of node.outputs ?? []) {
    if (output.type !== POSES && output.type !== "*") continue;
    for (const id of output.links ?? []) {
      const link = linkOf(node.graph, id);
      if (link) next.push(...targets(node.graph, link));
    }
  }
  return next;
}

/** The nodes that a link leads to: into a subgraph, or out of the one that it lies in, where it ends at its border. */
function targets(graph, link) {
  if (graph.outputNode && link.target_id === graph.outputNode.id) {
    return holders(graph).flatMap((holder) => linked(holder, holder.outputs?.[link.target_slot]));
  }
  const node = graph.getNodeById(link.target_id);
  if (!node?.subgraph) return node ? [node] : [];
  const ids = node.subgraph.inputNode?.slots?.[link.target_slot]?.linkIds ?? [];
  return ids.map((id) => linkOf(node.subgraph, id)).flatMap((inner) => (inner ? targets(node.subgraph, inner) : []));
}

function linked(node, output) {
  return (output?.links ?? []).flatMap((id) => targets(node.graph, linkOf(node.graph, id)));
}

/** The nodes that stand for a subgraph. */
function holders(subgraph) {
  const root = subgraph.rootGraph ?? subgraph;
  const graphs = [root, ...(root.subgraphs?.values() ?? [])];
  return graphs.flatMap((graph) => graph.nodes ?? []).filter((node) => node.subgraph === subgraph);
}

/** The character that a render node renders, as far as it can be told from the graph. */
function renderedCharacter(render) {
  const input = RENDER_INPUTS[render.type ?? render.comfyClass].find((name) => isLinked(render, name));
  const source = origin(render, input);
  if (source?.type === "THA4LoadStudent") return { kind: "student", name: studentName(source) };
  if (source?.type === "THA4LoadCharacter" && value(source, "file") === DEMO && !isLinked(source, "image")) return RIG;
  return null;
}

function studentName(node) {
  const name = value(node, "student");
  if (name !== FROM_HUB) return name;
  // Where a file from the hub lies once it has been fetched.
  return `${value(node, "repo_id").trim().replace("/", "--")}/${value(node, "file_name").trim()}`;
}

/** The node that an input's link comes from, through nodes that only pass it on. */
export function origin(node, inputName) {
  let slot = node.inputs?.findIndex((input) => input.name === inputName) ?? -1;
  for (let hops = 0; hops < 100 && node && slot >= 0; hops += 1) {
    const link = linkOf(node.graph, node.inputs[slot]?.link);
    const graph = node.graph;
    if (!link) return null;
    if (graph.inputNode && link.origin_id === graph.inputNode.id) {
      [node, slot] = [holders(graph)[0], link.origin_slot];
      continue;
    }
    node = graph.getNodeById(link.origin_id);
    if (!node || (node.type !== "Reroute" && !node.subgraph)) return node;
    if (node.subgraph) {
      const inner = linkOf(node.subgraph, node.subgraph.outputNode?.slots?.[link.origin_slot]?.linkIds?.[0]);
      return inner ? node.subgraph.getNodeById(inner.origin_id) : null;
    }
    slot = 0;
  }
  return null;
}

export const linkOf = (graph, id) => (id == null ? null : (graph?.links?.get?.(id) ?? graph?.links?.[id] ?? null));
export const value = (node, name) => node.widgets?.find((widget) => widget.name === name)?.value ?? "";
export const isLinked = (node, name) => node.inputs?.some((input) => input.name === name && input.link != null) ?? false;
const known = () => library.now?.characters ?? [RIG];
const isKnown = ({ kind, name }) => known().some((one) => one.kind === kind && one.name === name);
// Of two of one name the student: it is faster than the rig.
const byName = (name) => known().findLast((one) => one.name === name) ?? RIG;
