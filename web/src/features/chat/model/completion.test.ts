import { expect, it } from 'vitest';
import { messageNamed } from '../engine/fake-room';
import { completed, completions, typedMention } from './completion';

const entryOf = (name: string) => ({
  message: messageNamed(name, { author: { id: name, name, display_name: name, badges: [] } }),
  removed: false,
});

it.each([
  ['@', 1, { start: 0, prefix: '' }],
  ['hi @Bo', 6, { start: 3, prefix: 'bo' }],
  ['hi (@bo) there', 7, { start: 4, prefix: 'bo' }],
  ['mail@bo', 7, null],
  ['hi @bo ', 7, null],
])('reads the mention that is typed in %j at %i', (text, caret, typed) => expect(typedMention(text, caret)).toEqual(typed));

it('offers who spoke last first, then who is here, never oneself', () => {
  const entries = [entryOf('bob'), entryOf('bea'), entryOf('bob'), entryOf('me')];
  expect(completions('', entries, ['bea', 'bill', 'me'], 'me')).toEqual(['bob', 'bea', 'bill']);
  expect(completions('bi', entries, ['bea', 'bill'], 'me')).toEqual(['bill']);
  expect(completions('bob', entries, ['bobby'], 'me')).toEqual([]);
});

it('writes the name and goes on after it', () => {
  expect(completed('hi @bo there', 6, { start: 3, prefix: 'bo' }, 'bob')).toEqual({ text: 'hi @bob there', caret: 8 });
});
