// Trackers on the network: which one the server listens to for this session, and what has come from it.
import { h } from "../element.js";
import { text } from "./text.js";

// What the server understands, the port that each sends to at first, and from where: a phone that must be asked, a phone
// that sends by itself, or a program on this computer.
const PROTOCOLS = [
  ["ifacialmocap", "iFacialMocap", 49983, "asked"],
  ["facemotion3d", "Facemotion3D", 49993, "asked"],
  ["vtube_studio", "VTube Studio (iPhone)", 21412, "asked"],
  ["live_link", "Live Link Face", 11111, "phone"],
  ["openseeface", "OpenSeeFace", 11573, "here"],
  ["vmc", "VMC", 39539, "here"],
];
const ANY_ADDRESS = "0.0.0.0";

export class Trackers {
  /** `post(what, body)` asks the server for `receive` or `stop`; `onError(text)` where it does not want to. */
  constructor(post, onError) {
    Object.assign(this, { post, onError });
    const options = PROTOCOLS.map(([value, label]) => h("option", { value }, label));
    this.protocol = h("select", { "aria-label": text("Tracker"), onchange: () => this.#suggest() }, ...options);
    this.port = h("input", { type: "number", min: 1, max: 65535, "aria-label": text("Port"), title: text("Port") });
    const where = { placeholder: text("the phone's address, 192.168.…"), "aria-label": text("Address of the phone") };
    this.address = h("input", { type: "text", ...where });
    this.remote = h("input", { type: "checkbox" });
    this.remoteLabel = h("label.toggle", {}, this.remote, text("It runs on another device"));
    this.start = h("button", { type: "button", onclick: () => this.#receive() }, text("Listen"));
    this.list = h("ul.receivers");
    this.element = h(
      "details.trackers",
      {},
      h("summary", {}, text("Tracker on the network")),
      h("div.tracker", {}, this.protocol, this.port),
      this.address,
      this.remoteLabel,
      this.start,
      this.list,
    );
    this.#suggest();
  }

  /** Show the receivers of a message of the type `state`, or, for null, that there is no connection. */
  show(state) {
    const rows = state ? state.receivers.map((one) => this.#row(one)) : [h("li", {}, text("Not connected to the server."))];
    this.list.replaceChildren(...rows);
  }

  #row({ protocol, port, packets, seconds_since: since, error }) {
    const state = error ?? (packets ? text("{count} packets", { count: packets }) : text("nothing has come yet"));
    const quiet = !error && packets && since > 2 ? `, ${text("silent for {seconds} s", { seconds: Math.round(since) })}` : "";
    const stop = h("button", { type: "button", onclick: () => this.#ask("stop", { port }) }, text("Stop"));
    return h("li", {}, h("span", {}, `${protocol}, ${port}: ${state}${quiet}`), stop);
  }

  #suggest() {
    const [, , port, from] = PROTOCOLS[this.protocol.selectedIndex];
    this.port.value = port;
    this.address.hidden = from !== "asked";
    this.remoteLabel.hidden = from === "asked";
    this.remote.checked = from === "phone";
  }

  #receive() {
    const body = { protocol: this.protocol.value, port: Number(this.port.value) };
    if (!this.address.hidden) body.address = this.address.value.trim();
    else if (this.remote.checked) body.bind = ANY_ADDRESS;
    return this.#ask("receive", body);
  }

  async #ask(what, body) {
    try {
      await this.post(what, body);
    } catch (error) {
      this.onError(error.message);
    }
  }
}
