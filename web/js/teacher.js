// Tells on every Load Teacher, before it runs, whether its files are here.
import { app } from "../../../scripts/app.js";
import { addElement, chain } from "./panel.js";
import { TeacherFiles } from "./teacher/files.js";

app.registerExtension({
  name: "THA4.Teacher",
  nodeCreated(node) {
    if (node.comfyClass !== "THA4LoadTeacher" || !node.addDOMWidget) return;
    const files = new TeacherFiles(node);
    addElement(node, "tha4_teacher", files.element, () => files.height);
    chain(node, "onAdded", () => files.start());
    chain(node, "onRemoved", () => files.stop());
  },
});
