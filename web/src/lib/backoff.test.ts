import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff';

describe('Backoff', () => {
  const limits = { first: 100, most: 500, factor: 2, jitter: 0.2 };

  it('grows up to its bound and starts again after a reset', () => {
    const backoff = new Backoff(limits);
    expect([0, 0, 0, 0, 0].map(() => backoff.next(0.5))).toEqual([100, 200, 400, 500, 500]);
    expect(backoff.tries).toBe(5);
    backoff.reset();
    expect(backoff.next(0.5)).toBe(100);
  });

  it('strays both ways by the jitter and no further', () => {
    expect(new Backoff(limits).next(0)).toBe(80);
    expect(new Backoff(limits).next(0.999999)).toBe(120);
  });
});
