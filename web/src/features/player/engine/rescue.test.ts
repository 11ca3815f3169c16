import { describe, expect, it } from 'vitest';
import { tooSlow } from './rescue';

const part = { elapsedMs: 250, loaded: 30_000, expected: 104_000, ahead: 0.8 };

describe('a part that is on its way', () => {
  it('is given up when the rest of it takes most of what can be played', () => {
    // 120 kB/s: 617 ms for the rest.
    expect(tooSlow(part)).toBe(960_000);
    expect(tooSlow({ ...part, ahead: 1.1 })).toBeNull();
  });

  it('is not judged by its first packets', () => {
    expect(tooSlow({ ...part, elapsedMs: 100 })).toBeNull();
    expect(tooSlow({ ...part, loaded: 0 })).toBeNull();
  });

  it('is waited for when nearly all of it is there, or more than was expected', () => {
    expect(tooSlow({ ...part, loaded: 100_000 })).toBeNull();
    expect(tooSlow({ ...part, loaded: 110_000, ahead: 0 })).toBeNull();
  });
});
