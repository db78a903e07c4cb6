// The settings, and what they say now.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { h } from "./element.js";
import { library } from "./library.js";
import { text } from "./text.js";

const LIVE = "THA4.LivePage";
const SIZE = "THA4.PreviewSize";
const RATE = "THA4.PreviewRate";
const RENDERER = "THA4.PreviewRenderer";
const PAGE_SIZE = "THA4.PageSize";
const CHARACTER = "THA4.DefaultCharacter";
export const DEMO = "demo";

app.registerExtension({
  name: "THA4.Settings",
  settings: [
    {
      id: RENDERER,
      category: ["THA4", "Preview", "Renderer"],
      name: "Students are rendered by",
      tooltip: "auto: this page, where its browser has a GPU for it (WebGPU) that is fast enough, else the server.",
      type: "combo",
      options: ["auto", "page", "server"],
      defaultValue: "auto",
    },
    {
      id: PAGE_SIZE,
      category: ["THA4", "Preview", "Page size"],
      name: "Size of the page's frames",
      tooltip: "Height and width in pixels. While something moves they are smaller where the GPU needs it.",
      type: "slider",
      attrs: { min: 64, max: 1024, step: 32 },
      defaultValue: 512,
    },
    {
      id: LIVE,
      category: ["THA4", "Live", "Page"],
      name: "A character that answers now",
      tooltip: "The live page shows a student that follows the mouse, a microphone or a tracked face. OBS can show it.",
      type: () => h("a", { href: api.fileURL("/tha4/live"), target: "_blank", rel: "noopener" }, text("Open live page")),
      defaultValue: null,
    },
    {
      id: SIZE,
      category: ["THA4", "Preview", "Size"],
      name: "Size of the server's frames while something moves",
      tooltip: "Height and width in pixels, at most: where the server is slower than the hand, smaller frames come.",
      type: "slider",
      attrs: { min: 64, max: 512, step: 32 },
      defaultValue: 256,
    },
    {
      id: RATE,
      category: ["THA4", "Preview", "Rate"],
      name: "Frames a second of the server, at most",
      type: "slider",
      attrs: { min: 1, max: 60, step: 1 },
      defaultValue: 30,
    },
    {
      id: CHARACTER,
      category: ["THA4", "Preview", "Character"],
      name: "Character where the graph names none",
      tooltip: "A student, or the demo character.",
      type: "combo",
      options: () => [...new Set((library.now?.characters ?? [{ name: DEMO }]).map(({ name }) => name))].map((name) => ({ text: name, value: name })),
      defaultValue: DEMO,
    },
  ],
  setup: () => library.load(),
});

const read = (id, fallback) => app.extensionManager?.setting?.get(id) ?? fallback;

/** Height and width of the page's frames at rest, a multiple of 32. */
export const pageSize = () => Math.round(Math.min(1024, Math.max(64, read(PAGE_SIZE, 512))) / 32) * 32;

/** The largest height and width of a frame while something moves, a multiple of 32. */
export const previewSize = () => Math.round(Math.min(512, Math.max(64, read(SIZE, 256))) / 32) * 32;

/** Who renders students: `auto`, `page` or `server`. */
export const previewRenderer = () => read(RENDERER, "auto");

/** Frames a second, at most. */
export const previewRate = () => Math.min(60, Math.max(1, read(RATE, 30)));

/** The name of the character where the graph names none. */
export const defaultCharacter = () => read(CHARACTER, DEMO);
