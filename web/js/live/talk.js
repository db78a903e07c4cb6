// A mouth that speaks, over whatever else the mouth does: live from a microphone, or along a track of lip sync.

// Live speech that is not followed by more is over after so many seconds.
const SPEECH_SECONDS = 0.15;
const SPEECH_FADE = 0.1;

export class Talk {
  /** `index` has a parameter's place by its name; `vowels` are the places of the mouth shapes of speech. */
  constructor(index, vowels) {
    Object.assign(this, { index, vowels, spoken: new Float64Array(index.size), spokenAt: -Infinity, track: null });
  }

  /** How far a pose's mouth is speaking, 0..1. */
  share(pose) {
    return Math.min(1, this.vowels.reduce((sum, i) => sum + pose[i], 0));
  }

  /** The mouth now, by names. */
  speech(mouth, time) {
    this.spoken.fill(0);
    for (const [name, value] of Object.entries(mouth ?? {})) {
      if (this.index.has(name)) this.spoken[this.index.get(name)] = number(value);
    }
    this.spokenAt = time;
  }

  /** A track `{fps, names, values}` from `time` on, one row of values a frame; null stops it. */
  say(track, time) {
    const isTrack = track && track.fps > 0 && Array.isArray(track.names) && track.values?.length > 0;
    this.track = isTrack ? { ...track, start: time } : null;
  }

  /** Put speech over a pose: vowels take the place of others as far as they are spoken; nods and brows are added. */
  over(pose, time, amount) {
    const age = time - this.spokenAt - SPEECH_SECONDS;
    const live = amount * Math.min(1, Math.max(0, 1 - age / SPEECH_FADE));
    if (live > 0) this.#add(pose, this.spoken.map((value) => value * live));
    const said = this.#said(time);
    if (said) this.#add(pose, said);
  }

  #add(pose, speech) {
    const left = 1 - this.share(speech);
    for (const i of this.vowels) pose[i] *= left;
    for (let i = 0; i < pose.length; i += 1) pose[i] += speech[i];
  }

  /** The track's frame at a time, between its two neighbours; null where it is over. */
  #said(time) {
    if (!this.track) return null;
    const { fps, names, values, start } = this.track;
    const at = Math.max(0, (time - start) * fps);
    if (at > values.length) {
      this.track = null;
      return null;
    }
    const row = Math.floor(at);
    const [now, next] = [values[row] ?? [], values[row + 1] ?? []];
    const speech = new Float64Array(this.index.size);
    names.forEach((name, column) => {
      const i = this.index.get(name);
      const [a, b] = [number(now[column]), number(next[column])];
      if (i !== undefined) speech[i] = a + (b - a) * (at - row);
    });
    return speech;
  }
}

/** A number within ±1; 0 for what is none. */
const number = (value) => (Number.isFinite(value) ? Math.min(1, Math.max(-1, value)) : 0);
