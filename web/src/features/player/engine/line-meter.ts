/** Milliseconds of the past that say what the line carries; the lesser of both is believed. */
const SHORT_MS = 1_000;
const LONG_MS = 3_000;
/** That many of the newest loads count, however old they are. */
const FEWEST = 2;
/** What a load takes besides its bytes: a busy page hears of the first of them late. */
const OVERHEAD_MS = 10;
/** No more loads are remembered. */
const MOST = 64;
/** Milliseconds until the first byte, before one was measured. */
const USUAL_TTFB_MS = 100;
/** How much a load says of the time until the first byte. */
const TTFB_SHARE = 0.2;

interface Load {
  readonly at: number;
  readonly ms: number;
  readonly bytes: number;
}

/**
 * What the line carries, by the parts that came in the last seconds: their bytes over the time from their first byte to their last.
 *
 * hls.js weighs loads by the time they take, from the request on: with parts that are asked for before they are there that is mostly
 * waiting, and one small part that comes in a moment after the estimate was set anew is all it knows.
 */
export class LineMeter {
  #given: number;
  #loads: Load[] = [];
  #ttfb = USUAL_TTFB_MS;

  /** Begins with bits per second that are believed until something came. */
  constructor(given: number) {
    this.#given = given;
  }

  /** Bytes came, in the milliseconds before `at`. */
  came(at: number, ms: number, bytes: number): void {
    if (bytes <= 0 || !(ms >= 0)) return;
    this.#loads.push({ at, ms, bytes });
    this.#loads = this.#loads.filter((load, index, { length }) => load.at > at - LONG_MS || index >= length - FEWEST).slice(-MOST);
  }

  /** Forgets what came. */
  begin(given: number): void {
    this.#given = given;
    this.#loads = [];
  }

  // What follows is what hls.js asks of its own.

  canEstimate(): boolean {
    return this.#loads.length > 0;
  }

  /** Bits per second. */
  getEstimate(): number {
    if (this.#loads.length === 0) return this.#given;
    return Math.min(this.#over(SHORT_MS), this.#over(LONG_MS));
  }

  get defaultEstimate(): number {
    return this.#given;
  }

  sampleTTFB(ms: number): void {
    this.#ttfb += (ms - this.#ttfb) * TTFB_SHARE;
  }

  getEstimateTTFB(): number {
    return this.#ttfb;
  }

  /** The waiting is not the line's. */
  sample(): void {}

  update(): void {}

  destroy(): void {}

  #over(window: number): number {
    const newest = this.#loads.at(-1)?.at ?? 0;
    const loads = this.#loads.filter(({ at }, index, { length }) => at > newest - window || index >= length - FEWEST);
    const bytes = loads.reduce((sum, load) => sum + load.bytes, 0);
    const ms = loads.reduce((sum, load) => sum + load.ms + OVERHEAD_MS, 0);
    return (bytes * 8_000) / ms;
  }
}
