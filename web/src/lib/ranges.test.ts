import { describe, expect, it } from 'vitest';
import { aheadOf, wayOut } from './ranges';

const spans = [
  { start: 10, end: 12 },
  { start: 16, end: 16.2 },
  { start: 20, end: 24 },
];

describe('ranges', () => {
  it.each([
    [11, 1],
    [9.95, 2.05],
    [12, 0],
    [14, 0],
  ])('know what lies ahead of %d', (time, ahead) => expect(aheadOf(spans, time)).toBeCloseTo(ahead));

  it('lead out of a hole to where the viewer wants to be, or as near as can be', () => {
    expect(wayOut(spans, 13, 22)).toBe(22);
    expect(wayOut(spans, 13, 30)).toBeCloseTo(23.7);
    expect(wayOut(spans, 13, 5)).toBeCloseTo(20.01);
    expect(wayOut(spans, 25, 30)).toBeNull();
  });
});
