// What the server says in English, in the language of the page. It knows sentences by their English text; `{name}` in one
// is a place where a name, a number or another sentence stands, `{count}` one for a number with what is counted.

/** A function that translates a text, line by line; what `templates` (translations by English text) do not know stays. */
export function translator(templates) {
  const known = Object.entries(templates).map(([english, translated]) => ({ pattern: pattern(english), translated }));
  const translate = (sentence) => {
    for (const { pattern, translated } of known) {
      const found = pattern.exec(sentence);
      if (found) return translated.replace(/\{(\w+)\}/g, (_, name) => translate(found.groups[name]));
    }
    return sentence;
  };
  return (text) => text.split("\n").map(translate).join("\n");
}

function pattern(english) {
  const place = (name) => (name === "count" ? "(?<count>[\\d.,]+)(?: [a-z]+){0,2}" : `(?<${name}>.*?)`);
  const parts = english.split(/\{(\w+)\}/); // texts and names by turns
  return new RegExp(`^${parts.map((part, i) => (i % 2 ? place(part) : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))).join("")}$`);
}
