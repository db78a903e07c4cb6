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
 * graph, and `stop()`, called when it has left it. `least` is the panel's least width and height, `size` the width and
 * height that a new node gives it.
 */
export function addPanel(node, name, panel, least, size) {
  const widget = node.addDOMWidget(name, name.toUpperCase(), panel.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => least[1],
  });
  widget.serialize = false;
  chain(node, "onAdded", () => panel.start());
  chain(node, "onRemoved", () => panel.stop());
  const inputs = node.size[1];
  node.setSize([Math.max(node.size[0], size[0]), Math.max(inputs, node.computeSize()[1] - least[1] + size[1])]);
  // Workflows from before the panel have smaller nodes.
  chain(node, "onConfigure", () => {
    node.setSize([Math.max(node.size[0], least[0]), Math.max(node.size[1], node.computeSize()[1])]);
  });
}

/** Have a node's method do something more. */
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
