import { describe, expect, it, vi } from 'vitest';
import { MESSAGES } from '@/text/messages';
import { workerScript } from './script';

interface Shown {
  readonly title: string;
  readonly options: { readonly body: string; readonly tag: string; readonly data?: { readonly url: string } };
}

/** The service worker in a scope of its own. */
function start(pages: { url: string; focus: () => unknown }[] = [], kept: object | null = null, answers = true) {
  const sent: { readonly url: string; readonly body: string }[] = [];
  let remembered = kept === null ? null : JSON.stringify(kept);
  const cache = {
    match: () => Promise.resolve(remembered === null ? undefined : new Response(remembered)),
    put: async (_: string, response: Response) => {
      remembered = await response.text();
    },
  };
  const subscribe = vi.fn(() => Promise.resolve(NEW));
  const listeners = new Map<string, (event: object) => void>();
  const shown: Shown[] = [];
  const opened: string[] = [];
  const self = {
    location: { origin: 'https://live.example.org' },
    registration: {
      showNotification: (title: string, options: Shown['options']) => shown.push({ title, options }),
      pushManager: { subscribe },
    },
    caches: { open: () => Promise.resolve(cache) },
    fetch: (url: string, request: { readonly body: string }) => {
      sent.push({ ...request, url });
      return Promise.resolve({ ok: answers });
    },
    clients: { matchAll: () => Promise.resolve(pages), openWindow: (url: string) => opened.push(url) },
    addEventListener: (name: string, listener: (event: object) => void) => listeners.set(name, listener),
  };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call -- our own script, as a browser runs it
  new Function('self', workerScript())(self);
  const happens = async (name: string, event: object) => {
    const waits: unknown[] = [];
    listeners.get(name)?.({ ...event, waitUntil: (wait: unknown) => waits.push(wait) });
    await Promise.all(waits);
  };
  const push = (data: unknown) => happens('push', { data: { json: () => data } });
  const memory = () => (remembered === null ? null : (JSON.parse(remembered) as unknown));
  return { shown, opened, happens, push, sent, subscribe, memory };
}

/** A subscription as a browser makes it. */
const NEW = {
  toJSON: () => ({ endpoint: 'https://push.example/new', expirationTime: null, keys: { p256dh: 'P', auth: 'A' } }),
};

describe('the service worker', () => {
  it('says the sentences of the app', async () => {
    const worker = start();
    await worker.push({ channel: 'boatyard', streamer: '$&' });
    await worker.push(null);
    expect(worker.shown.map(({ title }) => title)).toEqual([
      MESSAGES['notices.live'].replace('{name}', () => '$&'),
      MESSAGES['push.app'],
    ]);
    expect(worker.shown[1]?.options.body).toBe(MESSAGES['push.some']);
  });

  it('renews a subscription that the browser ended, by what it remembers', async () => {
    const worker = start([], { endpoint: 'https://push.example/old', publicKey: 'KEY' });
    await worker.happens('pushsubscriptionchange', {});
    expect(worker.subscribe).toHaveBeenCalledWith({ userVisibleOnly: true, applicationServerKey: 'KEY' });
    expect(worker.sent).toMatchObject([{ url: '/api/v1/push/renewals', method: 'POST', credentials: 'omit' }]);
    expect(JSON.parse(worker.sent[0]?.body ?? '')).toEqual({
      replaces: 'https://push.example/old',
      endpoint: 'https://push.example/new',
      keys: { p256dh: 'P', auth: 'A' },
    });
    expect(worker.memory()).toEqual({ endpoint: 'https://push.example/new', publicKey: 'KEY' });
  });

  it('takes the subscriptions that the browser names, and forgets nothing when the site refuses', async () => {
    const kept = { endpoint: 'https://push.example/older', publicKey: 'KEY' };
    const worker = start([], kept, false);
    const oldSubscription = { endpoint: 'https://push.example/old', options: { applicationServerKey: 'KEY' } };
    await worker.happens('pushsubscriptionchange', { oldSubscription, newSubscription: NEW });
    expect(worker.subscribe).not.toHaveBeenCalled();
    expect(worker.sent[0]?.body).toContain('"replaces":"https://push.example/old"');
    expect(worker.memory()).toEqual(kept);
  });

  it('subscribes to nothing by itself', async () => {
    const worker = start();
    await worker.happens('pushsubscriptionchange', {});
    expect([worker.subscribe.mock.calls.length, worker.sent.length]).toEqual([0, 0]);
  });

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
