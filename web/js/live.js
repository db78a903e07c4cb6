// The ways from ComfyUI's page to the live page: the menu, and the menus of the nodes that have a student.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { findCharacter } from "./character.js";
import { value } from "./graph.js";
import { text } from "./text.js";

const COMMAND = "THA4.OpenLive";
const NODES = ["THA4LoadStudent", "THA4StudentRender"];

/** The live page's URL, with a student where there is one. */
export function liveURL(student = null) {
  const url = new URL(api.fileURL("/tha4/live"), location.href);
  if (student) url.searchParams.set("student", student);
  return url.href;
}

const open = (student) => window.open(liveURL(student), "_blank", "noopener");

/** The student that a node loads or renders; null where that is not known. */
function studentOf(node) {
  if (node.comfyClass === "THA4LoadStudent") return value(node, "student");
  const { kind, name, found } = findCharacter(node);
  return found && kind === "student" ? name : null;
}

app.registerExtension({
  name: "THA4.Live",
  commands: [{ id: COMMAND, label: "THA4: Open live page", icon: "pi pi-video", function: () => open() }],
  menuCommands: [{ path: ["THA4"], commands: [COMMAND] }],
  getNodeMenuItems(node) {
    if (!NODES.includes(node.comfyClass)) return [];
    return [null, { content: text("Open live page"), callback: () => open(studentOf(node)) }];
  },
});
