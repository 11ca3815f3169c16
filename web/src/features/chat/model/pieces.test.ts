import { describe, expect, it } from 'vitest';
import { piecesOf } from './pieces';

const links = (text: string) =>
  piecesOf(text, []).flatMap((piece) => (piece.kind === 'link' ? [piece.host === null ? piece.href : `${piece.href} > ${piece.host}`] : []));

describe('piecesOf', () => {
  it.each([
    ['see https://example.org/a?b=1#c.', ['https://example.org/a?b=1#c']],
    ['(https://en.example.org/wiki/Mill_(grinding))', ['https://en.example.org/wiki/Mill_(grinding)']],
    ['HTTP://EXAMPLE.ORG, and https://b.example!', ['http://example.org/', 'https://b.example/']],
    ['https://example.org:8443/x', ['https://example.org:8443/x']],
    ['javascript:alert(1) data:text/html,x ftp://example.org example.org', []],
    ['https://bank.example@evil.example/', []],
    ['https://localhost/x', []],
    ['https://exam\u202eple.org https://exam\u200bple.org', []],
    ['https://', []],
  ])('finds the addresses in %j', (text, found) => expect(links(text)).toEqual(found));

  it('says where an address leads that looks like another', () => {
    expect(links('https://аpple.example/')).toEqual(['https://xn--pple-43d.example/ > xn--pple-43d.example']);
  });

  it('marks who is mentioned, and nobody else', () => {
    expect(piecesOf('hi @Ada, not @eve or a@ada.example', ['ada'])).toEqual([
      { kind: 'text', text: 'hi ' },
      { kind: 'mention', text: '@Ada', name: 'ada' },
      { kind: 'text', text: ', not @eve or a@ada.example' },
    ]);
  });

  it.each(['<img src=x onerror=alert(1)>', '', '@', 'https:// @ada_ @', '👩‍👩‍👧 ﷽ \u202e'])('loses nothing of %j', (text) => {
    expect(piecesOf(text, ['ada']).map((piece) => piece.text).join('')).toBe(text);
  });
});
