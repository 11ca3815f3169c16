/** How long nothing may move before the player begins anew, in milliseconds, and at most after repeated failures. */
const FIRST_PATIENCE_MS = 10_000;
const MOST_PATIENCE_MS = 60_000;

/** What should move while a broadcast plays or loads. */
export interface Progress {
  /** Monotonic milliseconds. */
  readonly now: number;
  /** Seconds of the media timeline. */
  readonly playhead: number;
  /** End of the newest buffered media, in seconds; 0 if there is none. */
  readonly bufferedTo: number;
}

/**
 * Notices that neither the playhead nor the buffer has moved for long, whatever the cause.
 *
 * Everything that is known to happen heals by its own means and sooner; this is the net below. Each time it asks for a
 * fresh start it is twice as patient, until something moves, so that a very slow line is not kept from its first media.
 */
export class Standstill {
  #last: Progress | null = null;
  #patience = FIRST_PATIENCE_MS;

  /** Answers whether it is time to begin anew. */
  handleSample(progress: Progress): boolean {
    const last = this.#last;
    if (last === null) {
      this.#last = progress;
      return false;
    }
    if (last.playhead !== progress.playhead || last.bufferedTo !== progress.bufferedTo) {
      this.#last = progress;
      this.#patience = FIRST_PATIENCE_MS;
      return false;
    }
    if (progress.now - last.now < this.#patience) return false;
    this.#patience = Math.min(this.#patience * 2, MOST_PATIENCE_MS);
    this.#last = { ...progress };
    return true;
  }

  /** Nothing is expected to move for now: paused, hidden, offline, or the publisher is away. */
  handleRest(): void {
    this.#last = null;
  }
}
