// Whether the files of one Load Teacher are on the server, and how they get there.
import { h } from "../editor/dom.js";
import { isLinked, value } from "../graph.js";
import { library } from "../library.js";
import { leaveWheel } from "../panel.js";
import { text } from "../text.js";

const [WIDTH, HEIGHT] = [300, 116];
const WATCH = 250; // milliseconds between looks at what changed

export class TeacherFiles {
  constructor(node) {
    this.node = node;
    this.height = 0;
    this.report = h("div.tha4-teacher-report", { role: "status" });
    const accept = text("Accept the licence, fetch them when it runs");
    this.button = h("button", { type: "button", "data-name": "accept", onclick: () => this.#accept() }, accept);
    this.element = h("div.tha4-panel.tha4-teacher", { "data-capture-wheel": "true", hidden: true }, this.report, this.button);
    this.element.addEventListener("wheel", leaveWheel, { passive: true });
  }

  start() {
    this.timer ??= setInterval(() => this.#watch(), WATCH);
    library.load().then(() => this.#watch(), () => {}); // the editors say where the server does not answer
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
  }

  #watch() {
    const teacher = library.now?.teachers?.[value(this.node, "teacher")];
    const missing = Boolean(teacher && !teacher.found && !isLinked(this.node, "teacher"));
    const allowed = value(this.node, "auto_download") === true;
    const look = JSON.stringify([missing, allowed, teacher]);
    if (!this.timer || look === this.look) return;
    this.look = look;
    this.#resize(missing ? HEIGHT : 0);
    if (!missing) return;
    this.button.hidden = allowed || isLinked(this.node, "auto_download");
    const how = allowed ? [" ", text("They are fetched when the graph runs.")] : [];
    this.report.replaceChildren(
      h("p", {}, text("Its files are not in {folder} yet ({size}).", teacher), ...how),
      h("p.tha4-note", {}, text("Licence: {licence}", { licence: text(teacher.licence) })),
    );
  }

  #resize(height) {
    this.element.hidden = !height;
    const { node } = this;
    const lacking = height - this.height;
    this.height = height;
    const width = Math.max(node.size[0], height && WIDTH);
    if (lacking) node.setSize([width, Math.max(node.computeSize()[1], node.size[1] + lacking)]);
    node.setDirtyCanvas?.(true, true);
  }

  #accept() {
    const widget = this.node.widgets.find(({ name }) => name === "auto_download");
    widget.value = true;
    widget.callback?.(true);
    this.node.onWidgetChanged?.("auto_download", true, false, widget);
    this.#watch();
  }
}
