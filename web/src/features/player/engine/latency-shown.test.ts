import { describe, expect, it } from 'vitest';
import { latencyShown } from './latency-shown';

describe('latencyShown', () => {
  it('is the age of the picture where the clocks agree', () => {
    expect(latencyShown(1, 10_000, 11_400)).toBeCloseTo(1.4);
  });

  it.each([
    ['there are no times in the playlist', null],
    ["the viewer's clock is behind", 12_000],
    ["the viewer's clock is ahead", 2_000],
  ])('is the distance from the live edge when %s', (_name, pictureTime) => {
    expect(latencyShown(1, pictureTime, 11_400)).toBe(1);
  });
});
