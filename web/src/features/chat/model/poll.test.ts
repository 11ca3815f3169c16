import { expect, it } from 'vitest';
import { leaders, share } from './poll';

it('rounds shares, and has none of nothing', () => {
  expect([share(1, 3), share(2, 3), share(3, 3), share(0, 0)]).toEqual([33, 67, 100, 0]);
});

it('knows who leads, also together', () => {
  expect(leaders([1, 3, 3])).toEqual([1, 2]);
  expect(leaders([0, 0])).toEqual([]);
});
