/** What the decisions below need of a media playlist; hls.js's `LevelDetails` fits. Times in seconds of the media timeline. */
export interface Playlist {
  readonly fragments: readonly Piece[];
  readonly partList: readonly Piece[] | null;
  /** End of the newest listed media. */
  readonly edge: number;
}

export interface Piece {
  readonly start: number;
  readonly end: number;
  /** EXT-X-GAP. hls.js leaves it out where it is not set. */
  readonly gap?: boolean | undefined;
}

/** Whether the newest media is a gap: the publisher is away and the server fills the time. */
export function endsInGap(playlist: Playlist): boolean {
  return newest(playlist)?.gap === true;
}

/**
 * Where media begins again after the gap that holds `position`, or `null` if it lies in no gap or the gap has no end yet.
 *
 * hls.js waits at a hole that EXT-X-GAP made unless the next range is near; the player uses this to go on.
 */
export function endOfGap(playlist: Playlist, position: number): number | null {
  const pieces = timelineOf(playlist);
  let index = pieces.findIndex((piece) => piece.gap === true && position < piece.end + TOLERANCE);
  if (index === -1 || (pieces[index]?.start ?? 0) > position + TOLERANCE) return null;
  while (pieces[index]?.gap) index += 1;
  return pieces[index]?.start ?? null;
}

/** Rounding of durations in a playlist leaves neighbours up to this far apart, in seconds. */
const TOLERANCE = 0.3;
const EPSILON = 0.001;

function newest(playlist: Playlist): Piece | undefined {
  const fragment = playlist.fragments.at(-1);
  const part = playlist.partList?.at(-1);
  if (part !== undefined && (fragment === undefined || part.end > fragment.end - EPSILON)) return part;
  return fragment;
}

/** Segments, then the parts of the segment that is still growing. */
function timelineOf(playlist: Playlist): Piece[] {
  const end = playlist.fragments.at(-1)?.end ?? 0;
  const growing = playlist.partList?.filter((part) => part.start > end - EPSILON) ?? [];
  return [...playlist.fragments, ...growing];
}
