/** A stretch of media time, in seconds. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Rounding leaves the playhead up to this far before the range it plays, in seconds. */
const TOLERANCE = 0.1;

export function spansOf(ranges: TimeRanges): readonly Span[] {
  return Array.from({ length: ranges.length }, (_, index) => ({ start: ranges.start(index), end: ranges.end(index) }));
}

/** How much lies ahead of `time` without a hole, in seconds. */
export function aheadOf(spans: readonly Span[], time: number): number {
  const span = spans.find(({ start, end }) => start <= time + TOLERANCE && time < end);
  return span === undefined ? 0 : span.end - time;
}

/**
 * Where to go from a hole at `time`: into the next stretch of at least `least` seconds, as near to `wanted` as it
 * reaches. `null` if there is none.
 */
export function wayOut(spans: readonly Span[], time: number, wanted: number, least = 0.3): number | null {
  const next = spans.find(({ start, end }) => start > time && end - start >= least);
  if (next === undefined) return null;
  return Math.max(next.start + 0.01, Math.min(wanted, next.end - least));
}
