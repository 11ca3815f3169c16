import { describe, expect, it } from 'vitest';
import { termsOf } from './terms';

describe('blocked terms', () => {
  it('are the lines of a text, each once', () => {
    expect(termsOf(' spoiler*\n\nbad   word\r\nspoiler*\n  ')).toEqual(['spoiler*', 'bad word']);
    expect(termsOf('')).toEqual([]);
  });
});
