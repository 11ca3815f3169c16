// Shows the notices that are pushed to this browser while no page is open, and opens the channel on a click. It answers
// no requests of pages, and keeps nothing.
'use strict';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('push', (event) => event.waitUntil(show(event.data)));
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
    return self.registration.showNotification('Millrace', { body: 'A channel that you follow is live.', tag: 'millrace' });
  }
  const { channel, streamer, title } = notice;
  const who = typeof streamer === 'string' && streamer !== '' ? streamer : channel;
  return self.registration.showNotification(`${who} is live`, {
    body: typeof title === 'string' && title !== '' ? title : `@${channel}`,
    icon: '/favicon.svg',
    // A channel's newer notice takes the place of an older one.
    tag: `live:${channel}`,
    data: { url: `/@${channel}` },
  });
}

/** Shows a page of the app that is open already, or opens one. */
async function open(url = '/') {
  const target = new URL(url, self.location.origin);
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const there = pages.find((page) => page.url === target.href);
  if (there !== undefined) return there.focus();
  return self.clients.openWindow(target.href);
}
