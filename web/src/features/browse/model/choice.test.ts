import { describe, expect, it } from 'vitest';
import { streamNamed } from '@/testing/server';
import { choiceOf, chosen, searchOf, valuesOf } from './choice';

const at = (minute: number) => `2026-11-21T10:0${minute}:00Z`;
const streams = [
  streamNamed('boat', { viewers: 5, started_at: at(1), category: 'Crafts', language: 'en', tags: ['wood'] }),
  streamNamed('chess', { viewers: 9, started_at: at(2), category: 'Games', language: 'ru', tags: [] }),
  streamNamed('anvil', { viewers: 5, started_at: at(3), category: 'Crafts', language: 'ru', tags: ['iron', 'wood'] }),
  streamNamed('quiet', { viewers: 0, started_at: at(4) }),
];
const names = (search: string) => chosen(streams, choiceOf(new URLSearchParams(search))).map(({ channel }) => channel);

describe('the choice of live channels', () => {
  it.each([
    ['', ['chess', 'anvil', 'boat', 'quiet']],
    ['sort=newest', ['quiet', 'anvil', 'chess', 'boat']],
    ['sort=oldest', ['chess', 'anvil', 'boat', 'quiet']],
    ['category=Crafts', ['anvil', 'boat']],
    ['category=Crafts&language=en', ['boat']],
    ['tag=Wood&sort=newest', ['anvil', 'boat']],
    ['tag=none', []],
  ])('"%s" shows %j', (search, expected) => {
    expect(names(search)).toEqual(expected);
  });

  it('stays the same over its address, which has only what is not as usual', () => {
    const choice = { sort: 'newest', category: 'R & B', language: '', tag: 'wood' } as const;
    expect(choiceOf(searchOf(choice))).toEqual(choice);
    expect(searchOf(choiceOf(new URLSearchParams())).toString()).toBe('');
  });

  it('offers what there is, and what is chosen', () => {
    expect(valuesOf(streams, 'category', 'Music')).toEqual(['Crafts', 'Games', 'Music']);
    expect(valuesOf(streams, 'language', '')).toEqual(['en', 'ru']);
  });
});
