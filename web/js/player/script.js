// The text of a Pose Sequence's script: finding and changing the times of its lines. All else of a line stays as it is.

const BREAKS = /(\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029])/; // where the server begins a new line
const TIME = /^(\s*(?:at\s+|t\s*=\s*)?(\+\s*)?|\s*(hold|wait)\s+)((?:(?:(\d{1,3}):)?(\d{1,5}):)?(\d+[.,]?\d*|[.,]\d+)(?:e[-+]?\d{1,3})?)(\s*ms\b)?/i;
const WAITS = /^\s*(hold|wait)\b/i;
const OURS = /^\s*[,;:]?\s*neutral( and |\s).*spline\s*$/;

/** The lines of a script that begin something: `{line, seconds}`, in order. `times` are the server's, by line. */
export function keysOf(script, times) {
  const lines = split(script);
  const keys = Object.entries(times).map(([line, seconds]) => ({ line: Number(line), seconds, text: lines[line - 1] ?? "" }));
  return keys.filter(({ text }) => {
    const found = readTime(text);
    return found && !found.waits && !WAITS.test(text.slice(found.end));
  });
}

/** The script with one line's time `by` seconds later, or earlier. */
export function withLater(script, line, by) {
  const parts = script.split(BREAKS);
  parts[2 * (line - 1)] = later(parts[2 * (line - 1)], by);
  return parts.join("");
}

/**
 * The script with a key at a time. A key of ours at the same frame gives way to it. What counts from the line before
 * stays at its time.
 */
export function withKey(script, times, seconds, what, frameSeconds) {
  const parts = script.split(BREAKS);
  const line = `${round(seconds, 3)} ${what}`;
  const known = Object.entries(times).map(([number, time]) => ({ part: 2 * (number - 1), time }));
  const same = known.find(({ part, time }) => Math.abs(time - seconds) < frameSeconds / 2 && isOurs(parts[part]));
  if (same) parts[same.part] = line;
  else {
    const before = known.findLast(({ time }) => time <= seconds + 1e-6);
    const next = known.find(({ part }) => part > (before?.part ?? -1));
    const found = next && readTime(parts[next.part]);
    if (found?.relative) parts[next.part] = later(parts[next.part], next.time - seconds - found.seconds);
    if (before) parts.splice(before.part + 1, 0, "\n", line);
    else parts.splice(next?.part ?? 0, 0, line, "\n");
  }
  return parts.join("");
}

/** A whole pose as a line says it, all but its time. */
export function poseAsText(pose) {
  const words = [];
  for (const [name, value] of Object.entries(pose)) {
    const [, stem, side] = /^(.*)_(left|right)$/.exec(name) ?? [];
    const isPair = side && pose[`${stem}_left`] === pose[`${stem}_right`];
    if (value && !(isPair && side === "right")) words.push(`${isPair ? stem : name}=${value}`);
  }
  return [["neutral", ...words].join(" and "), "spline"].join(" ");
}

const split = (script) => script.split(BREAKS).filter((_, index) => index % 2 === 0);

/** Full-width letters, digits and signs as the usual ones, each in its place. */
const plain = (text) => text.replace(/[！-～]/g, (one) => String.fromCharCode(one.charCodeAt(0) - 0xfee0));

/** The time at the start of a line, and where it stands there; null for a line without one. */
function readTime(text) {
  const found = TIME.exec(plain(text));
  if (!found) return null;
  const [, before, plus, waits, clock, hours, minutes, number, unit] = found;
  const scale = unit ? 1000 : 1;
  const last = Number(clock.split(":").at(-1).replace(",", "."));
  const seconds = ((Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60 + last) / scale;
  const at = { start: before.length, end: before.length + clock.length };
  const decimals = number.split(/[.,]/)[1]?.length ?? 0;
  return { ...at, seconds, scale, decimals, hours, minutes, waits: Boolean(waits), relative: Boolean(plus || waits) };
}

/** A line with its time so many seconds later, written as it was: clock, milliseconds, decimals. */
function later(text, by) {
  const { start, end, seconds, scale, decimals, hours, minutes } = readTime(text);
  const wanted = Math.max(0, seconds + by) * scale;
  return text.slice(0, start) + written(wanted, decimals, hours, minutes) + text.slice(end);
}

function written(value, decimals, hours, minutes) {
  if (minutes === undefined) return round(value, 3, decimals);
  const hour = hours === undefined ? 0 : Math.floor(value / 3600);
  const minute = Math.floor((value - hour * 3600) / 60);
  const second = round(value - hour * 3600 - minute * 60, 3, decimals).replace(/^\d(?!\d)/, "0$&");
  const minuteText = hours === undefined ? minute : String(minute).padStart(2, "0");
  return [...(hours === undefined ? [] : [hour]), minuteText, second].join(":");
}

/** A number with at most so many decimals, and at least `least`. */
function round(value, most, least = 0) {
  const short = String(Number(value.toFixed(most)));
  const fixed = value.toFixed(Math.min(least, most));
  return fixed.length > short.length ? fixed : short;
}

const isOurs = (text) => {
  const found = readTime(text);
  return found !== null && OURS.test(text.slice(found.end));
};
