import { describe, expect, it } from 'vitest';
import { messageOf, parseFrame, roomOf, youOf } from './protocol';

const bob = { id: 'b', name: 'bob', display_name: 'Bob', badges: ['vip'] };

describe('parseFrame', () => {
  it('reads a welcome, and what an older server does not say is off', () => {
    const frame = parseFrame(
      JSON.stringify({
        type: 'welcome',
        room: { channel: 'boatyard', slow_mode_s: 10, later: 1 },
        you: null,
        messages: [{ id: '1', at: '2026-11-21T20:00:00Z', kind: 'text', author: bob, text: 'hi' }, { id: 2 }],
        resumed: false,
        chatters: { count: 1, names: ['bob'], readers: 4 },
      }),
    );
    expect(frame).toMatchObject({
      type: 'welcome',
      room: { channel: 'boatyard', slow_mode_s: 10, followers_only_s: null, max_length: 500, links: 'allowed' },
      you: null,
      messages: [{ id: '1', author: bob, mentions: [] }],
      heartbeat_s: 30,
    });
  });

  it.each([
    ['no JSON', '{'],
    ['no object', '3'],
    ['null', 'null'],
    ['an unknown type', '{"type":"confetti"}'],
    ['a welcome to nowhere', '{"type":"welcome","room":{}}'],
    ['an ack of nothing', '{"type":"ack","nonce":7,"id":"x"}'],
  ])('passes over %s', (_name, text) => expect(parseFrame(text)).toBeNull());

  it.each([
    [{ all: true }, { all: true }],
    [{ author: 'u' }, { author: 'u' }],
    [{ messages: ['1', 2, '3'] }, { messages: ['1', '3'] }],
    [{}, { messages: [] }],
  ])('reads what was removed: %j', (given, what) => {
    expect(parseFrame(JSON.stringify({ type: 'removed', ...given }))).toEqual({ type: 'removed', what });
  });

  it('reads what waits for who moderates, and passes over what is none', () => {
    const message = { id: '1', at: '2026-11-21T20:00:00Z', kind: 'text', author: bob, text: 'hi' };
    const waiting = [{ message, why: 'link', until: '2026-11-21T20:30:00Z' }, { why: 'link' }];
    const frame = parseFrame(JSON.stringify({ type: 'queue', waiting, reviewed: [{ id: '2', decision: 'denied' }, {}] }));
    expect(frame).toMatchObject({ type: 'queue', waiting: [{ message: { id: '1' }, why: 'link' }], reviewed: ['2'] });
    expect(parseFrame('{"type":"queue"}')).toEqual({ type: 'queue', waiting: [], reviewed: [] });
    expect(parseFrame('{"type":"held"}')).toBeNull();
  });

  it('reads a refusal without a time', () => {
    expect(parseFrame('{"type":"refused","nonce":null,"code":"malformed","detail":"No."}')).toEqual({
      type: 'refused',
      nonce: null,
      code: 'malformed',
      detail: 'No.',
      retry_after_ms: null,
    });
  });
});

describe('the types', () => {
  it('take a person without a display name for their login name', () => {
    expect(messageOf({ id: '1', at: 'x', author: { id: 'b', name: 'bob' } })?.author).toEqual({ ...bob, display_name: 'bob', badges: [] });
  });

  it('take only the system for nobody', () => {
    expect(messageOf({ id: '1', at: 'x', kind: 'text', author: null, text: 'hi' })).toBeNull();
    expect(messageOf({ id: '1', at: 'x', kind: 'system', text: 'live', event: 'went_live' })).toMatchObject({
      author: null,
      event: 'went_live',
    });
  });

  it('say why one may not write, and only then', () => {
    expect(youOf({ ...bob, may_send: true, why_not: { code: 'x', detail: 'y' } })?.why_not).toBeNull();
    expect(youOf({ ...bob, may_send: false, why_not: { code: 'timed_out', detail: 'Wait.', until: 'z' } })?.why_not).toEqual({
      code: 'timed_out',
      detail: 'Wait.',
      until: 'z',
    });
  });

  it('bound what a room may ask for', () => {
    expect(roomOf({ channel: 'a', max_length: 1e9, slow_mode_s: -1 })).toMatchObject({ max_length: 500, slow_mode_s: 0 });
  });
});
