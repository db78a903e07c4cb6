// The monitor of one Distill Student: the progress of its training.
import { h } from "../editor/dom.js";
import { leaveWheel } from "../panel.js";
import { text } from "../text.js";
import { drawChart } from "./chart.js";
import { onEvent, runOf } from "./history.js";

const STATES = {
  running: "Training",
  watching: "The teacher shows its frames",
  saved: "Saved",
  finished: "Finished",
  stopped: "Stopped",
  failed: "Failed",
};

export class Monitor {
  constructor(node) {
    this.node = node;
    this.state = h("span.tha4-monitor-state", {}, text("Nothing has run yet."));
    this.rate = h("span.tha4-monitor-rate");
    this.done = h("div.tha4-monitor-done");
    this.loss = h("canvas.tha4-monitor-chart", { "data-name": "loss" });
    this.psnr = h("canvas.tha4-monitor-chart", { "data-name": "psnr" });
    this.losses = h("figcaption");
    this.psnrs = h("figcaption");
    this.picture = h("img", { alt: text("teacher | student"), hidden: true });
    this.stage = h("div.tha4-monitor-stage", {}, this.picture, h("span", {}, text("teacher | student")));
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
    this.leave = onEvent(() => this.#scheduleDraw());
    this.sized = new ResizeObserver(() => this.#scheduleDraw());
    this.sized.observe(this.element);
    this.#scheduleDraw();
  }

  stop() {
    this.leave?.();
    this.leave = null;
    this.sized?.disconnect();
    cancelAnimationFrame(this.drawing);
    this.drawing = null;
  }

  /** Draw once for each screen refresh: events may come faster. */
  #scheduleDraw() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      if (this.leave) this.#show(runOf(this.node));
    });
  }

  #show(run) {
    if (!run) return;
    const { last, losses, psnrs, preview, steps } = run;
    const state = last.state === "running" && last.stage === "teacher" ? "watching" : last.state;
    this.element.dataset.state = state;
    this.state.textContent = `${text(STATES[state] ?? state)} · ${last.preset} · ${last.step} / ${last.steps}`;
    this.rate.textContent = ["running", "watching", "saved"].includes(state) ? pace(last) : "";
    this.done.style.width = `${(100 * last.step) / Math.max(1, last.steps)}%`;
    this.losses.replaceChildren(text("loss"), ...legend(losses.at(-1), (value) => value.toPrecision(3)));
    this.psnrs.replaceChildren(text("PSNR, dB"), ...legend(psnrs.at(-1), (value) => value.toFixed(1)));
    drawChart(this.loss, losses, steps, true);
    drawChart(this.psnr, psnrs, steps, false);
    this.stage.classList.toggle("tha4-empty", !preview);
    this.picture.hidden = !preview;
    if (preview && this.picture.src !== preview) this.picture.src = preview;
  }
}

function legend(point, shown) {
  const of = (name) => (Number.isFinite(point?.[name]) ? shown(point[name]) : "–");
  return ["face", "body"].map((name) => h(`span.tha4-monitor-${name}`, {}, `${text(name)} ${of(name)}`));
}

function pace({ rate, seconds_left: left, examples }) {
  const rounded = Number((rate ?? 0).toPrecision(3)); // 1930, not 1.93e+3
  const said = [text("{count} examples", { count: examples }), text("{rate} a second", { rate: rounded })];
  if (Number.isFinite(left)) said.push(text("{time} left", { time: duration(left) }));
  return said.join(" · ");
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
