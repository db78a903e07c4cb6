// The settings, and what they say now.
import { app } from "../../../scripts/app.js";
import { library } from "./library.js";

const SIZE = "THA4.PreviewSize";
const RATE = "THA4.PreviewRate";
const CHARACTER = "THA4.DefaultCharacter";
export const DEMO = "demo";

app.registerExtension({
  name: "THA4.Settings",
  settings: [
    {
      id: SIZE,
      category: ["THA4", "Preview", "Size"],
      name: "Size while something moves",
      tooltip: "Height and width in pixels, at most: where the server is slower than the hand, smaller frames come.",
      type: "slider",
      attrs: { min: 64, max: 512, step: 32 },
      defaultValue: 256,
    },
    {
      id: RATE,
      category: ["THA4", "Preview", "Rate"],
      name: "Frames a second, at most",
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

/** The largest height and width of a frame while something moves, a multiple of 32. */
export const previewSize = () => Math.round(Math.min(512, Math.max(64, read(SIZE, 256))) / 32) * 32;

/** Frames a second, at most. */
export const previewRate = () => Math.min(60, Math.max(1, read(RATE, 30)));

/** The name of the character where the graph names none. */
export const defaultCharacter = () => read(CHARACTER, DEMO);
