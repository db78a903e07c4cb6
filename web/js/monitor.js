// Puts a monitor on every Distill Student.
import { app } from "../../../scripts/app.js";
import { listen } from "./monitor/history.js";
import { Monitor } from "./monitor/monitor.js";
import { addPanel } from "./panel.js";

app.registerExtension({
  name: "THA4.Monitor",
  setup: listen,
  nodeCreated(node) {
    if (node.comfyClass !== "THA4DistillStudent" || !node.addDOMWidget) return;
    addPanel(node, "tha4_monitor", new Monitor(node), [340, 260], [420, 400]);
  },
});
