import { describe, expect, it } from 'vitest';
import { forgotToLoad, rescueLevel, tooSlow } from './rescue';

const part = { elapsedMs: 250, loaded: 30_000, expected: 104_000, ahead: 0.8 };

describe('a part that is on its way', () => {
  it('is given up when the rest of it takes most of what can be played', () => {
    // 120 kB/s: 617 ms for the rest.
    expect(tooSlow(part)).toBe(960_000);
    expect(tooSlow({ ...part, ahead: 1.1 })).toBeNull();
  });

  it('is not judged by its first packets', () => {
    expect(tooSlow({ ...part, elapsedMs: 140 })).toBeNull();
    expect(tooSlow({ ...part, loaded: 0 })).toBeNull();
  });

  it('is waited for when nearly all of it is there, or more than was expected', () => {
    expect(tooSlow({ ...part, loaded: 100_000 })).toBeNull();
    expect(tooSlow({ ...part, loaded: 110_000, ahead: 0 })).toBeNull();
  });
});

describe('the picture that is changed to in a hurry', () => {
  const bitrates = [0.4e6, 0.75e6, 1.5e6, 2.7e6];

  it('is there before what can be played has ended', () => {
    expect(rescueLevel(3, bitrates, 1e6, 0.7)).toBe(0);
    expect(rescueLevel(3, bitrates, 1e6, 1.2)).toBe(1);
    expect(rescueLevel(3, bitrates, 2e6, 3)).toBe(2);
  });

  it('is the least if none is, and less than the one that was too much', () => {
    expect(rescueLevel(3, bitrates, 0.1e6, 0)).toBe(0);
    expect(rescueLevel(1, bitrates, 50e6, 20)).toBe(0);
  });
});

describe('a player that loads nothing', () => {
  const idle = { forMs: 200, available: 0.35, part: 0.333, ahead: 0.8 };

  it('has forgotten to when a part lies there', () => {
    expect(forgotToLoad(idle)).toBe(true);
  });

  it('has not when there is nothing to load, when it has been a moment, or when it has enough', () => {
    expect(forgotToLoad({ ...idle, available: 0.02, forMs: 5_000 })).toBe(false);
    expect(forgotToLoad({ ...idle, forMs: 50, available: 2 })).toBe(false);
    expect(forgotToLoad({ ...idle, available: 60, ahead: 20 })).toBe(false);
  });
});
