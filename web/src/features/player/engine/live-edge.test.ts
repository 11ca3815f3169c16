import { describe, expect, it } from 'vitest';
import { LiveEdge } from './live-edge';

describe('LiveEdge', () => {
  it('goes out only after a while behind, and comes back only when near', () => {
    const edge = new LiveEdge();
    expect(edge.handleSample(0, 3)).toBe(true);
    expect(edge.handleSample(999, 3)).toBe(true);
    expect(edge.handleSample(1000, 3)).toBe(false);
    expect(edge.handleSample(1250, 1.5)).toBe(false);
    expect(edge.handleSample(1500, 0.9)).toBe(true);
  });

  it('does not flicker around either threshold', () => {
    const edge = new LiveEdge();
    const seen = new Set<boolean>();
    for (let now = 0; now < 20_000; now += 250) seen.add(edge.handleSample(now, now % 500 ? 2.6 : 2.4));
    expect(seen).toEqual(new Set([true]));
    edge.handleSample(20_000, 9);
    edge.handleSample(21_000, 9);
    for (let now = 21_250; now < 30_000; now += 250) seen.add(edge.handleSample(now, 1.2));
    expect(seen).toEqual(new Set([true, false]));
    expect(edge.atEdge).toBe(false);
  });
});
