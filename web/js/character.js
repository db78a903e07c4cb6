// Which character a node's poses are for: what the graph renders them with.
import { findSource } from "./fit/source.js";
import { isLinked, origin, renderInput, renderNodes, value } from "./graph.js";
import { library } from "./library.js";
import { DEMO, defaultCharacter } from "./settings.js";
import { missing, text } from "./text.js";

const FROM_HUB = "from the hub";
const DEMO_RIG = "demo rig";
const RIG = { kind: "rig", name: DEMO };

/**
 * The character to preview for a node, `{kind, name, found, text}`: what the graph renders the node's poses with where
 * that can be seen (`found`), else the one of the settings. `text` says which it is, for people. One that has no
 * student yet is of the kind `teacher`, with `source` and `place` as Load Character has them and `teacher` as Load
 * Teacher; without such a teacher it is of the kind `picture`. One whose file the server does not have is of the kind
 * `missing`.
 */
export function findCharacter(node) {
  const nodes = renderNodes(node);
  const reached = nodes.map((render) => characterOf(origin(render, renderInput(render)), render)).filter(Boolean);
  const known = reached.find(isKnown);
  if (known) return { ...known, found: true, text: known.name };
  const own = reached.find(({ kind }) => kind === "teacher") ?? reached.find(({ kind }) => kind === "picture");
  if (own) return { ...own, found: true, text: `${own.name} (${own.missing})` };
  const lacking = reached.find(({ kind }) => kind === "missing");
  if (lacking) return { ...lacking, found: true };
  const fallback = byName(defaultCharacter());
  const why = nodes.length ? (reached.find(({ why }) => why)?.why ?? text("this graph's character has no student yet")) : text("no render node is connected");
  return { ...fallback, found: false, text: `${fallback.name} (${why})` };
}

/** The character that a node gives to another, which may have a teacher, as far as it can be told from the graph. */
function characterOf(source, user) {
  if (source?.type === "THA4LoadStudent") return ofStudent(source);
  if (source?.type === "THA4LoadCharacter") return ofPicture(source, user);
  if (source?.type !== "THA4DistillStudent") return null;
  const trained = { kind: "student", name: `${value(source, "name")}.safetensors` };
  return isKnown(trained) ? trained : characterOf(origin(source, "character"), source);
}

/** The student of a Load Student: one that the server has, or that it lacks. */
function ofStudent(node) {
  const student = { kind: "student", name: studentName(node) };
  if (isKnown(student) || !library.now || isLinked(node, "student")) return student;
  if (value(node, "student") === FROM_HUB) return { ...student, why: text("the student is fetched from the hub when the graph runs") };
  return { kind: "missing", name: student.name, text: missing({ name: student.name, folder: "models/tha4/students" }) };
}

/** The character of a Load Character: the demo's student, or the picture with the teacher that animates it. */
function ofPicture(node, user) {
  const { source } = findSource(node);
  if (!source) return null;
  if (source.kind === "demo") return byName(DEMO);
  const place = { fit: isLinked(node, "fit") ? "auto" : value(node, "fit"), scale: value(node, "scale") };
  Object.assign(place, { offset_x: value(node, "offset_x"), offset_y: value(node, "offset_y") });
  const name = source.kind === "run" ? text("character") : source.name.replace(/^input\//, "");
  return { ...ofTeacher(origin(user, "teacher")), name, source, place };
}

/** What animates a picture: `{kind, teacher}`, and what is `missing` for a student, or for that. */
function ofTeacher(node) {
  const isSeen = node?.type === "THA4LoadTeacher" && !isLinked(node, "teacher") && !isLinked(node, "precision");
  if (!isSeen) return { kind: "picture", missing: text("no student and no Load Teacher yet: this is her picture") };
  const teacher = { teacher: value(node, "teacher"), precision: value(node, "precision") };
  if (teacher.teacher !== DEMO_RIG) return { kind: "teacher", teacher, missing: text("no student yet: by the teacher") };
  return { kind: "picture", missing: text("the demo rig moves the demo character alone: this is her picture") };
}

function studentName(node) {
  const name = value(node, "student");
  if (name !== FROM_HUB) return name;
  // Where a file from the hub lies once it has been fetched.
  const revision = value(node, "revision").trim() || "main";
  const repository = value(node, "repo_id").trim() + (revision === "main" ? "" : `@${revision}`);
  return `${repository.replaceAll("/", "--")}/${value(node, "file_name").trim()}`;
}

const known = () => library.now?.characters ?? [RIG];
const isKnown = ({ kind, name }) => known().some((one) => one.kind === kind && one.name === name);
// Of two of one name the student: it is faster than the rig.
const byName = (name) => known().findLast((one) => one.name === name) ?? RIG;
