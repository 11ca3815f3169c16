import { describe, expect, it } from 'vitest';
import { Chat, type ChatDeps, type HistoryPage } from './chat';
import { FakeClock } from './fake-clock';
import { ADA, FakeRoom, messageNamed, ROOM } from './fake-room';
import type { Message } from './protocol';

function begin(more: Partial<ChatDeps> = {}, prepare?: (room: FakeRoom) => void) {
  const clock = new FakeClock();
  const room = new FakeRoom();
  prepare?.(room);
  let nonces = 0;
  const chat = new Chat({
    clock,
    random: () => 0.5,
    open: room.connect,
    history: () => Promise.resolve({ messages: [], more: false }),
    nonce: () => `n${nonces++}`,
    soon: (work) => work(),
    ...more,
  });
  chat.start();
  room.settle();
  return { chat, clock, room, shown: () => chat.view.entries.map(({ message }) => message.text) };
}

const others = (...ids: string[]): Message[] => ids.map((id) => messageNamed(id));

describe('a chat', () => {
  it('joins with what was said last', () => {
    const { chat, shown } = begin({}, (room) => room.messages.push(...others('1', '2')));
    expect(chat.view).toMatchObject({ phase: { kind: 'open' }, welcomed: true, you: ADA, chatters: { count: 2 } });
    expect(shown()).toEqual(['text of 1', 'text of 2']);
  });

  it('shows a message of one’s own as pending until the room has it, once', () => {
    const { chat, room, shown } = begin();
    chat.say('hello');
    expect(chat.view.pending).toMatchObject([{ text: 'hello', state: 'waiting' }]);
    room.settle();
    expect(chat.view.pending).toEqual([]);
    expect(shown()).toEqual(['hello']);
  });

  it('knows that it was accepted before it comes back', () => {
    const { chat, room } = begin();
    chat.say('hello');
    room.socket.tell({ type: 'ack', nonce: 'n0', id: 'x' });
    expect(chat.view.pending).toMatchObject([{ state: 'accepted' }]);
    // Without the nonce, as an older message of a resumed room may come.
    room.socket.tell({ type: 'messages', messages: [messageNamed('x', { text: 'hello' })] });
    expect(chat.view.pending).toEqual([]);
  });

  it('resumes after what it has, and sends again what was not answered', () => {
    const { chat, clock, room, shown } = begin();
    room.speak(messageNamed('1'));
    room.settle();
    chat.say('lost');
    room.speak(messageNamed('2'));
    room.socket.cut();
    expect(chat.view).toMatchObject({ phase: { kind: 'waiting' }, tries: 1, entries: [{ message: { id: '1' } }] });
    clock.advance(500);
    room.socket.accept();
    expect(room.socket.up).toEqual([{ type: 'hello', resume: '1' }]);
    room.settle();
    expect(shown()).toEqual(['text of 1', 'text of 2', 'lost']);
    expect(chat.view.pending).toEqual([]);
  });

  it('sends one after the other, so that the order stays', () => {
    const { chat, clock, room, shown } = begin({}, (server) => (server.away = true));
    chat.say('first');
    chat.say('second');
    expect(room.socket.up).toHaveLength(1);
    room.settle();
    expect(chat.view.pending.map(({ state }) => state)).toEqual(['waiting', 'waiting']);
    room.away = false;
    clock.advance(899);
    expect(room.socket.up).toEqual([]);
    clock.advance(1);
    room.settle();
    expect(shown()).toEqual(['first', 'second']);
  });

  it('asks again when an answer gets lost, with the same nonce', () => {
    const { chat, clock, room } = begin();
    chat.say('hello');
    const [first] = room.socket.up.splice(0);
    clock.advance(10_000);
    expect(room.socket.up).toEqual([first]);
  });

  it('leaves a refused message to the person', () => {
    const { chat, room, shown } = begin();
    chat.say('spam');
    room.socket.up.length = 0;
    room.socket.tell({ type: 'refused', nonce: 'n0', code: 'not_unique', detail: 'That was just said.' });
    expect(chat.view.pending).toMatchObject([{ state: 'failed', why: { code: 'not_unique', detail: 'That was just said.' } }]);
    chat.again('n0');
    room.settle();
    expect(shown()).toEqual(['spam']);
  });

  it('keeps a held message in sight until it is let through', () => {
    const { chat, room } = begin();
    chat.say('hm');
    room.socket.up.length = 0;
    room.socket.tell({ type: 'held', nonce: 'n0', id: '1', detail: 'A moderator looks at it.' });
    expect(chat.view.pending).toMatchObject([{ state: 'held', why: { detail: 'A moderator looks at it.' } }]);
    chat.say('next');
    expect(room.socket.up).toMatchObject([{ type: 'send', text: 'next' }]);
    room.socket.tell({ type: 'messages', messages: [messageNamed('1', { nonce: 'n0' })] });
    expect(chat.view.pending).toMatchObject([{ text: 'next' }]);
  });

  it('says that a held message was denied, and sends one anew that nobody looked at', () => {
    const { chat, room } = begin();
    for (const text of ['one', 'two']) chat.say(text);
    room.socket.tell({ type: 'held', nonce: 'n0', id: '1', detail: 'Wait.' });
    room.socket.tell({ type: 'held', nonce: 'n1', id: '2', detail: 'Wait.' });
    room.socket.tell({ type: 'refused', nonce: 'n0', code: 'denied', detail: 'No.' });
    room.socket.tell({ type: 'refused', nonce: 'n1', code: 'review_expired', detail: 'Nobody looked.' });
    expect(chat.view.pending).toMatchObject([
      { state: 'failed', why: { code: 'denied' } },
      { state: 'failed', why: { code: 'review_expired' } },
    ]);
    room.socket.up.length = 0;
    chat.again('n1');
    expect(room.socket.up).toMatchObject([{ text: 'two' }]);
    expect(room.socket.up).not.toMatchObject([{ nonce: 'n1' }]);
  });

  it('asks what became of a held message when it comes back', () => {
    const { chat, clock, room } = begin();
    chat.say('hm');
    room.socket.tell({ type: 'held', nonce: 'n0', id: '1', detail: 'Wait.' });
    const asked: unknown[] = [];
    chat.events.on('queue', (news) => asked.push(news));
    room.socket.cut();
    clock.advance(5_000);
    room.socket.accept();
    room.hear(room.socket, { type: 'hello' });
    room.socket.up.length = 0;
    room.socket.tell(room.socket.down.shift() ?? {});
    expect(room.socket.up).toEqual([{ type: 'send', nonce: 'n0', text: 'hm' }]);
    expect(asked).toEqual([null]);
  });

  it('does not send what is no longer of the moment', () => {
    const { chat, clock, room } = begin();
    room.socket.cut();
    chat.say('hello');
    clock.advance(120_000);
    expect(chat.view.pending).toMatchObject([{ state: 'failed', why: null }]);
    room.settle();
    expect(room.messages).toEqual([]);
  });

  it('gives up a message over which the server closes', () => {
    const { chat, clock, room } = begin();
    chat.say('poison');
    room.socket.cut(4000);
    clock.advance(500);
    room.socket.accept();
    room.hear(room.socket, { type: 'hello' });
    room.socket.tell(room.socket.down[0] ?? {});
    room.socket.cut(4000);
    expect(chat.view.pending).toMatchObject([{ state: 'failed' }]);
  });

  it('counts down slow mode for who must wait', () => {
    const slow = { ...ROOM, slow_mode_s: 30 };
    const { chat, clock, room } = begin({}, (server) => (server.room = slow));
    chat.say('hello');
    room.settle();
    expect(chat.view.quietUntil).toBe(clock.now() + 30_000);
    const moderator = begin({}, (server) => {
      server.room = slow;
      server.you = { ...ADA, moderates: true };
    });
    moderator.chat.say('hello');
    moderator.room.settle();
    expect(moderator.chat.view.quietUntil).toBe(0);
  });

  it('lets who need not wait write on', () => {
    const { chat, room } = begin();
    chat.say('hello');
    room.settle();
    expect(chat.view.quietUntil).toBe(0);
  });

  it('counts what comes while one reads further up', () => {
    const { chat, room } = begin();
    chat.follow(false);
    room.speak(messageNamed('1'));
    room.speak(messageNamed('2'));
    room.settle();
    expect(chat.view.unseen).toBe(2);
    chat.follow(true);
    expect(chat.view.unseen).toBe(0);
  });

  it('reads older pages, and not a page that no longer fits', async () => {
    let answer: (page: HistoryPage) => void = () => undefined;
    const asked: (string | null)[] = [];
    const history = (before: string | null) => {
      asked.push(before);
      return new Promise<HistoryPage>((resolve) => (answer = resolve));
    };
    const { chat, room, shown } = begin({ history }, (server) => server.messages.push(...others('5', '6')));
    const first = chat.loadOlder();
    expect(chat.view.older).toBe('loading');
    answer({ messages: others('4', '3'), more: true });
    await first;
    expect(asked).toEqual(['5']);
    expect(shown()).toEqual(['3', '4', '5', '6'].map((id) => `text of ${id}`));
    const second = chat.loadOlder();
    room.socket.tell({ type: 'removed', author: 'id-bob' });
    answer({ messages: others('2', '1'), more: false });
    await second;
    expect(chat.view.entries.map(({ message, removed }) => [message.id, removed])).toEqual(
      ['3', '4', '5', '6'].map((id) => [id, true]),
    );
    expect(chat.view.older).toBe('more');
  });

  it('says so when history does not answer, and asks again', async () => {
    let down = true;
    const history = () =>
      down ? Promise.reject(new Error('down')) : Promise.resolve({ messages: others('0'), more: false });
    const { chat } = begin({ history }, (server) => server.messages.push(...others('1')));
    await chat.loadOlder();
    expect(chat.view.older).toBe('failed');
    down = false;
    await chat.loadOlder();
    expect(chat.view).toMatchObject({ older: 'none', entries: [{ message: { id: '0' } }, { message: { id: '1' } }] });
  });

  it('is a reader when the session ends, and comes back', () => {
    const { chat, clock, room } = begin();
    let ended = 0;
    chat.events.on('sessionEnded', () => ended++);
    room.you = null;
    room.socket.cut(4001, 'sign in again');
    clock.advance(500);
    room.settle();
    expect(ended).toBe(1);
    expect(chat.view).toMatchObject({ phase: { kind: 'open' }, you: null });
  });
});

