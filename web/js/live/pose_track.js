// The poses of a recording: one a frame, at even times, whatever times they are seen at.

export class PoseTrack {
  /** At `fps` frames a second, from `start` (seconds) on, `most` frames at most. */
  constructor(fps, start, most) {
    Object.assign(this, { fps, start, most, frames: [], last: null });
  }

  get isFull() {
    return this.frames.length >= this.most;
  }

  /** Take the pose at a time. Frames since the last one lie between both. Times must not go back. */
  add(pose, time) {
    const { fps, start, last, frames } = this;
    for (let at = start + frames.length / fps; at <= time && !this.isFull; at = start + frames.length / fps) {
      const share = last && time > last.time ? (at - last.time) / (time - last.time) : 1;
      frames.push(Float32Array.from(pose, (value, i) => (last ? last.pose[i] + share * (value - last.pose[i]) : value)));
    }
    this.last = { pose, time };
  }

  /** All numbers, frame by frame. */
  values() {
    const size = this.frames[0]?.length ?? 0;
    const all = new Float32Array(this.frames.length * size);
    this.frames.forEach((frame, k) => all.set(frame, k * size));
    return all;
  }
}
