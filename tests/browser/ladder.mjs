// Watches a channel with rungs over a line that becomes slow and fast again: which picture plays, and for how long it stands still.
//
//   node ladder.mjs --origin http://… --channel NAME --fast bits/s --slow bits/s --patience seconds --hold seconds --shots folder
//
// Says a line for each change of the picture, and one for each stretch of the line with the seconds that playback stood still.
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { launch, options, say } from './lib.mjs';

const given = options({ origin: '', channel: '', fast: 10e6, slow: 1e6, patience: 60, hold: 0, shots: '' });
const { origin, channel, shots } = given;
const [fast, slow] = [Number(given.fast), Number(given.slow)];
const PATIENCE = Number(given.patience) * 1000;
const HOLD = Number(given.hold) * 1000;
/** Between two looks, in milliseconds. */
const LOOK = 100;
/** How often the line carries a bit of what waits for it, in milliseconds. */
const STEP = 4;
/** Milliseconds that it makes up for, if it looks late. */
const LATEST = 50;
/** Bytes that wait for the line before the server is not read any more: a small router. */
const QUEUE = 48 * 1024;

/** A line to the server that all connections share. */
function line(to) {
  let rate = 0;
  const waiting = [];
  let queued = 0;
  let sentAt = performance.now();
  const send = () => {
    const now = performance.now();
    // A busy machine looks later, and the line is no slower for it.
    let allowed = (rate / 8000) * Math.min(now - sentAt, LATEST);
    sentAt = now;
    while (allowed > 0 && waiting.length > 0) {
      const first = waiting[0];
      const piece = first.bytes.subarray(0, Math.ceil(allowed));
      allowed -= piece.length;
      queued -= piece.length;
      if (!first.client.destroyed) first.client.write(piece);
      first.bytes = first.bytes.subarray(piece.length);
      if (first.bytes.length > 0) continue;
      waiting.shift();
      if (first.last) first.client.end();
    }
    if (queued < QUEUE) for (const server of servers) server.resume();
  };
  const servers = new Set();
  const proxy = createServer((client) => {
    const server = connect(Number(to.port), to.hostname);
    servers.add(server);
    server.on('data', (bytes) => {
      waiting.push({ client, bytes, last: false });
      queued += bytes.length;
      if (queued >= QUEUE) for (const other of servers) other.pause();
    });
    server.on('end', () => waiting.push({ client, bytes: Buffer.alloc(0), last: true }));
    server.on('close', () => servers.delete(server));
    server.on('error', () => client.destroy());
    client.on('error', () => server.destroy());
    client.on('close', () => {
      server.destroy();
      // What nobody wants any more is not sent any more: a real sender has most of it yet.
      for (let at = waiting.length - 1; at >= 0; at -= 1) {
        if (waiting[at].client !== client) continue;
        queued -= waiting[at].bytes.length;
        waiting.splice(at, 1);
      }
    });
    client.pipe(server);
  });
  setInterval(send, STEP);
  return {
    set: (bits) => { rate = bits; },
    listen: () => new Promise((ready) => proxy.listen(0, '127.0.0.1', () => ready(proxy.address().port))),
  };
}

const proxied = line(new URL(origin));
proxied.set(fast);
const at = `http://127.0.0.1:${await proxied.listen()}`;
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(PATIENCE);
await page.goto(`${at}/@${channel}`);
await page.locator('[data-testid=player][data-state=playing]').waitFor();
const look = () => page.evaluate(() => {
  const video = document.querySelector('video');
  return { time: video.currentTime, height: video.videoHeight, paused: video.paused };
});

let shown = 0;
/** Watches until `enough` says so, or for as long as there is patience; how long playback stood still. */
async function watch(name, enough) {
  const began = Date.now();
  let still = 0;
  let reached = null;
  let { time } = await look();
  let looked = Date.now();
  while (Date.now() - began < PATIENCE) {
    await page.waitForTimeout(LOOK);
    const now = await look();
    const passed = Date.now() - looked;
    looked = Date.now();
    // A little less than none: frames are counted, not moments.
    if (now.time - time < 0.01) still += passed;
    time = now.time;
    if (now.height !== shown) {
      shown = now.height;
      say({ event: 'picture', height: shown, line: name, after: (Date.now() - began) / 1000 });
    }
    if (reached === null && enough(shown)) reached = Date.now();
    if (reached !== null && Date.now() - reached >= HOLD) break;
  }
  say({
    event: 'line', line: name, height: shown, still: still / 1000,
    reached: reached === null ? null : (reached - began) / 1000,
  });
  if (shots) await page.screenshot({ path: join(shots, `ladder-${name}.png`) });
}

const heights = (await (await fetch(`${origin}/live/${channel}/index.m3u8`)).text()).matchAll(/RESOLUTION=\d+x(\d+)/g);
const best = Math.max(...[...heights].map((found) => Number(found[1])));
await watch('fast', (height) => height === best);
proxied.set(slow);
await watch('slow', (height) => height > 0 && height < best);
proxied.set(fast);
await watch('fast-again', (height) => height === best);
await browser.close();
process.exit(0);
