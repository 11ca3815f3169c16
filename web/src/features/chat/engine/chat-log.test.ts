import { describe, expect, it } from 'vitest';
import { ChatLog } from './chat-log';
import { messageNamed } from './fake-room';

const some = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => messageNamed(String(from + index)));
const ids = (log: ChatLog) => log.entries.map(({ message }) => message.id).join(' ');
const small = () => new ChatLog({ following: 5, reading: 9 });

describe('a chat log', () => {
  it('keeps the newest, and more while somebody reads', () => {
    const log = small();
    log.append(some(0, 7));
    expect(ids(log)).toBe('2 3 4 5 6');
    log.follow(false);
    log.append(some(7, 12));
    expect(ids(log)).toBe('3 4 5 6 7 8 9 10 11');
    log.follow(true);
    expect(ids(log)).toBe('7 8 9 10 11');
    expect(log.more).toBe(true);
  });

  it('does not take what it dropped for new', () => {
    const log = small();
    log.append(some(0, 7));
    expect(log.append(some(0, 8)).map(({ id }) => id)).toEqual(['7']);
    expect(ids(log)).toBe('3 4 5 6 7');
  });

  it('joins a fresh end on to what it has where they overlap', () => {
    const log = new ChatLog();
    log.append(some(0, 6));
    const { epoch } = log;
    expect(log.replace(some(4, 9)).map(({ id }) => id)).toEqual(['6', '7', '8']);
    expect(ids(log)).toBe('0 1 2 3 4 5 6 7 8');
    expect(log.epoch).toBe(epoch);
  });

  it('starts anew where something is missing between', () => {
    const log = new ChatLog();
    log.append(some(0, 3));
    const { epoch } = log;
    log.replace(some(7, 9));
    expect(ids(log)).toBe('7 8');
    expect([log.more, log.lastId]).toEqual([true, '8']);
    expect(log.prepend(some(0, 1), false, epoch)).toBe(false);
    log.replace([]);
    expect([ids(log), log.more, log.lastId]).toEqual(['', false, null]);
  });

  it('blanks what was removed and what quotes it, and knows where to resume', () => {
    const log = new ChatLog();
    log.append([
      messageNamed('0'),
      messageNamed('1', { reply_to: { id: '0', name: 'bob', text: 'text of 0' } }),
      messageNamed('2', { author: { id: 'id-eve', name: 'eve', display_name: 'Eve', badges: [] } }),
    ]);
    log.remove({ messages: ['0', 'unknown'] });
    expect(log.entries[0]).toMatchObject({ removed: true, message: { text: '' } });
    expect(log.entries[1]).toMatchObject({ removed: false, message: { reply_to: { text: '' } } });
    log.remove({ author: 'id-eve' });
    expect(log.entries[2]).toMatchObject({ removed: true, message: { text: '' } });
    log.remove({ all: true });
    expect([ids(log), log.lastId, log.more]).toEqual(['', '2', false]);
  });

  it('takes pages of history once', () => {
    const log = small();
    log.append(some(6, 9));
    log.follow(false);
    expect(log.prepend(some(4, 7), true, log.epoch)).toBe(true);
    expect(ids(log)).toBe('4 5 6 7 8');
    log.prepend(some(0, 4), true, log.epoch);
    expect([ids(log), log.more]).toEqual(['0 1 2 3 4 5 6 7 8', false]);
  });
});
