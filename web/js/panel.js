// What all our widgets on nodes share: adding them, and removing them.
import { app } from "../../../scripts/app.js";

const STYLE = new URL("./panel.css", import.meta.url).href;

app.registerExtension({
  name: "THA4.Panel",
  setup() {
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: STYLE }));
  },
});

/**
 * Put `panel`'s element below a node's inputs. `panel` has `element`, `start()`, called when the node has come into a
 * graph, and `stop()`, called when it has left it. `minSize` is the panel's minimum width and height, `size`
 * the width and height on a new node.
 */
export function addPanel(node, name, panel, minSize, size) {
  addElement(node, name, panel.element, () => minSize[1]);
  chain(node, "onAdded", () => panel.start());
  chain(node, "onRemoved", () => panel.stop());
  const inputs = node.size[1];
  node.setSize([Math.max(node.size[0], size[0]), Math.max(inputs, node.computeSize()[1] - minSize[1] + size[1])]);
  // Workflows from before the panel have smaller nodes.
  chain(node, "onConfigure", () => {
    node.setSize([Math.max(node.size[0], minSize[0]), Math.max(node.size[1], node.computeSize()[1])]);
  });
}

/**
 * Put an element of at least `minHeight()` on a node, as a widget that is neither saved nor queued and that ComfyUI's
 * side panels do not list. Returns the widget.
 */
export function addElement(node, name, element, minHeight) {
  const widget = node.addDOMWidget(name, name.toUpperCase(), element, {
    serialize: false,
    hideOnZoom: false,
    hideInPanel: true,
    getMinHeight: minHeight,
  });
  widget.serialize = false;
  // Where a side panel lists the widget all the same, as for a subgraph, it sets the widget's width to its own, and the
  // classic canvas draws the element so narrow from then on. Without a width of its own it is as wide as its node.
  Object.defineProperty(widget, "width", { get: () => undefined, set: () => {}, configurable: true });
  return widget;
}

/** Call `then` after a node's method. */
export function chain(node, name, then) {
  const before = node[name];
  node[name] = function (...given) {
    const result = before?.apply(this, given);
    then(...given);
    return result;
  };
}

/** The wheel is the graph's unless the panel has the focus: on the classic canvas nothing but we can pass it on. */
export function leaveWheel(event) {
  if (!window.LiteGraph?.vueNodesMode) app.canvas.processMouseWheel(event);
}
