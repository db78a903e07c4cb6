// Puts the fit editor on every Load Character.
import { app } from "../../../scripts/app.js";
import { FitEditor } from "./fit/fit_editor.js";
import { addPanel, chain } from "./panel.js";

app.registerExtension({
  name: "THA4.FitEditor",
  nodeCreated(node) {
    if (node.comfyClass !== "THA4LoadCharacter" || !node.addDOMWidget) return;
    const editor = new FitEditor(node);
    addPanel(node, "tha4_fit", editor, [320, 380], [360, 440]);
    chain(node, "onExecuted", (output) => editor.ran(output));
  },
});
