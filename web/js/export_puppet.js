// Two buttons on every Export Puppet: look at the page that it wrote, or save it where the browser runs.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { chain } from "./panel.js";
import { text } from "./text.js";

app.registerExtension({
  name: "THA4.ExportPuppet",
  nodeCreated(node) {
    if (node.comfyClass !== "THA4ExportPuppet") return;
    let file = null;
    const visit = (path) => file && window.open(new URL(api.fileURL(`${path}?${new URLSearchParams(file)}`), location.href), "_blank", "noopener");
    const buttons = [
      node.addWidget("button", text("Open the page"), null, () => visit("/tha4/puppet"), { serialize: false }),
      node.addWidget("button", text("Download the page"), null, () => visit("/view"), { serialize: false }),
    ];
    for (const button of buttons) Object.assign(button, { serialize: false, disabled: true });
    chain(node, "onExecuted", (output) => {
      file = output?.tha4_puppet?.[0] ?? file;
      for (const button of buttons) button.disabled = !file;
    });
  },
});
