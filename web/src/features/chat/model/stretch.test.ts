import { describe, expect, it } from 'vitest';
import { offsetsOf, rowAt, stretchOf } from './stretch';

const keys = Array.from({ length: 10_000 }, (_, n) => `k${n}`);

describe('stretchOf', () => {
  it('draws what shows and a little more, whatever the heights', () => {
    const heights = new Map(keys.map((key, n) => [key, 20 + (n % 7) * 10]));
    const offsets = offsetsOf(keys, heights, 30);
    const total = offsets[keys.length] ?? 0;
    for (const top of [0, 1, 999, 123_456, total - 600]) {
      const { first, end, before, after } = stretchOf(offsets, top, 600, 200);
      expect(before).toBeLessThanOrEqual(Math.max(0, top - 200));
      expect(total - after).toBeGreaterThanOrEqual(Math.min(total, top + 800));
      expect(end - first).toBeLessThan(60);
      const drawn = keys.slice(first, end).reduce((sum, key) => sum + (heights.get(key) ?? 0), 0);
      expect(before + drawn + after).toBeCloseTo(total);
    }
  });

  it('estimates what was never measured', () => {
    const offsets = offsetsOf(['a', 'b', 'c'], new Map([['b', 100]]), 30);
    expect([...offsets]).toEqual([0, 30, 130, 160]);
    expect([0, 29, 30, 129, 130, 999, -5].map((top) => rowAt(offsets, top))).toEqual([0, 0, 1, 1, 2, 2, 0]);
  });

  it('has nothing to draw of nothing', () => {
    expect(stretchOf(offsetsOf([], new Map(), 30), 0, 600, 200)).toEqual({ first: 0, end: 0, before: 0, after: 0 });
  });
});
