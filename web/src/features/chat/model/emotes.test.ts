import { describe, expect, it } from 'vitest';
import { byName, NO_EMOTES, offeredFor, typedEmote, withEmote } from './emotes';
import { piecesOf } from './pieces';

const emote = (name: string, url = `/emotes/${name}`) => ({ name, url, animated: false });
const emotes = byName([emote('Boat')], [emote('Boat', '/emotes/site'), emote('oak')]);

describe('emotes', () => {
  it('are the channel’s before the site’s', () => {
    expect(emotes.get('Boat')?.url).toBe('/emotes/Boat');
    expect(emotes.get('oak')?.url).toBe('/emotes/oak');
  });

  it('are pictures in what was said only where the room knows them', () => {
    const said = (text: string) => piecesOf(text, [], emotes).map((piece) => (piece.kind === 'emote' ? `<${piece.name}>` : piece.text));
    expect(said('a :Boat: b')).toEqual(['a ', '<Boat>', ' b']);
    expect(said(':Boat::oak:')).toEqual(['<Boat>', '<oak>']);
    expect(said(':no:oak:')).toEqual([':no', '<oak>']);
    expect(said('12:30:45 :boat: :x')).toEqual(['12:30:45 :boat: :x']);
    expect(said('https://a.example/:Boat:x')).toEqual(['https://a.example/:Boat:x']);
    expect(piecesOf(':Boat:', [])).toEqual([{ kind: 'text', text: ':Boat:' }]);
  });

  it('are offered where one types a colon and two letters', () => {
    expect(typedEmote('hi :Bo', 6)).toEqual({ start: 3, prefix: 'Bo' });
    for (const text of [':D', 'a:Bo', '12:30', 'x :Boat: y', '::bo']) expect(typedEmote(text, text.length)).toBeNull();
    expect(offeredFor('bo', emotes)[0]).toEqual({ name: 'Boat', text: ':Boat:', url: '/emotes/Boat' });
    expect(offeredFor('sailb', NO_EMOTES)).toEqual([{ name: 'sailboat', text: '⛵', url: null }]);
    expect(offeredFor('zzz', emotes)).toEqual([]);
  });

  it('are written between spaces', () => {
    expect(withEmote('hi :Bo you', 3, 6, ':Boat:')).toEqual({ text: 'hi :Boat: you', caret: 10 });
    expect(withEmote('hi', 2, 2, '⛵')).toEqual({ text: 'hi ⛵ ', caret: 5 });
  });
});
