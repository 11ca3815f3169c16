import { describe, expect, it } from 'vitest';
import { endOfGap, endsInGap, joinPosition, type Piece, type Playlist, type PlaylistPart } from './timeline';

const segment = (start: number, gap = false): Piece => ({ start, end: start + 4, gap });
const part = (start: number, independent = false, gap = false): PlaylistPart => ({
  start,
  end: start + 1,
  independent,
  gap,
});
const playlist = (fragments: Piece[], partList: PlaylistPart[] | null = null): Playlist => ({
  fragments,
  partList,
  edge: partList?.at(-1)?.end ?? fragments.at(-1)?.end ?? 0,
});

describe('endsInGap', () => {
  it('looks at the newest part first, then at the newest segment', () => {
    expect(endsInGap(playlist([segment(0)]))).toBe(false);
    expect(endsInGap(playlist([segment(0), segment(4, true)]))).toBe(true);
    expect(endsInGap(playlist([segment(0)], [part(4), part(5, false, true)]))).toBe(true);
    expect(endsInGap(playlist([segment(0, true)], [part(4, true)]))).toBe(false);
    expect(endsInGap(playlist([]))).toBe(false);
  });
});

describe('endOfGap', () => {
  it('is the start of the media after the gap', () => {
    const resumed = playlist([segment(0), segment(4, true), segment(8, true), segment(12)]);
    expect(endOfGap(resumed, 4)).toBe(12);
    expect(endOfGap(resumed, 9)).toBe(12);
    expect(endOfGap(resumed, 3.9)).toBe(12);
  });

  it('counts the parts of the segment that is still growing', () => {
    expect(endOfGap(playlist([segment(0), segment(4, true)], [part(8, true)]), 5)).toBe(8);
  });

  it('is unknown while the gap goes on, and absent outside of gaps', () => {
    expect(endOfGap(playlist([segment(0), segment(4, true)]), 5)).toBeNull();
    expect(endOfGap(playlist([segment(0), segment(4, true), segment(8)]), 1)).toBeNull();
    expect(endOfGap(playlist([segment(0), segment(4)]), 3)).toBeNull();
  });
});

describe('joinPosition', () => {
  it('leaves ordinary streams alone', () => {
    expect(joinPosition(playlist([segment(0)]), 3)).toBeNull();
    const everySegment = playlist([segment(0)], [part(4, true), part(5), part(6)]);
    expect(joinPosition(everySegment, 6.5)).toBeNull();
    const closed = playlist([segment(0), segment(4)], [part(4, true), part(5), part(6), part(7)]);
    expect(joinPosition(closed, 6.5)).toBeNull();
  });

  it('goes back to the last keyframe when segments do not start with one', () => {
    const sparse = playlist(
      [segment(0), segment(4), segment(8)],
      [part(4), part(5, true), part(6), part(7), part(8), part(9), part(10), part(11), part(12)],
    );
    expect(joinPosition(sparse, 11)).toBe(5);
  });

  it('never starts in a gap', () => {
    const gap = playlist([segment(0), segment(4)], [part(4, true), part(6, true, true), part(8), part(9)]);
    expect(joinPosition(gap, 9)).toBe(4);
  });
});
