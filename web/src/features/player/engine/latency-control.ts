/** Bounds of {@link LatencyControl}. Spans are in seconds unless the name says otherwise. */
export interface LatencyLimits {
  /** Fastest playback while catching up. Above about 1.1 people hear it. */
  readonly fastest: number;
  /** Slowest playback while giving back a reserve that ran low. */
  readonly slowest: number;
  /** Farther than this behind the target is not caught up by rate but by a jump. */
  readonly jumpBehind: number;
  /** Distance from the target at which correction begins, and at which it ends. */
  readonly begin: number;
  readonly end: number;
  /** Someone who has just joined and is farther behind than this is moved up at once: no one notices yet. */
  readonly joinBehind: number;
  /** For this long one counts as having just joined. */
  readonly joinFor: number;
  /** With less than this buffered ahead, playback is never sped up. */
  readonly reserve: number;
  /** What one stall adds to the target, and the most that stalls may add altogether. */
  readonly stallStep: number;
  readonly stallMost: number;
  /** A stall's addition fades over this time of undisturbed playback. */
  readonly stallFades: number;
  /** A jump into what is not buffered waits this long, because loading may be about to get there. */
  readonly patience: number;
  /** With this much buffered ahead loading rests, so waiting for more would be in vain. */
  readonly plenty: number;
  /** Two jumps are at least this far apart, so that a player that cannot keep up still shows a picture. */
  readonly betweenJumps: number;
}

export const LATENCY_LIMITS: LatencyLimits = {
  fastest: 1.08,
  slowest: 0.95,
  jumpBehind: 4,
  begin: 0.15,
  end: 0.04,
  joinBehind: 0.3,
  joinFor: 3,
  reserve: 0.25,
  stallStep: 0.35,
  stallMost: 2,
  stallFades: 30,
  patience: 2,
  plenty: 12,
  betweenJumps: 5,
};

/** What the player sees at one moment. Spans in seconds. */
export interface LatencySample {
  /** Monotonic clock, milliseconds. */
  readonly now: number;
  /** Distance of the playhead from the live edge. */
  readonly latency: number;
  /** Where the stream asks players to be (PART-HOLD-BACK, or HOLD-BACK without parts). */
  readonly holdBack: number;
  /** Media buffered ahead of the playhead without a hole. */
  readonly ahead: number;
  /** Whether playback may change its rate here; iOS plays badly at other rates. */
  readonly canChangeRate: boolean;
}

export type LatencyAction =
  | { readonly kind: 'rate'; readonly rate: number }
  /** Seek so that the latency becomes `latency`. */
  | { readonly kind: 'jump'; readonly latency: number };

/**
 * Keeps a live player at its target: a gentle change of rate when near, a jump when far behind.
 *
 * Stalls raise the target by a bounded step that fades while playback is smooth, so a bad minute
 * never leaves a viewer behind for the rest of the evening. Pure: time and measurements are arguments.
 */
export class LatencyControl {
  readonly #limits: LatencyLimits;
  #stallAllowance = 0;
  #lastSample: number | null = null;
  #lastJump = Number.NEGATIVE_INFINITY;
  #correcting = false;
  #farBehindSince: number | null = null;
  /** The next jump does not wait for what lies between to be loaded. */
  #impatient = false;
  /** `null`: not joining; negative infinity: joining from the next sample on. */
  #joinedAt: number | null = Number.NEGATIVE_INFINITY;

  constructor(limits: LatencyLimits = LATENCY_LIMITS) {
    this.#limits = limits;
  }

  /** The latency aimed at, for a stream that asks for `holdBack`. */
  target(holdBack: number): number {
    return holdBack + this.#stallAllowance;
  }

  /** A new broadcast, or a new start into one: what was learnt of the network stays. */
  handleJoin(): void {
    this.handlePause();
    this.#joinedAt = Number.NEGATIVE_INFINITY;
  }

