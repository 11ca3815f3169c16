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
const SOONEST_MS = 150;
/** Of what can be played, a part that is too large may take so much: the rest is for one that is not. */
const SHARE = 0.6;
/** Seconds of a smaller picture that have to come before it can be shown: since its last keyframe, and the part at hand. */
const CATCH_UP = 1.33;
/** Seconds until its first byte comes: its playlist and its init segment are before it. */
const DETOUR = 0.15;
/** Of what the line carries, a picture may have so much. */
const CARRIED = 0.8;

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

/**
 * Which smaller picture is there before playback stands still: the best of those below `level`, best last, else the least. A player
 * goes up from there when it has something to play again.
 */
export function rescueLevel(level: number, bitrates: readonly number[], rate: number, ahead: number): number {
  const bits = rate * Math.max(0, ahead - DETOUR);
  return Math.max(0, bitrates.slice(0, level).findLastIndex((bitrate) => bitrate * CATCH_UP <= bits && bitrate <= rate * CARRIED));
}

/** No better picture is taken so soon after another change, in milliseconds: the line is not known yet, and what was changed to has to
 *  be loaded from a keyframe each time. */
export const RISE_AFTER_MS = 3_000;

/** A player that loads nothing. */
export interface Idle {
  /** Milliseconds since it loaded, appended or changed anything, or heard that there is more. */
  readonly forMs: number;
  /** Seconds of the playlist that begin where its buffer ends. */
  readonly available: number;
  /** Length of a part in seconds. */
  readonly part: number;
  /** Seconds that can be played. */
  readonly ahead: number;
}

/** Longer than it takes a player to ask for a part that was announced, in milliseconds. */
const UNDECIDED_MS = 150;
/** Who can play for so many seconds need not load. */
const ENOUGH = 3;
/** Parts that lie there: a little less than one, for pictures and sound end apart. */
const LEFT_PARTS = 0.9;

/**
 * Whether a player has forgotten to load. hls.js 1.7 does where it takes a segment for complete: its buffer ends some milliseconds
 * before the segment does, and a last part was announced while the one before was on its way, or parts were left out when it changed
 * to this picture in the middle.
 */
export function forgotToLoad({ forMs, available, part, ahead }: Idle): boolean {
  return forMs >= UNDECIDED_MS && available >= LEFT_PARTS * part && ahead < ENOUGH;
}
