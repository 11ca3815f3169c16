import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';

interface Shown {
  readonly title: string;
  readonly options: { readonly body: string; readonly tag: string; readonly data?: { readonly url: string } };
}

/** The service worker in a scope of its own. */
function start(pages: { url: string; focus: () => unknown }[] = []) {
  const listeners = new Map<string, (event: object) => void>();
  const shown: Shown[] = [];
  const opened: string[] = [];
  const self = {
    location: { origin: 'https://live.example.org' },
    registration: { showNotification: (title: string, options: Shown['options']) => shown.push({ title, options }) },
    clients: { matchAll: () => Promise.resolve(pages), openWindow: (url: string) => opened.push(url) },
    addEventListener: (name: string, listener: (event: object) => void) => listeners.set(name, listener),
  };
  const script = readFileSync('public/sw.js', 'utf8');
  // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call -- our own script, as a browser runs it
  new Function('self', script)(self);
  const happens = async (name: string, event: object) => {
    const waits: unknown[] = [];
    listeners.get(name)?.({ ...event, waitUntil: (wait: unknown) => waits.push(wait) });
    await Promise.all(waits);
  };
  const push = (data: unknown) => happens('push', { data: { json: () => data } });
  return { shown, opened, happens, push };
}

describe('the service worker', () => {
  it('shows who is live, and a click opens the channel', async () => {
    const worker = start();
    await worker.push({ kind: 'live', channel: 'boatyard', streamer: 'Ada L.', title: 'Day 12', url: 'https://evil.example' });
    expect(worker.shown).toMatchObject([
      { title: 'Ada L. is live', options: { body: 'Day 12', tag: 'live:boatyard', data: { url: '/@boatyard' } } },
    ]);
    const close = vi.fn();
    await worker.happens('notificationclick', { notification: { close, data: worker.shown[0]?.options.data } });
    expect(close).toHaveBeenCalledOnce();
    expect(worker.opened).toEqual(['https://live.example.org/@boatyard']);
  });

  it('shows the page that is open already', async () => {
    const focus = vi.fn();
    const worker = start([{ url: 'https://live.example.org/@boatyard', focus }]);
    await worker.happens('notificationclick', { notification: { close: vi.fn(), data: { url: '/@boatyard' } } });
    expect(focus).toHaveBeenCalledOnce();
    expect(worker.opened).toEqual([]);
  });

  it('says something even of a push that it cannot read', async () => {
    const worker = start();
    await worker.push({ channel: '../settings' });
    await worker.happens('push', { data: null });
    await worker.push(7);
    expect(worker.shown.map(({ title, options }) => [title, options.data])).toEqual(Array(3).fill(['Millrace', undefined]));
    await worker.happens('notificationclick', { notification: { close: vi.fn() } });
    expect(worker.opened).toEqual(['https://live.example.org/']);
  });

  it('names the channel where there is no name or title', async () => {
    const worker = start();
    await worker.push({ channel: 'boatyard', streamer: '', title: '' });
    expect(worker.shown).toMatchObject([{ title: 'boatyard is live', options: { body: '@boatyard' } }]);
  });
});
