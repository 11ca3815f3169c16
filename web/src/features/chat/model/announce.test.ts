import { expect, it } from 'vitest';
import { messageNamed } from '../engine/fake-room';
import { spokenOf } from './announce';

const many = ['1', '2', '3', '4', '5'].map((id) => messageNamed(id));
const ids = (spoken: ReturnType<typeof spokenOf>) => [spoken.read.map(({ id }) => id), spoken.counted];

it('reads few messages, and of many the last', () => {
  expect(ids(spokenOf(many.slice(0, 2), 'ada'))).toEqual([['1', '2'], 0]);
  expect(ids(spokenOf(many, null))).toEqual([['5'], 4]);
});

it('reads what names oneself first, and nothing of one’s own', () => {
  const forAda = messageNamed('6', { mentions: ['ada'] });
  expect(ids(spokenOf([forAda, ...many], 'ada'))).toEqual([['6'], 5]);
  expect(ids(spokenOf(many, 'bob'))).toEqual([[], 0]);
});
