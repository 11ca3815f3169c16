/** What the server is told of this browser's subscription. */
export interface Subscribed {
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

/** Where the script is that shows notices while no page is open. */
const SCRIPT = '/sw.js';

/** Where the service worker finds the subscription when the browser replaces it; the same names are in `worker/sw.js`. */
const KEPT = { cache: 'millrace-push', key: '/sw.js?subscription' };

/** Whether this browser can show notices while no page is open; only where the page came by https. */
export function supported(): boolean {
  return 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;
}

/** What the person told the browser: `default` until it has asked. */
export function permission(): NotificationPermission {
  return supported() ? Notification.permission : 'denied';
}

/** This browser's subscription, if it has one. */
export async function current(): Promise<PushSubscription | null> {
  if (!supported()) return null;
  const registration = await navigator.serviceWorker.getRegistration('/');
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/**
 * Subscribes this browser with the site's key. The browser asks the person first.
 *
 * @returns null if the person does not allow it
 * @throws if the push service of the browser's maker cannot be reached
 */
export async function subscribe(publicKey: string): Promise<Subscribed | null> {
  if ((await Notification.requestPermission()) !== 'granted') return null;
  await navigator.serviceWorker.register(SCRIPT, { scope: '/' });
  const { pushManager } = await navigator.serviceWorker.ready;
  const applicationServerKey = bytes(publicKey);
  // One that was made with another key cannot be used.
  const old = await pushManager.getSubscription();
  if (old !== null && !sameBytes(old.options.applicationServerKey, applicationServerKey)) await old.unsubscribe();
  const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  const { endpoint, keys = {} } = made.toJSON();
  const { p256dh, auth } = keys;
  if (endpoint === undefined || p256dh === undefined || auth === undefined) throw new Error('a subscription without keys');
  await keep({ endpoint, publicKey });
  return { endpoint, keys: { p256dh, auth } };
}

/** Without it a subscription works until the browser replaces it. */
async function keep(subscription: { readonly endpoint: string; readonly publicKey: string }): Promise<void> {
  if (!('caches' in window)) return;
  const cache = await caches.open(KEPT.cache);
  await cache.put(KEPT.key, new Response(JSON.stringify(subscription)));
}

/** Ends this browser's subscription, if it has one. */
export async function unsubscribe(): Promise<void> {
  await (await current())?.unsubscribe();
  if ('caches' in window) await caches.delete(KEPT.cache);
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64url.replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function sameBytes(one: ArrayBuffer | null, other: Uint8Array): boolean {
  if (one === null || one.byteLength !== other.length) return false;
  return new Uint8Array(one).every((byte, at) => byte === other[at]);
}
