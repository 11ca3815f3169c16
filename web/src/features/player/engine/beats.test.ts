import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Beats, madeUpViewer } from './beats';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1_000);

it('beats as often as the server says, and not while it is off', async () => {
  const send = vi.fn<() => Promise<number | null>>().mockResolvedValue(2);
  const beats = new Beats(send, 'one');
  await pass(10);
  expect(send).not.toHaveBeenCalled();
  beats.start();
  await pass(5);
  expect(send).toHaveBeenCalledTimes(3);
  send.mockResolvedValue(20);
  await pass(1);
  expect(send).toHaveBeenCalledTimes(4);
  await pass(19);
  expect(send).toHaveBeenCalledTimes(4);
  beats.stop();
  await pass(60);
  expect(send).toHaveBeenCalledTimes(4);
});

it('goes on after a failure, neither in a storm nor too rarely', async () => {
  const send = vi.fn<() => Promise<number | null>>().mockResolvedValue(null);
  const beats = new Beats(send, 'one');
  beats.start();
  await pass(9);
  expect(send).toHaveBeenCalledTimes(3);
  send.mockResolvedValue(0);
  await pass(4);
  const before = send.mock.calls.length;
  await pass(10);
  expect(send.mock.calls.length - before).toBeLessThanOrEqual(10);
});

it('does not beat twice at once when a person pauses and plays', async () => {
  const send = vi.fn<() => Promise<number | null>>().mockResolvedValue(2);
  const beats = new Beats(send, 'one');
  beats.start();
  await pass(0.5);
  for (let again = 0; again < 5; again += 1) {
    beats.stop();
    beats.start();
  }
  await pass(0.5);
  expect(send).toHaveBeenCalledTimes(1);
  await pass(2);
  expect(send).toHaveBeenCalledTimes(2);
});

it('makes up 64 bits anew for each page', () => {
  const [one, two] = [madeUpViewer(), madeUpViewer()];
  expect(one).toMatch(/^[0-9a-f]{16}$/);
  expect(one).not.toBe(two);
});
