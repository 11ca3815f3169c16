/** How long to wait between tries, in milliseconds. */
export interface BackoffLimits {
  /** The first wait. */
  readonly first: number;
  /** No wait is longer than this, jitter aside. */
  readonly most: number;
  /** What each wait is multiplied by for the next one. */
  readonly factor: number;
  /** How far a wait strays both ways, 0 to 1, so that viewers who lost a server together do not return together. */
  readonly jitter: number;
}

/** Growing waits with jitter. Pure: the random number is an argument. */
export class Backoff {
  readonly #limits: BackoffLimits;
  #tries = 0;

  constructor(limits: BackoffLimits) {
    this.#limits = limits;
  }

  /** The tries since the last {@link reset}. */
  get tries(): number {
    return this.#tries;
  }

  /** The next wait in milliseconds; `random` is in `[0, 1)`. */
  next(random: number): number {
    const { first, most, factor, jitter } = this.#limits;
    const wait = Math.min(most, first * factor ** this.#tries);
    this.#tries += 1;
    return Math.round(wait * (1 + jitter * (2 * random - 1)));
  }

  reset(): void {
    this.#tries = 0;
  }
}
