// Where the picture of a Load Character comes from, as far as the graph tells before it runs.
import { isLinked, origin, value } from "../graph.js";
import { text } from "../text.js";

const LOAD_IMAGE = "LoadImage";
const ALWAYS = 0;

const given = new WeakMap(); // Load Character node → the name of the picture that its last run was given

/** A Load Character has run with that picture. */
export const ranWith = (node, name) => given.set(node, name);

/** `{source}` as the server wants it, or `{problem}`, a text for people. */
export function findSource(node) {
  if (isLinked(node, "image")) return linked(node, given.get(node));
  if (isLinked(node, "file")) return { problem: text("A link chooses the file: its picture is known when the graph runs.") };
  const file = value(node, "file");
  if (file === "demo") return { source: { kind: "demo" } };
  if (file === "from the image input") return { problem: text("Connect a picture to the image input.") };
  if (file !== "from the hub") return { source: { kind: "file", name: file } };
  const [repository, name] = [value(node, "repo_id").trim(), value(node, "file_name").trim()];
  if (!repository || !name) return { problem: text("Name a repository and a file on the hub.") };
  // Where it lies once it has been fetched.
  const problem = text("The picture is fetched from the hub when the graph runs.");
  return { source: { kind: "file", name: `${repository.replace("/", "--")}/${name}` }, problem };
}

function linked(node, ran) {
  const image = origin(node, "image");
  const mask = isLinked(node, "mask") ? origin(node, "mask") : null;
  const isKnown = image?.type === LOAD_IMAGE && image.mode === ALWAYS && !isLinked(image, "image");
  if (isKnown && (mask === image || !isLinked(node, "mask"))) {
    const name = (value(image, "image") ?? "").replace(/ \[input\]$/, "");
    if (!name) return { problem: text("Choose a picture in Load Image.") };
    return { source: { kind: "input", name, opaque: !mask } };
  }
  const problem = text("Other nodes make this picture: run the graph once to see it here.");
  return ran ? { source: { kind: "run", name: ran }, problem } : { problem };
}
