// Does in Chromium what a follower does with notices, and is the push service that the browser names: one line of orders
// from standard input at a time, one line of JSON per answer.
//
//   node notices.mjs --origin http://…
//
// Orders: `register NAME PASSWORD`, `follow CHANNEL`, `subscribe`, `pushed`, `shown`, `bell CHANNEL`, `mute CHANNEL`,
// `unsubscribe`, `shots FOLDER`.
//
// Chromium's own push service is not reachable from tests. So the page's `PushManager` gives a subscription of ours; what
// arrives there is decrypted as RFC 8291 says, and handed to the service worker as Chromium itself would.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { webcrypto } from 'node:crypto';
import { launch, options, say } from './lib.mjs';

const { origin } = options({ origin: '' });
/** Longest wait for anything on a busy machine, in milliseconds. */
const PATIENCE = 30_000;
const { subtle } = webcrypto;
const utf8 = new TextEncoder();

// The browser's half of the subscription.
const pair = await subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
const point = new Uint8Array(await subtle.exportKey('raw', pair.publicKey));
const auth = webcrypto.getRandomValues(new Uint8Array(16));
const base64url = (bytes) => Buffer.from(bytes).toString('base64url');

const hkdf = async (salt, secret, info, bytes) => {
  const key = await subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  return new Uint8Array(await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, key, bytes * 8));
};

/** RFC 8291 §3.4 and RFC 8188 §2, by WebCrypto. */
async function decrypt(body) {
  const salt = body.subarray(0, 16);
  const theirs = body.subarray(21, 21 + body[20]);
  const sealed = body.subarray(21 + body[20]);
  const publicKey = await subtle.importKey('raw', theirs, { name: 'ECDH', namedCurve: 'P-256' }, false, []);
  const shared = new Uint8Array(await subtle.deriveBits({ name: 'ECDH', public: publicKey }, pair.privateKey, 256));
  const secret = await hkdf(auth, shared, Buffer.concat([utf8.encode('WebPush: info\0'), point, theirs]), 32);
  const key = await hkdf(salt, secret, utf8.encode('Content-Encoding: aes128gcm\0'), 16);
  const iv = await hkdf(salt, secret, utf8.encode('Content-Encoding: nonce\0'), 12);
  const cipher = await subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']);
  const plain = Buffer.from(await subtle.decrypt({ name: 'AES-GCM', iv }, cipher, sealed));
  if (plain.at(-1) !== 2) throw new Error('not the last record');
  return plain.subarray(0, -1).toString();
}

/** RFC 8292 §2 and §3: the token is good, for this service, and of the key that the browser subscribed with. */
async function vouched(authorization, audience, subscribedWith) {
  const [, token, key] = /^vapid t=([^,]+), k=(.+)$/.exec(authorization);
  const [head, claims, signature] = token.split('.');
  const raw = Buffer.from(key, 'base64url');
  const verifier = await subtle.importKey('raw', raw, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
  const signed = utf8.encode(`${head}.${claims}`);
  const good = await subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, verifier, Buffer.from(signature, 'base64url'), signed);
  const { aud, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString());
  const now = Date.now() / 1_000;
  return good && aud === audience && exp > now && exp < now + 86_400 && raw.equals(Buffer.from(subscribedWith, 'base64url'));
}

const got = [];
const service = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    got.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks) });
    response.writeHead(201).end();
  });
});
await new Promise((ready) => service.listen(0, '127.0.0.1', ready));
const serviceOrigin = `http://127.0.0.1:${service.address().port}`;

const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
context.setDefaultTimeout(PATIENCE);
await context.grantPermissions(['notifications'], { origin });
await context.addInitScript(
  ({ endpoint, p256dh, auth }) => {
    const made = () => {
      const subscribedWith = localStorage.getItem('test.subscribed');
      if (subscribedWith === null) return null;
      return {
        options: { applicationServerKey: Uint8Array.from(atob(subscribedWith), (c) => c.charCodeAt(0)).buffer },
        toJSON: () => ({ endpoint, keys: { p256dh, auth } }),
        unsubscribe: async () => {
          localStorage.removeItem('test.subscribed');
          return true;
        },
      };
    };
    PushManager.prototype.getSubscription = async () => made();
    PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
      if (userVisibleOnly !== true) throw new Error('Chromium wants userVisibleOnly');
      localStorage.setItem('test.subscribed', btoa(String.fromCharCode(...applicationServerKey)));
      return made();
    };
  },
  { endpoint: `${serviceOrigin}/bob`, p256dh: base64url(point), auth: base64url(auth) },
);
const complaints = [];
const page = await context.newPage();
page.on('pageerror', (error) => complaints.push(String(error)));
page.on('console', (message) => {
  if (message.type() === 'error' && message.text().includes('Content Security Policy')) complaints.push(message.text());
});
// Which service worker pushes go to.
const registrations = [];
const devtools = await context.newCDPSession(page);
devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations: some }) => registrations.push(...some));
await devtools.send('ServiceWorker.enable');

