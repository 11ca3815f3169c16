/** How far behind the target, in seconds, a viewer stops and starts being *live* again. */
const LEAVES_ABOVE = 2.5;
const RETURNS_BELOW = 1;
/** A viewer must be behind for this long, in milliseconds, before the badge says so. */
const LEAVES_AFTER_MS = 1_000;

/** Decides whether the LIVE badge is lit. Two thresholds and a delay keep it from flickering. */
export class LiveEdge {
  #atEdge = true;
  #behindSince: number | null = null;

  get atEdge(): boolean {
    return this.#atEdge;
  }

  /** `behind` is the latency beyond the target, in seconds; `now` a monotonic clock in milliseconds. */
  handleSample(now: number, behind: number): boolean {
    if (behind <= LEAVES_ABOVE) this.#behindSince = null;
    else this.#behindSince ??= now;
    if (this.#atEdge) {
      this.#atEdge = this.#behindSince === null || now - this.#behindSince < LEAVES_AFTER_MS;
    } else {
      this.#atEdge = behind < RETURNS_BELOW;
    }
    return this.#atEdge;
  }

  reset(): void {
    this.#atEdge = true;
    this.#behindSince = null;
  }
}
