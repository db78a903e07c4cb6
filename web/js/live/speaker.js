// What is said: its sound, and the mouth in step with it.

export class Speaker {
  /**
   * `onTrack(track, start)` gets the track and when its sound has begun (seconds), and null when it ends; `onBlocked()` is
   * called where the browser wants a click before it plays, and `onAudio(audio)` with every sound before it is played.
   */
  constructor(onTrack, onBlocked, onAudio) {
    Object.assign(this, { onTrack, onBlocked, onAudio, audio: null });
  }

  /** The sound that is being played, or null. */
  get playing() {
    return this.audio && !this.audio.ended ? this.audio : null;
  }

  /** Say a message of the type `say`; without `sound` the mouth moves alone. */
  say({ id, track, audio }, sound) {
    this.stop();
    if (id == null || !track) return;
    if (!audio || !sound) return this.onTrack(track, performance.now() / 1000);
    this.#play(track, new URL(audio.replace(/^\/tha4\//, ""), document.baseURI).href);
  }

  /** Be silent. */
  stop() {
    this.audio?.pause();
    this.audio = null;
    this.onTrack(null, 0);
  }

  async #play(track, url) {
    const audio = new Audio(url);
    this.audio = audio;
    this.onAudio(audio);
    // The sound may start late, or wait for its next part: the mouth keeps to what is heard.
    const follow = () => this.audio === audio && this.onTrack(track, performance.now() / 1000 - audio.currentTime);
    audio.addEventListener("playing", follow);
    audio.addEventListener("waiting", () => this.audio === audio && this.onTrack(null, 0));
    try {
      await audio.play();
    } catch (error) {
      if (this.audio !== audio) return;
      if (error.name === "NotAllowedError") this.onBlocked();
      this.onTrack(track, performance.now() / 1000);
    }
  }
}