const orders = {
  async register(name, password) {
    await page.goto(`${origin}/register`);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Register' }).click();
    await page.getByRole('button', { name: /^Menu of / }).waitFor();
    return { registered: name };
  },

  async follow(channel) {
    await page.goto(`${origin}/@${channel}`);
    await page.getByRole('button', { name: `Follow ${channel}` }).click();
    await page.getByRole('button', { name: `Notices of ${channel}`, pressed: true }).waitFor();
    return { followed: channel };
  },

  async subscribe() {
    await page.goto(`${origin}/settings#notices`);
    await page.getByRole('button', { name: 'Turn on for this browser' }).click();
    const devices = page.getByRole('list', { name: 'Browsers that show notices' });
    await devices.waitFor();
    await page.getByRole('button', { name: 'Turn off for this browser' }).waitFor();
    return { devices: await devices.innerText() };
  },

  // What the push service has got, and whether it can be believed.
  async pushed() {
    const subscribedWith = await page.evaluate(() => localStorage.getItem('test.subscribed'));
    const messages = [];
    for (const { path, headers, body } of got) {
      const vapid = await vouched(headers.authorization, serviceOrigin, Buffer.from(subscribedWith ?? '', 'base64').toString('base64url'));
      messages.push({ path, vapid, ttl: headers.ttl, message: JSON.parse(await decrypt(body)) });
    }
    return { pushed: messages };
  },

  // Chromium shows the notice that was pushed.
  async shown() {
    const data = await decrypt(got.at(-1).body);
    const { registrationId } = registrations.findLast(({ scopeURL }) => scopeURL === `${origin}/`);
    const notices = () =>
      page.evaluate(async () => {
        const registration = await navigator.serviceWorker.ready;
        return (await registration.getNotifications()).map(({ title, body, tag, data }) => ({ title, body, tag, data }));
      });
    const until = Date.now() + PATIENCE;
    let shown = await notices();
    while (shown.length === 0 && Date.now() < until) {
      // Chromium drops what it is handed while the worker is not running yet; a push service would try again.
      await devtools.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data });
      const soon = Date.now() + 3_000;
      while (shown.length === 0 && Date.now() < soon) shown = await notices();
    }
    return { shown };
  },

  async bell(channel) {
    const bell = page.getByTestId('bell');
    const until = Date.now() + PATIENCE;
    // A server learns of a notice within two seconds; a page that asked before asks again after a minute.
    for (let label = ''; label === '' || (label === 'Notices' && Date.now() < until); ) {
      const counted = page.waitForResponse((response) => response.url().endsWith('/me/notices/unread'));
      await Promise.all([counted, page.goto(origin)]);
      await bell.waitFor();
      label = await bell.getAttribute('aria-label');
    }
    const label = await bell.getAttribute('aria-label');
    await bell.focus();
    await page.keyboard.press('Enter');
    const item = page.getByTestId(`notice-${channel}`).first();
    await item.waitFor();
    const text = await item.innerText();
    await page.getByRole('button', { name: 'Notices', exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await item.waitFor({ state: 'detached' });
    return { bell: label, notice: text };
  },

  async mute(channel) {
    await page.goto(`${origin}/@${channel}`);
    await page.getByRole('button', { name: `Notices of ${channel}`, pressed: true }).click();
    await page.getByRole('button', { name: `Notices of ${channel}`, pressed: false }).waitFor();
    return { muted: channel };
  },

  async unsubscribe() {
    await page.goto(`${origin}/settings#notices`);
    await page.getByRole('button', { name: 'Turn off for this browser' }).click();
    await page.getByRole('button', { name: 'Turn on for this browser' }).waitFor();
    return { devices: await page.getByRole('list', { name: 'Browsers that show notices' }).count() };
  },

  // What it looks like, for people to judge.
  async shots(folder) {
    for (const [size, viewport] of [['desktop', { width: 1280, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
      const look = await context.newPage();
      await look.setViewportSize(viewport);
      await look.goto(origin);
      await look.getByTestId('bell').click();
      await look.locator('[data-testid^=notice-]').first().waitFor();
      await look.screenshot({ path: join(folder, `bell-${size}.png`) });
      await look.goto(`${origin}/settings`);
      const section = look.getByRole('region', { name: 'Notices' });
      await section.getByTestId('push').waitFor();
      await section.screenshot({ path: join(folder, `notice-settings-${size}.png`) });
      await look.close();
    }
    return { shots: 4 };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [order, ...words] = line.trim().split(' ');
  try {
    say({ order, ...(await orders[order](...words)), complaints });
  } catch (error) {
    const seen = await page.locator('body').innerText().catch(() => '');
    say({ order, failed: String(error), at: page.url(), seen: seen.slice(0, 800) });
  }
}
await browser.close();
process.exit(0);
