// The monitor of one Distill Student: the state and the history of the distillation that its name stands for.
import { h } from "../editor/dom.js";
import { isLinked, value } from "../graph.js";
import { leaveWheel } from "../panel.js";
import { text } from "../text.js";
import { drawChart } from "./chart.js";
import { ask, onChange, runOf } from "./history.js";

const STATES = {
  none: "Nothing has run yet.",
  waiting: "Waiting in the queue",
  running: "Training",
  watching: "The teacher shows its frames",
  finished: "Finished",
  stopped: "Stopped",
  failed: "Failed",
  gone: "Gone",
  unreadable: "Unknown",
};
// What to do about it.
const ADVICE = {
  stopped: "Queue again to go on.",
  failed: "Queue again to go on.",
  gone: "The student's file is not there any more. Queue again to make it.",
};
const WATCH = 500; // milliseconds between looks at the name

export class Monitor {
  constructor(node) {
    this.node = node;
    this.state = h("span.tha4-monitor-state", {}, text(STATES.none));
    this.rate = h("span.tha4-monitor-rate");
    this.done = h("div.tha4-monitor-done");
    this.loss = h("canvas.tha4-monitor-chart", { "data-name": "loss" });
    this.psnr = h("canvas.tha4-monitor-chart", { "data-name": "psnr" });
    this.losses = h("figcaption");
    this.psnrs = h("figcaption");
    this.picture = h("img", { alt: text("teacher | student") });
    this.stage = h("div.tha4-monitor-stage", { hidden: true }, this.picture, h("span", {}, text("teacher | student")));
    this.element = h(
      "div.tha4-panel.tha4-monitor",
      { "data-capture-wheel": "true" },
      h("div.tha4-monitor-head", {}, this.state, this.rate),
      h("div.tha4-monitor-bar", {}, this.done),
      h("div.tha4-monitor-charts", {}, h("figure", {}, this.losses, this.loss), h("figure", {}, this.psnrs, this.psnr)),
      this.stage,
    );
    this.element.addEventListener("wheel", leaveWheel, { passive: true });
  }

  start() {
    if (this.leave) return;
    this.leave = onChange(() => this.#scheduleDraw(), () => this.#name());
    this.timer = setInterval(() => this.#watch(), WATCH);
    this.sized = new ResizeObserver(() => this.#scheduleDraw());
    this.sized.observe(this.element);
    this.#watch();
  }

  stop() {
    this.leave?.();
    clearInterval(this.timer);
    this.sized?.disconnect();
    cancelAnimationFrame(this.drawing);
    Object.assign(this, { leave: null, drawing: null, asked: null });
  }

  /** The student's name, or null where a link brings it. */
  #name() {
    return isLinked(this.node, "name") ? null : String(value(this.node, "name")).trim();
  }

  /** See whether it is another name now, and ask about that. */
  #watch() {
    const name = this.#name();
    if (name === this.asked) return;
    this.asked = name;
    this.#scheduleDraw();
    if (name) ask(name).catch((error) => (this.state.textContent = error.message));
  }

  /** Draw once for each screen refresh: events may come faster. */
  #scheduleDraw() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      if (this.leave) this.#show(runOf(this.#name(), this.node));
    });
  }

  #show(run = { now: { state: "none" }, losses: [], scores: [] }) {
    const { now, losses, scores, preview, note } = run;
    const state = now.state === "running" && now.stage === "teacher" ? "watching" : now.state;
    this.element.dataset.state = state;
    const counted = now.steps ? [now.preset, `${now.step} / ${now.steps}`] : [];
    this.state.textContent = [text(STATES[state] ?? state), ...counted].join(" · ");
    const running = state === "running" || state === "watching";
    this.rate.textContent = running ? pace(now) : note || text(ADVICE[state] ?? "");
    this.done.style.width = `${(100 * (now.step ?? 0)) / Math.max(1, now.steps ?? 1)}%`;
    this.losses.replaceChildren(text("loss"), ...legend(losses.at(-1), (number) => number.toPrecision(3)));
    this.psnrs.replaceChildren(text("PSNR, dB"), ...legend(scores.at(-1), (number) => number.toFixed(1)));
    // While the teacher renders its frames, the steps count these frames.
    const steps = state === "watching" ? (losses.at(-1)?.[0] ?? 1) : now.steps;
    drawChart(this.loss, losses, steps, true);
    drawChart(this.psnr, scores, steps, false);
    this.stage.hidden = !preview;
    if (preview && this.picture.src !== preview) this.picture.src = preview;
  }
}

/** The last numbers of a row [step, face, body]. */
function legend(row, shown) {
  const of = (column) => (Number.isFinite(row?.[column]) ? shown(row[column]) : "–");
  return ["face", "body"].map((name, i) => h(`span.tha4-monitor-${name}`, {}, `${text(name)} ${of(i + 1)}`));
}

function pace({ rate, seconds_left: left, examples }) {
  const rounded = Number((rate ?? 0).toPrecision(3)); // 1930, not 1.93e+3
  const time = Number.isFinite(left) ? text("{time} left", { time: duration(left) }) : text("time left: not known yet");
  return [text("{count} examples", { count: examples }), text("{rate} a second", { rate: rounded }), time].join(" · ");
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