/** A small seeded generator (mulberry32). */
function randomOf(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let n = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    n = (n + Math.imul(n ^ (n >>> 7), 61 | n)) ^ n;
    return ((n ^ (n >>> 14)) >>> 0) / 4294967296;
  };
}

/** A server and a network that misbehave in every way the protocol allows, in an order that `seed` decides. */
function storm(seed: number) {
  const random = randomOf(seed);
  const clock = new FakeClock();
  const room = new FakeRoom();
  const gaps = seed % 3 === 0;
  room.tail = gaps ? 4 : 100_000;
  room.messages.push(...others('a', 'b', 'c'));
  let n = 0;
  const chat = new Chat({
    clock,
    random,
    open: room.connect,
    history: () => Promise.resolve({ messages: [], more: false }),
    nonce: () => `n${n++}`,
    soon: (work) => work(),
    limits: { outbox: { answerMs: 10_000, giveUpMs: 1e12, closes: 1e9, most: 1_000 } },
  });
  const said: string[] = [];
  const news: string[] = [];
  chat.events.on('news', (messages) => news.push(...messages.map(({ id }) => id)));
  chat.start();
  let replayed: object | undefined;
  const steps: (() => void)[] = [
    () => room.socket.accept(),
    () => {
      const frame = room.socket.up.shift();
      if (frame) room.hear(room.socket, frame, random() < 0.5);
    },
    () => {
      const frame = room.socket.down.shift();
      if (frame === undefined) return;
      if (room.socket.onmessage !== null && 'messages' in frame && !('room' in frame)) replayed = frame;
      room.socket.tell(frame);
    },
    () => {
      const frame = room.socket.down.shift();
      if (frame) room.socket.tell(frame);
    },
    // The same again, as from a server that forgot that it had said it.
    () => replayed && room.socket.open && room.socket.joined && room.socket.tell(replayed),
    () => room.speak(messageNamed(`other-${seed}-${room.messages.length}`)),
    () => {
      const text = `own ${said.length}`;
      said.push(text);
      chat.say(text);
    },
    () => random() < 0.4 && room.socket.cut([1006, 4008, 4012, 4013, 4000, 1001][Math.floor(random() * 6)]),
    () => clock.advance(random() * 3_000),
    () => random() < 0.1 && clock.advance(60_000),
    () => (room.away = random() < 0.3),
    () => (room.resumes = random() < 0.8),
    () => chat.nudge(),
    () => random() < 0.2 && room.socket.down.push({ type: 'reconnect', after_ms: random() * 5_000 }),
    () => chat.follow(random() < 0.5),
  ];
  for (let step = 0; step < 160; step++) steps[Math.floor(random() * steps.length)]?.();
  // The storm is over: everything heals by itself.
  room.away = false;
  for (let wait = 0; wait < 60; wait++) {
    room.settle();
    clock.advance(1_000);
  }
  room.settle();
  return { chat, room, said, news, gaps };
}

describe('under any interleaving of disconnects, duplicates and replays', () => {
  it.each(Array.from({ length: 40 }, (_, part) => part))('shows each accepted message once and in order (%i)', (part) => {
    for (let seed = part * 10; seed < part * 10 + 10; seed++) {
      const { chat, room, said, news, gaps } = storm(seed);
      const ids = chat.view.entries.map(({ message }) => message.id);
      const all = room.messages.map(({ id }) => id);
      expect(chat.view.phase.kind, `seed ${seed}`).toBe('open');
      expect(chat.view.pending, `seed ${seed}`).toEqual([]);
      // No message is missing between the first that is shown and the last; without a gap none at all.
      expect(ids, `seed ${seed}`).toEqual(gaps ? all.slice(-ids.length) : all);
      expect(new Set(news).size, `seed ${seed}`).toBe(news.length);
      const own = room.messages.filter(({ nonce }) => nonce !== undefined).map(({ text }) => text);
      expect(own, `seed ${seed}`).toEqual(said);
    }
  });
});
