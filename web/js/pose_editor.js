// Puts the pose editor on every Pose Vector.
import { app } from "../../../scripts/app.js";
import { PoseEditor } from "./editor/editor.js";
import { ranWith } from "./editor/values.js";
import { addElement, chain } from "./panel.js";

const NODE = "THA4PoseVector";
const WIDGET = "tha4_editor";
const SIZE = [420, 660];
const MIN_SIZE = [340, 480];

app.registerExtension({
  name: "THA4.PoseEditor",
  setup() {
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: STYLE }));
  },
  nodeCreated(node) {
    if (node.comfyClass !== NODE || !node.addDOMWidget) return;
    const numbers = [...node.widgets];
    const editor = attach(node);
    for (const widget of numbers) chain(widget, "callback", () => editor.look());
    fold(node, numbers);
    node.setSize([Math.max(node.size[0], SIZE[0]), SIZE[1]]);
  },
});

const STYLE = new URL("./editor/editor.css", import.meta.url).href;

/** Add the editor above the inputs; it works while the node is in a graph. */
function attach(node) {
  const editor = new PoseEditor(node);
  const widget = addElement(node, WIDGET, editor.element, () => MIN_SIZE[1]);
  node.widgets.splice(node.widgets.indexOf(widget), 1);
  node.widgets.unshift(widget);
  chain(node, "onAdded", () => editor.start());
  chain(node, "onRemoved", () => editor.stop());
  chain(node, "onExecuted", (output) => ranWith(node, output?.tha4_pose?.[0] ?? {}));
  // A widget that is not saved leaves a gap in the saved values: save exactly the 45 numbers, in their order.
  chain(node, "onSerialize", (info) => {
    info.widgets_values = node.widgets.filter((one) => one.serialize !== false).map((one) => one.value);
  });
  // Workflows from before the editor have narrow nodes.
  chain(node, "onConfigure", () => node.setSize([Math.max(node.size[0], MIN_SIZE[0]), node.size[1]]));
  return editor;
}

/** Hide the 45 inputs as advanced ones, except those that a link drives. */
function fold(node, numbers) {
  const isDriven = (widget) => node.inputs?.some((input) => input.widget?.name === widget.name && input.link != null);
  const apply = () => {
    for (const widget of numbers) {
      widget.advanced = !isDriven(widget);
      if (widget.options) widget.options.advanced = widget.advanced;
    }
    node.setDirtyCanvas?.(true, true);
  };
  for (const widget of numbers) hideWhereFolded(node, widget);
  apply();
  chain(node, "onConnectionsChange", apply);
  chain(node, "onConfigure", apply);
  let height = node.size[1];
  const unfold = node.toggleAdvanced;
  node.toggleAdvanced = function () {
    if (!node.showAdvanced) height = node.size[1];
    unfold?.call(this);
    if (!node.showAdvanced) node.setSize([node.size[0], height]);
  };
}

/** The classic canvas keeps space for folded advanced widgets, but none for hidden ones. */
function hideWhereFolded(node, widget) {
  let hidden = widget.hidden;
  Object.defineProperty(widget, "hidden", {
    get: () => hidden || (!window.LiteGraph.vueNodesMode && widget.advanced && !node.showAdvanced),
    set: (value) => (hidden = value),
    configurable: true,
    enumerable: true,
  });
}
