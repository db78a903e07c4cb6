// What the user has chosen on the live page: remembered by the browser, and all of it can be in a URL.

/** Names and what they are at first. The type of a default is the type of the option. */
export const OPTIONS = {
  student: "demo",
  session: "main",
  mouse: true,
  microphone: false,
  webcam: false,
  camera: "", // its device id; empty: any
  preview: true, // show what the camera sees
  recordFps: 30, // frames a second of a recording
  share: false, // send what drives this page to the other pages of the session
  background: "color", // one of BACKGROUNDS
  color: "#22262e",
  picture: "", // a file of ComfyUI's input folder
  crop: "all", // one of CROPS
  scale: 1,
  x: 0, // in heights of the window, to the right
  y: 0,
  size: 512, // pixels of a frame, at most
  fps: 60, // frames a second, at most
  renderer: "auto", // one of RENDERERS
  mirror: false,
  smoothing: 0.5,
  idle: 1,
  head: 1,
  body: 1,
  mouth: 1,
  recentre: 120, // seconds; 0: never
  silence: -50, // decibels: what is quieter is no speech
  sound: true, // play what is said
  controls: true,
  language: "",
  keys: null, // keys of expressions, {name: key}; null: those that come with the page
  neutral: null, // the calibrated face
};

export const BACKGROUNDS = ["none", "green", "color", "picture"];
export const CROPS = ["all", "bust", "face"];
export const RENDERERS = ["auto", "page", "server"];

const CHOICES = { background: BACKGROUNDS, crop: CROPS, renderer: RENDERERS };
const RANGES = {
  scale: [0.2, 4], x: [-2, 2], y: [-2, 2], size: [64, 1024], fps: [1, 120], smoothing: [0, 1], idle: [0, 1], head: [0, 2],
  body: [0, 2], mouth: [0, 2], recentre: [0, 3600], silence: [-90, 0], recordFps: [1, 120],
}; // prettier-ignore
const PATTERNS = { session: /^[A-Za-z0-9_-]{1,64}$/, color: /^#[0-9a-f]{6}$/i, student: /^.{1,300}$/s, picture: /^.{0,300}$/s, camera: /^.{0,300}$/s };
const STORED = "tha4.live";
// What an OBS source has no hand and no permission for.
const WITHOUT_HANDS = { controls: false, background: "none", mouse: false, microphone: false, webcam: false, share: false };

/** The options: those at first, over them what `storage` remembers, over them what the URL's query says. */
export function readOptions(query, storage) {
  return { ...OPTIONS, ...checked(stored(storage)), ...checked(fromQuery(query)) };
}

/** Have the browser remember the options. A browser that does not want to is no error. */
export function storeOptions(options, storage) {
  try {
    storage.setItem(STORED, JSON.stringify(options));
  } catch (error) {
    console.warn(`THA4: this browser does not remember the settings. ${error.message}`);
  }
}

/** A query that says what differs from the options at first. */
export function toQuery(options) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(OPTIONS, name) || JSON.stringify(value) === JSON.stringify(OPTIONS[name])) continue;
    if (typeof value === "boolean") query.set(name, value ? "1" : "0");
    else query.set(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  return query;
}

/** The query of a page without controls for OBS, on a transparent background, which hears the session alone. */
export const obsQuery = (options) => toQuery({ ...options, ...WITHOUT_HANDS, neutral: shortened(options.neutral) });

function stored(storage) {
  try {
    return JSON.parse(storage.getItem(STORED)) ?? {};
  } catch {
    return {}; // nothing to remember, or not ours
  }
}

function fromQuery(query) {
  const found = {};
  for (const [name, value] of query) {
    if (!Object.hasOwn(OPTIONS, name)) continue;
    if (typeof OPTIONS[name] === "boolean") found[name] = value === "1" || value === "true";
    else if (typeof OPTIONS[name] === "string") found[name] = value;
    else found[name] = parsed(value);
  }
  return found;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Those that are what they must be. */
function checked(options) {
  const known = Object.entries(options).filter(([name, value]) => Object.hasOwn(OPTIONS, name) && isValid(name, value));
  return Object.fromEntries(known);
}

function isValid(name, value) {
  if (CHOICES[name]) return CHOICES[name].includes(value);
  if (RANGES[name]) return Number.isFinite(value) && value >= RANGES[name][0] && value <= RANGES[name][1];
  if (PATTERNS[name]) return typeof value === "string" && PATTERNS[name].test(value);
  if (OPTIONS[name] === null) return value === null || typeof value === "object";
  return typeof value === typeof OPTIONS[name];
}

/** The neutral face with as many digits as matter, so that a URL can hold it. */
function shortened(neutral) {
  if (!neutral) return null;
  const rounded = (value) => Math.round(value * 100) / 100;
  const shapes = Object.entries(neutral.shapes ?? {}).filter(([, value]) => value >= 0.02);
  return {
    shapes: Object.fromEntries(shapes.map(([name, value]) => [name, rounded(value)])),
    angles: (neutral.angles ?? [0, 0, 0]).map(rounded),
  };
}

/** The engine's settings that the options mean. */
export const engineSettings = (options) => ({
  mirror: options.mirror,
  idle: options.idle,
  smoothing: options.smoothing,
  headAmount: options.head,
  bodyAmount: options.body,
  mouthAmount: options.mouth,
  recentreSeconds: options.recentre,
});
