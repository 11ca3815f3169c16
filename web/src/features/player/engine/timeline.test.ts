import { describe, expect, it } from 'vitest';
import { endOfGap, endsInGap, type Piece, type Playlist } from './timeline';

const segment = (start: number, gap = false): Piece => ({ start, end: start + 4, gap });
const part = (start: number, gap = false): Piece => ({ start, end: start + 1, gap });
const playlist = (fragments: Piece[], partList: Piece[] | null = null): Playlist => ({
  fragments,
  partList,
  edge: partList?.at(-1)?.end ?? fragments.at(-1)?.end ?? 0,
});

describe('endsInGap', () => {
  it('looks at the newest part first, then at the newest segment', () => {
    expect(endsInGap(playlist([segment(0)]))).toBe(false);
    expect(endsInGap(playlist([segment(0), segment(4, true)]))).toBe(true);
    expect(endsInGap(playlist([segment(0)], [part(4), part(5, true)]))).toBe(true);
    expect(endsInGap(playlist([segment(0, true)], [part(4)]))).toBe(false);
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
    expect(endOfGap(playlist([segment(0), segment(4, true)], [part(8)]), 5)).toBe(8);
  });

  it('is unknown while the gap goes on, and absent outside of gaps', () => {
    expect(endOfGap(playlist([segment(0), segment(4, true)]), 5)).toBeNull();
    expect(endOfGap(playlist([segment(0), segment(4, true), segment(8)]), 1)).toBeNull();
    expect(endOfGap(playlist([segment(0), segment(4)]), 3)).toBeNull();
  });
});
