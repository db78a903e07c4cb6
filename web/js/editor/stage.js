// The picture, and the parts of it that can be dragged.
import { View } from "../view.js";
import { text } from "../text.js";
import { h, onDrag, place } from "./dom.js";
import { PADS } from "./shapes.js";

// The distance of a drag for a whole turn, as a share of the picture's width.
const REACH = 0.28;

/**
 * Where things lie in the frame (in percent of it: left, top, width, height) and what a drag does: a pad's point, or
 * the number that it changes across (to the right is the character's left, where numbers fall), upwards, and, with
 * Shift or the wheel, as a tilt.
 */
const ZONES = {
  body: { box: [22, 42, 56, 58], across: "body_y", tilt: "body_z" },
  head: { box: [33, 7, 34, 35], across: "head_y", upward: "head_x", tilt: "neck_z" },
  eyes: { box: [38.5, 25.5, 23, 8], pad: PADS.gaze },
  mouth: { box: [44, 34, 12, 5], pad: PADS.mouth },
};
const INSIDE_HEAD = ["eyes", "mouth"];

const titles = () => ({
  body: text("Body: drag to turn it. Shift or the wheel: lean."),
  head: text("Head: drag to turn and nod. Shift or the wheel: tilt."),
  eyes: text("Eyes: drag to look."),
  mouth: text("Mouth: drag down to open it, sideways for the vowel."),
});

export class Stage {
  /** `pose` is the editor's: `get(name)`, `set(pose)`, `begin()`, `end()`, `isDriven(name)`. */
  constructor(pose) {
    Object.assign(this, { pose, said: "", problem: "" });
    this.caption = h("div.tha4-caption", { role: "status" }); // for a line of its own: over the picture it would hide the head
    this.readout = h("div.tha4-readout");
    const title = titles();
    this.zones = Object.entries(ZONES).map(([name, zone]) => this.#zone(name, zone, title[name]));
    this.head = h("div.tha4-head", {}, ...this.zones.filter(({ dataset }) => INSIDE_HEAD.includes(dataset.zone)));
    const still = this.zones.filter(({ dataset }) => !INSIDE_HEAD.includes(dataset.zone));
    this.frame = h("div.tha4-frame", {}, ...still, this.head);
    this.element = h("div.tha4-stage", { tabIndex: 0 }, this.frame, this.readout);
    this.element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.open();
  }

  /** Show a character in a pose; `moving` while it is being dragged. */
  show(character, numbers, moving) {
    if (this.view.closed) return;
    Object.assign(this, { character, said: "", problem: "" });
    this.element.dataset.resting = false;
    this.view.show(character, numbers, moving);
    this.#tell();
    this.#follow();
  }

  /** Show the head and shoulders, or all of the frame. */
  zoom(near) {
    this.element.classList.toggle("tha4-near", near);
  }

  /** Show a message above the picture, until the pose changes. */
  say(message) {
    this.said = message;
    this.#tell();
  }

  /** Disable the zones whose numbers are all driven by links. */
  disable() {
    for (const zone of this.zones) {
      const driven = names(ZONES[zone.dataset.zone]).every((name) => this.pose.isDriven(name));
      zone.classList.toggle("tha4-driven", driven);
    }
  }

  open() {
    if (this.view && !this.view.closed) return;
    this.view?.element.remove();
    this.view = new View((drawn) => this.#drawn(drawn), (why) => this.#complain(why), () => this.#tell());
    this.frame.prepend(this.view.element);
  }

  close() {
    this.view.close();
    clearTimeout(this.wheeling);
    this.wheeling = null;
  }

  /** Say above the picture whom it shows, or a message and why there is no frame; and why a newer frame is late. */
  #tell() {
    const told = [this.said, this.problem].filter(Boolean);
    const line = [...(told.length ? told : [this.character?.text]), this.view.note].filter(Boolean).join(" · ");
    if (line !== this.caption.textContent) this.caption.textContent = line; // a screen reader reads every change
    this.caption.classList.toggle("tha4-said", told.length > 0);
  }

  #complain(why) {
    this.problem = why;
    this.#tell();
  }

  #drawn({ size, moving, milliseconds, by }) {
    this.problem = "";
    this.#tell();
    const resting = !moving && !this.view.pending;
    Object.assign(this.element.dataset, { size, by, took: milliseconds.toFixed(1), resting });
  }

  #zone(name, zone, title) {
    const [left, top, width, height] = zone.box.map((percent) => `${percent}%`);
    const element = h("div.tha4-zone", { title, "data-zone": name });
    Object.assign(element.style, { left, top, width, height });
    let from = null;
    onDrag(element, {
      start: (event) => {
        if (element.classList.contains("tha4-driven")) return false;
        this.element.focus({ preventScroll: true });
        const point = zone.pad?.read((one) => this.pose.get(one));
        from = { ...place(this.frame, event), pose: this.#now(zone), point };
        element.classList.add("tha4-held");
        this.pose.begin();
        return true;
      },
      move: (event) => {
        const now = place(this.frame, event);
        this.#set(moved(zone, from, (now.x - from.x) / REACH, (from.y - now.y) / REACH, event.shiftKey));
      },
      end: () => {
        element.classList.remove("tha4-held");
        this.readout.textContent = "";
        this.pose.end();
      },
    });
    return element;
  }

  #now(zone) {
    return Object.fromEntries(names(zone).map((name) => [name, this.pose.get(name)]));
  }

  #set(wanted) {
    this.pose.set(wanted);
    const shown = Object.keys(wanted).map((name) => `${name} ${this.pose.get(name).toFixed(2)}`);
    this.readout.textContent = shown.filter((part) => !part.endsWith(" 0.00")).join("   ");
  }

  /** The wheel tilts where the editor has the focus; elsewhere it is the graph's. */
  #wheel(event) {
    const zone = event.target.closest?.("[data-zone]");
    const tilt = zone && ZONES[INSIDE_HEAD.includes(zone.dataset.zone) ? "head" : zone.dataset.zone].tilt;
    if (!tilt || !this.element.contains(document.activeElement) || event.ctrlKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!this.wheeling) this.pose.begin();
    clearTimeout(this.wheeling);
    this.wheeling = setTimeout(() => {
      this.wheeling = null;
      this.pose.end();
    }, 400);
    this.pose.set({ [tilt]: this.pose.get(tilt) - Math.sign(event.deltaY || event.deltaX) * 0.05 });
  }

  /** Move the zones of eyes and mouth along with the head. */
  #follow() {
    const [x, y] = [-this.pose.get("head_y") * 3, -this.pose.get("head_x") * 2.5];
    const angle = -(this.pose.get("neck_z") * 13 + this.pose.get("body_z") * 5);
    this.head.style.transform = `rotate(${angle}deg) translate(${x}%, ${y}%)`;
  }
}

/** The numbers that a zone changes. */
const names = (zone) => zone.pad?.names ?? [zone.across, zone.upward, zone.tilt].filter(Boolean);

/** A zone's numbers after a drag to the right and up, in whole turns. */
function moved(zone, from, right, up, shift) {
  if (zone.pad) {
    const x = Math.min(1, Math.max(-1, (from.point.x ?? 0) + right));
    const y = from.point.y + (zone.pad.downwards ? -up : up);
    return zone.pad.write({ x, y: Math.min(1, Math.max(zone.pad.low, y)) });
  }
  if (shift) return { [zone.tilt]: from.pose[zone.tilt] - right };
  const across = { [zone.across]: from.pose[zone.across] - right };
  return zone.upward ? { ...across, [zone.upward]: from.pose[zone.upward] + up } : across;
}
