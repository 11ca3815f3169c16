import type { Quality } from './source';

/** What a person wants of the picture, whatever qualities a broadcast has: a number is lines of the picture. */
export type Wish = 'auto' | 'source' | 'audio' | number;

/** Lines that a person who saves data is shown at most, unless they choose otherwise. */
export const SAVER_LINES = 480;
/** Bits per second that a line is believed to carry, before one was measured. */
const UNKNOWN_LINE = 5_000_000;
/** What browsers say of a line is rounded up, and other things use it too. */
const TRUST = 0.8;
/** Browsers say no more than this, however fast the line is. */
const MOST_TOLD = 10_000_000;

/** What a choice in the menu means for other broadcasts. */
export function wishOf(quality: Quality): Wish {
  if (quality.id === 'auto' || quality.id === 'audio') return quality.id;
  return quality.source || quality.height === null ? 'source' : quality.height;
}

/** A picture that can be had. */
interface Picture {
  readonly height: number;
  readonly source: boolean;
}

/** Which of the pictures, best last, is what was wished for; `null` where the player picks. */
export function pictureFor(wish: Wish, pictures: readonly Picture[]): number | null {
  if (wish === 'auto' || wish === 'audio' || pictures.length < 2) return null;
  if (wish === 'source') return pictures.findIndex((picture) => picture.source);
  // The best that is not more than what was wished; the least there is, if all are.
  return Math.max(0, pictures.findLastIndex((picture) => picture.height > 0 && picture.height <= wish));
}

/** The best picture, best last, that is picked for somebody who saves data. */
export function saverCap(pictures: readonly Picture[]): number {
  return Math.max(0, pictures.findLastIndex((picture) => picture.height > 0 && picture.height <= SAVER_LINES));
}

/** Bits per second to begin with: what was measured the last time, else what the browser knows of the line. */
export function firstEstimate(measured: number | null, toldMbits: number | undefined): number {
  if (measured !== null) return measured;
  const told = toldMbits === undefined ? 0 : toldMbits * 1e6;
  if (told <= 0) return UNKNOWN_LINE;
  return told >= MOST_TOLD ? MOST_TOLD : told * TRUST;
}
