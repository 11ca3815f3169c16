/** Time as the engine sees it, so that tests turn the hands. */
export interface Clock {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Runs `work` once after `ms` milliseconds; the answer calls it off. */
  readonly after: (ms: number, work: () => void) => () => void;
}
