// The sound of a recording: what the microphone hears and what is said, in one track.

const PATIENCE = 1000; // milliseconds

export class SoundRecorder {
  constructor() {
    Object.assign(this, { context: null, recorder: null, sources: new WeakMap() });
  }

  /** Begin. Resolves when the sound runs, or soon where there is nothing that could play it. */
  async start() {
    this.context ??= new AudioContext();
    this.target = this.context.createMediaStreamDestination();
    this.isHeard = false;
    // Without any source a recorder does not even begin; with silence it records pauses, too.
    this.silence = this.context.createConstantSource();
    this.silence.offset.value = 0;
    this.silence.connect(this.target);
    this.silence.start();
    const recorder = new MediaRecorder(this.target.stream);
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    this.content = new Promise((resolve) => {
      recorder.onstop = () => resolve(new Blob(parts, { type: recorder.mimeType }));
    });
    const started = new Promise((resolve) => (recorder.onstart = resolve));
    this.recorder = recorder;
    recorder.start();
    const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));
    await Promise.race([Promise.all([this.context.resume(), started]), late]);
  }

  /** Record a microphone's stream or an audio element too, while a recording runs. */
  add(sound) {
    if (!this.recorder) return;
    const isStream = sound instanceof MediaStream;
    if (!this.sources.has(sound)) {
      const source = isStream ? this.context.createMediaStreamSource(sound) : this.context.createMediaElementSource(sound);
      if (!isStream) source.connect(this.context.destination); // from now on it is heard through the context alone
      this.sources.set(sound, source);
    }
    this.sources.get(sound).connect(this.target);
    this.isHeard = true;
  }

  /** End. Resolves with the sound, or null where there was none to record. */
  async stop() {
    const { recorder, content, isHeard } = this;
    this.recorder = null;
    recorder.stop();
    const sound = await content;
    this.silence.stop();
    return isHeard && sound.size ? sound : null;
  }
}
