// Shows the notices that are pushed to this browser while no page is open, and opens the channel on a click. It answers
// no requests of pages. It keeps one thing: which subscription this browser has, to say which one a new one replaces.
'use strict';

/** The app's own sentences: the build puts them here (`script.ts`). */
const TEXT = '__TEXT__';
/** Where the page and this script keep the subscription; the same names are in `model/subscription.ts`. */
const KEPT = { cache: 'millrace-push', key: '/sw.js?subscription' };

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('push', (event) => event.waitUntil(show(event.data)));
self.addEventListener('pushsubscriptionchange', (event) => event.waitUntil(renew(event)));
self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.url));
});

/** Browsers want every push to be seen, so one that cannot be read says at least that there is something. */
function show(data) {
  let notice;
  try {
    notice = data.json();
  } catch {
    notice = null;
  }
  if (typeof notice?.channel !== 'string' || !/^[a-z0-9_]{3,25}$/.test(notice.channel)) {
    return self.registration.showNotification(TEXT.app, { body: TEXT.some, tag: 'millrace' });
  }
  const { channel, streamer, title } = notice;
  const who = typeof streamer === 'string' && streamer !== '' ? streamer : channel;
  return self.registration.showNotification(TEXT.live.replace('{name}', () => who), {
    body: typeof title === 'string' && title !== '' ? title : `@${channel}`,
    icon: '/favicon.svg',
    // A channel's newer notice takes the place of an older one.
    tag: `live:${channel}`,
    data: { url: `/@${channel}` },
  });
}

/**
 * The browser has ended a subscription: makes another, and tells the site which one it replaces. Who knows the old address is
 * this browser; it is not signed in here, and a session may be asleep.
 */
async function renew({ oldSubscription, newSubscription }) {
  const kept = await (await (await self.caches.open(KEPT.cache)).match(KEPT.key))?.json();
  const old = oldSubscription?.endpoint ?? kept?.endpoint;
  const applicationServerKey = oldSubscription?.options?.applicationServerKey ?? kept?.publicKey;
  if (old === undefined || applicationServerKey === undefined) return;
  const made =
    newSubscription ?? (await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey }));
  const { endpoint, keys } = made.toJSON();
  const answer = await self.fetch('/api/v1/push/renewals', {
    method: 'POST',
    credentials: 'omit',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ replaces: old, endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth } }),
  });
  // Nobody here is told of anything any more: the page asks again when it is opened.
  if (!answer.ok) return;
  const next = new Response(JSON.stringify({ endpoint, publicKey: kept?.publicKey }));
  await (await self.caches.open(KEPT.cache)).put(KEPT.key, next);
}

/** Shows a page of the app that is open already, or opens one. */
async function open(url = '/') {
  const target = new URL(url, self.location.origin);
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const there = pages.find((page) => page.url === target.href);
  if (there !== undefined) return there.focus();
  return self.clients.openWindow(target.href);
}
