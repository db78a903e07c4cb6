// In the audio thread: hands the microphone's samples on, some at a time. ComfyUI's page loads every module of a pack, and
// has no audio thread: there this does nothing.
const SAMPLES = 512;

if (globalThis.registerProcessor) {
  globalThis.registerProcessor(
    "tha4-microphone",
    class extends globalThis.AudioWorkletProcessor {
      samples = new Float32Array(SAMPLES);
      count = 0;

      process([[samples]]) {
        for (const sample of samples ?? []) {
          this.samples[this.count] = sample;
          this.count += 1;
          if (this.count < SAMPLES) continue;
          this.port.postMessage(this.samples.slice());
          this.count = 0;
        }
        return true;
      }
    },
  );
}
