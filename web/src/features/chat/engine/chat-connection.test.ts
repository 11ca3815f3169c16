import { describe, expect, it } from 'vitest';
import { ChatConnection, type ConnectionDeps } from './chat-connection';
import { FakeClock } from './fake-clock';
import { FakeRoom } from './fake-room';

function begin(more: Partial<ConnectionDeps> = {}) {
  const clock = new FakeClock();
  const room = new FakeRoom();
  const connection = new ChatConnection({ clock, random: () => 0.5, open: room.connect, ...more }, () => null);
  const lost: number[] = [];
  connection.events.on('lost', (code) => lost.push(code));
  return { connection, clock, room, lost, kind: () => connection.phase.kind };
}

function opened(more: Partial<ConnectionDeps> = {}) {
  const all = begin(more);
  all.connection.start();
  all.room.settle();
  return all;
}

describe('a chat connection', () => {
  it('is open after the welcome, not before', () => {
    const { connection, room, kind } = begin();
    expect(kind()).toBe('idle');
    connection.start();
    room.socket.accept();
    expect(kind()).toBe('connecting');
    expect(connection.send({ type: 'ping' })).toBe(false);
    room.socket.tell({ type: 'messages', messages: [] });
    expect(kind()).toBe('connecting');
    room.settle();
    expect(kind()).toBe('open');
  });

  it('does not wait for a welcome for ever', () => {
    const { connection, clock, room, kind } = begin();
    connection.start();
    room.socket.accept();
    clock.advance(15_000);
    expect([kind(), room.socket.open]).toEqual(['waiting', false]);
  });

  it('comes back after growing waits, and begins anew once a connection has held', () => {
    const { connection, clock, room, kind } = opened();
    const waits: number[] = [];
    for (let tries = 0; tries < 9; tries++) {
      room.socket.cut();
      const { phase } = connection;
      waits.push(phase.kind === 'waiting' ? phase.until - clock.now() : 0);
      clock.advance(waits.at(-1) ?? 0);
    }
    expect(waits).toEqual([500, 850, 1_445, 2_456, 4_176, 7_099, 12_069, 20_000, 20_000]);
    room.settle();
    clock.advance(9_999);
    expect(connection.tries).toBe(9);
    clock.advance(1);
    expect([kind(), connection.tries]).toEqual(['open', 0]);
  });

  it('pings after each heartbeat, and takes silence for death after two of them', () => {
    const { clock, room, kind, lost } = opened();
    clock.advance(29_999);
    expect(room.socket.up).toEqual([]);
    clock.advance(1);
    expect(room.socket.up).toEqual([{ type: 'ping' }]);
    room.settle();
    clock.advance(30_000);
    clock.advance(5_000);
    expect(room.socket.up).toEqual([{ type: 'ping' }, { type: 'ping' }]);
    expect(kind()).toBe('open');
    clock.advance(5_000);
    expect([kind(), lost]).toEqual(['waiting', [1006]]);
  });

  it('says something in a room where it hears much, because the server wants to hear from it', () => {
    const { clock, room } = opened();
    for (let second = 0; second < 31; second++) {
      clock.advance(1_000);
      room.socket.tell({ type: 'messages', messages: [] });
    }
    expect(room.socket.up).toEqual([{ type: 'ping' }]);
  });

  it('goes on until the server wants it back, then comes at that moment', () => {
    const { clock, room, kind } = opened();
    room.socket.tell({ type: 'reconnect', after_ms: 3_000 });
    clock.advance(2_999);
    expect([kind(), room.sockets.length]).toEqual(['open', 1]);
    clock.advance(1);
    expect([kind(), room.sockets.length, room.sockets[0]?.open]).toEqual(['connecting', 2, false]);
  });

  it('keeps to that moment when the server stops earlier, even if nudged', () => {
    const { connection, clock, room, kind } = opened();
    room.socket.tell({ type: 'reconnect', after_ms: 3_000 });
    room.socket.cut(4012);
    clock.advance(2_000);
    connection.nudge();
    expect([kind(), room.sockets.length]).toEqual(['waiting', 1]);
    clock.advance(1_000);
    expect(room.sockets).toHaveLength(2);
  });

  it.each([4003, 4004, 4099])('does not come back by itself after %i', (code) => {
    const { connection, clock, room } = opened();
    room.socket.cut(code, 'Because.');
    clock.advance(600_000);
    expect(connection.phase).toEqual({ kind: 'closed', code, reason: 'Because.' });
    expect(room.sockets).toHaveLength(1);
    connection.start();
    room.settle();
    expect(connection.phase.kind).toBe('open');
  });

  it.each([4009, 4029])('takes its time after %i', (code) => {
    const { clock, room } = opened();
    room.socket.cut(code);
    clock.advance(11_999);
    expect(room.sockets).toHaveLength(1);
    clock.advance(1);
    expect(room.sockets).toHaveLength(2);
  });

  it('tries at once when the network is back', () => {
    const { connection, clock, room } = opened();
    room.socket.cut();
    connection.nudge();
    expect(room.sockets).toHaveLength(2);
    room.settle();
    connection.nudge();
    expect(room.socket.up).toEqual([{ type: 'ping' }]);
    clock.advance(10_000);
    expect(connection.phase.kind).toBe('waiting');
  });

  it('leaves nothing behind when it stops', () => {
    const { connection, clock, room, lost } = opened();
    connection.stop();
    expect([clock.waiting, room.socket.open, connection.phase.kind]).toEqual([0, false, 'idle']);
    expect(lost).toEqual([1006]);
  });

  it('connects after what must be done before, done or not', async () => {
    const { connection, room } = begin({ prepare: () => Promise.reject(new Error('down')) });
    connection.start();
    expect(room.sockets).toHaveLength(0);
    await Promise.resolve();
    expect(room.sockets).toHaveLength(1);
  });

  it('passes over what it does not know', () => {
    const { connection, room } = opened();
    const frames: string[] = [];
    connection.events.on('frame', ({ type }) => frames.push(type));
    room.socket.tell({ type: 'confetti' });
    room.socket.onmessage?.({ data: 'no json' });
    room.socket.onmessage?.({ data: new ArrayBuffer(4) });
    room.socket.tell({ type: 'chatters', chatters: { count: 1, names: [], readers: 1, later: true } });
    expect(frames).toEqual(['chatters']);
  });
});
