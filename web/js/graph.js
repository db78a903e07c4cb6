// Along the links of a graph: on to the nodes that render a node's poses, and back to where an input comes from.
const POSES = "THA4_POSES";
// The render nodes, and the inputs that say whom they render.
const RENDER_INPUTS = {
  THA4StudentRender: ["student"],
  THA4TeacherRender: ["character"],
  THA4RenderVideo: ["student", "character"],
};

/** The nodes that render a node's poses, the nearest first. */
export function renderNodes(node) {
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

/** The input that says whom a render node renders, as it is linked. */
export const renderInput = (render) => RENDER_INPUTS[render.type ?? render.comfyClass].find((name) => isLinked(render, name));

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
