// Input: counter samples. Output: rates over a sliding window, and the remaining time.

/** One sample of a counter pair: time in ms of a monotonic clock, units, bytes. */
interface Look {
  readonly ms: number;
  readonly done: number;
  readonly bytes: number;
}

/** Rate of a counter over the last `windowMs`. */
export class Rate {
  private looks: Look[] = [];
  private readonly windowMs: number;

  constructor(windowMs = 8000) {
    this.windowMs = windowMs;
  }

  /** Adds a sample. A counter that decreases, because a server lost its work, resets the window. */
  look(ms: number, done: number, bytes: number): void {
    const last = this.looks.at(-1);
    if (last !== undefined && (done < last.done || bytes < last.bytes || ms < last.ms)) this.looks = [];
    if (last !== undefined && ms === last.ms) this.looks.pop();
    this.looks.push({ ms, done, bytes });
    // The last sample before the window stays, so that a window always has two ends.
    while (this.looks.length > 2 && this.looks[1]!.ms < ms - this.windowMs) this.looks.shift();
  }

  /** Units per second; 0 before two samples at least 200 ms apart. */
  get perSecond(): number {
    return this.slope((look) => look.done);
  }

  /** Bytes per second. */
  get bytesPerSecond(): number {
    return this.slope((look) => look.bytes);
  }

  /** Seconds until `total` units are done at the current rate; null when the rate is 0. */
  secondsLeft(total: number): number | null {
    const last = this.looks.at(-1);
    const rate = this.perSecond;
    return last === undefined || rate <= 0 ? null : Math.max(0, total - last.done) / rate;
  }

  private slope(of: (look: Look) => number): number {
    const first = this.looks[0];
    const last = this.looks.at(-1);
    if (first === undefined || last === undefined || last.ms - first.ms < 200) return 0;
    return ((of(last) - of(first)) * 1000) / (last.ms - first.ms);
  }
}
