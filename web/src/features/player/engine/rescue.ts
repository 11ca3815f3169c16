/** A part that is on its way. */
export interface Loading {
  /** Milliseconds since its first byte came. */
  readonly elapsedMs: number;
  /** Bytes that have come. */
  readonly loaded: number;
  /** Bytes that it will have, about. */
  readonly expected: number;
  /** Seconds that can be played until it is there. */
  readonly ahead: number;
}

/** No sooner is a line judged, in milliseconds: less is the noise of a few packets. */
const SOONEST_MS = 200;
/** Of what can be played, a part that is too large may take so much: the rest is for one that is not. */
const SHARE = 0.6;

/**
 * Whether a part should be given up for a smaller one: hls.js waits with that until the buffer is nearly empty, which is
 * right for ten seconds of it and too late for one. Answers the bits per second that came, or `null` to go on.
 */
export function tooSlow({ elapsedMs, loaded, expected, ahead }: Loading): number | null {
  if (elapsedMs < SOONEST_MS || loaded <= 0 || loaded >= expected) return null;
  const bytesPerSecond = loaded / (elapsedMs / 1000);
  const missing = (expected - loaded) / bytesPerSecond;
  return missing > ahead * SHARE ? bytesPerSecond * 8 : null;
}
