// The frames of the live page: as many as the screen and the user want, as large as the GPU holds, none that looks the same.

const SIZES = [64, 128, 192, 256, 384, 512, 768, 1024];
// A frame that differs less from the last in every number cannot be told from it.
const SAME = 0.002;
// A frame may begin so many milliseconds early: the screen's own frames do not come at even times.
const EARLY = 3;
// So many frames in a row must be fast before the next is larger.
const PATIENCE = 10;
const RATE_SECONDS = 1;

export class Loop {
  /**
   * `engine` says the pose at a time; `limits()` returns `{fps, size}`; `onFrame({size, milliseconds, rate, pose})` comes after
   * each frame, `onError(error)` where there is none.
   */
  constructor(engine, limits, onFrame, onError) {
    Object.assign(this, { engine, limits, onFrame, onError, figure: null, drawn: null, busy: false, begun: 0 });
    Object.assign(this, { step: SIZES.indexOf(256), fastFrames: 0, frames: [] });
    const tick = (now) => {
      this.#tick(now);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /** Draw with this figure from now on; null: nothing. */
  use(figure) {
    Object.assign(this, { figure, drawn: null, busy: false });
  }

  /** Draw once more, even if the pose stays. */
  redraw() {
    this.drawn = null;
  }

  #tick(now) {
    const pose = this.engine.pose(performance.now() / 1000);
    const { fps, size } = this.limits();
    if (!this.figure || this.busy || now - this.begun < 1000 / fps - EARLY) return;
    const side = Math.min(SIZES[this.step], whole(size));
    if (this.#looksTheSame(pose, side)) return;
    this.begun = now;
    this.#draw(pose, side, size);
  }

  async #draw(pose, side, size) {
    const { figure } = this;
    this.busy = true;
    try {
      const milliseconds = await figure.draw(pose, side);
      if (this.figure !== figure) return;
      this.drawn = { pose, side };
      this.#pace(milliseconds, size);
      this.onFrame({ size: side, milliseconds, rate: this.#rate(), pose });
    } catch (error) {
      if (this.figure === figure) this.onError(error);
    } finally {
      if (this.figure === figure) this.busy = false;
    }
  }

  #looksTheSame(pose, side) {
    return this.drawn?.side === side && pose.every((value, i) => Math.abs(value - this.drawn.pose[i]) < SAME);
  }

  #pace(milliseconds, size) {
    const [slow, fast] = this.figure.pace;
    this.fastFrames = milliseconds < fast ? this.fastFrames + 1 : 0;
    if (milliseconds > slow && this.step > 0) this.step -= 1;
    else if (this.fastFrames >= PATIENCE && this.step < SIZES.length - 1 && SIZES[this.step] < size) {
      this.step += 1;
      this.fastFrames = 0;
    }
  }

  /** Frames in the last second. */
  #rate() {
    const now = performance.now();
    this.frames.push(now);
    while (this.frames[0] < now - RATE_SECONDS * 1000) this.frames.shift();
    return this.frames.length / RATE_SECONDS;
  }
}

/** The size of a frame that has at least so many pixels. */
const whole = (pixels) => Math.max(SIZES[0], Math.ceil(pixels / 32) * 32);