  /** Playback ran dry although it should have gone on. */
  handleStall(): void {
    const { stallStep, stallMost } = this.#limits;
    this.#stallAllowance = Math.min(stallMost, this.#stallAllowance + stallStep);
  }

  /** Playback is not being controlled (paused, rewound, in a gap); the fading waits too. */
  handlePause(): void {
    this.#lastSample = null;
    this.#farBehindSince = null;
    this.#correcting = false;
  }

  /** The page became visible again: being behind is then mended at once, without the wait between jumps. */
  handleVisible(): void {
    this.#lastJump = Number.NEGATIVE_INFINITY;
    this.#impatient = true;
  }

  /** Decides what to do now. To be called a few times a second while playing. */
  handleSample(sample: LatencySample): LatencyAction {
    const { now, latency, holdBack, ahead, canChangeRate } = sample;
    this.#fade(now);
    const limits = this.#limits;
    const target = this.target(holdBack);
    const behind = latency - target;

    if (this.#isJoining(now) && behind > limits.joinBehind && latency - ahead <= target - limits.reserve) {
      this.#joinedAt = null;
      return { kind: 'jump', latency: target };
    }
    const jumpBehind = canChangeRate ? limits.jumpBehind : Math.min(limits.jumpBehind, 2);
    if (behind <= jumpBehind) {
      this.#farBehindSince = null;
      this.#impatient = false;
    } else {
      this.#farBehindSince ??= now;
      const to = this.#landing(sample, target);
      if (to !== null && now - this.#lastJump >= limits.betweenJumps * 1000) {
        this.#lastJump = now;
        this.#farBehindSince = null;
        this.#impatient = false;
        this.#correcting = false;
        return { kind: 'jump', latency: to };
      }
    }
    if (!canChangeRate) return { kind: 'rate', rate: 1 };

    const distance = Math.abs(behind);
    if (this.#correcting ? distance <= limits.end : distance < limits.begin) {
      this.#correcting = false;
      return { kind: 'rate', rate: 1 };
    }
    this.#correcting = true;
    if (behind > 0) {
      // A jump brought the playhead here a moment ago, or the network gives no more: do not run dry.
      if (ahead < limits.reserve) return { kind: 'rate', rate: 1 };
      return { kind: 'rate', rate: step(Math.min(limits.fastest, 1.02 + behind * 0.06)) };
    }
    return { kind: 'rate', rate: step(Math.max(limits.slowest, 0.99 + behind * 0.06)) };
  }

  #isJoining(now: number): boolean {
    if (this.#joinedAt === Number.NEGATIVE_INFINITY) this.#joinedAt = now;
    return this.#joinedAt !== null && now - this.#joinedAt <= this.#limits.joinFor * 1000;
  }

  /** Where a jump should land, as a latency; `null` to wait for more of the way to be loaded. */
  #landing({ now, latency, ahead }: LatencySample, target: number): number | null {
    const { patience, plenty } = this.#limits;
    const endOfBuffer = latency - ahead;
    if (endOfBuffer <= target || this.#impatient) return target;
    if (ahead >= plenty) return endOfBuffer + 0.5;
    const waited = now - (this.#farBehindSince ?? now) >= patience * 1000;
    // Loading has stopped short or the network is too slow: what lies between is given up.
    return waited && ahead < 1 ? target : null;
  }

  #fade(now: number): void {
    const elapsed = this.#lastSample === null ? 0 : Math.max(0, now - this.#lastSample) / 1000;
    this.#lastSample = now;
    const { stallStep, stallFades } = this.#limits;
    // A sample far from the last one is a tab that slept, not smooth playback.
    if (elapsed < 5) {
      this.#stallAllowance = Math.max(0, this.#stallAllowance - (elapsed * stallStep) / stallFades);
    }
  }
}

/** Rounds a rate to 0.01: browsers reset their time stretcher at each change, so small ones are not worth it. */
function step(rate: number): number {
  return Math.round(rate * 100) / 100;
}
