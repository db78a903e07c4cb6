// Numbers that look random and are the same for the same seed and name.

/** Makes a function that returns the next number in 0..1. */
export function randomStream(seed, name) {
  let state = hash(`${seed} ${name}`);
  return () => {
    // mulberry32 (Tommy Ettinger, public domain)
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** FNV-1a, 32 bits. */
const hash = (text) => [...text].reduce((value, letter) => Math.imul(value ^ letter.codePointAt(0), 0x01000193), 0x811c9dc5);
