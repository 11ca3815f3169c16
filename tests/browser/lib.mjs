// What the scripts share: Chromium, a page for stock hls.js, and lines of JSON to the test that started them.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);

export function options(defaults) {
  const given = { ...defaults };
  const words = process.argv.slice(2);
  for (let i = 0; i < words.length; i += 2) {
    const name = words[i].replace(/^--/, '');
    if (!(name in defaults)) throw new Error(`unknown option ${words[i]}`);
    given[name] = words[i + 1];
  }
  return given;
}

export function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Starts Debian's Chromium. `autoplay: false` keeps the browser's own rule that sound needs a gesture. */
export async function launch({ autoplay = true } = {}) {
  const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
  if (!existsSync(executablePath)) throw new Error(`no Chromium at ${executablePath}; set CHROMIUM`);
  const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--mute-audio=false'];
  args.push(`--autoplay-policy=${autoplay ? 'no-user-gesture-required' : 'document-user-activation-required'}`);
  return chromium.launch({ executablePath, args, headless: true });
}

/** Serves a bare page with stock hls.js, configured as its documentation's first example is. */
export async function serveStockPage(playlist) {
  const script = await readFile(require.resolve('hls.js/dist/hls.min.js'));
  const html = `<!doctype html><meta charset="utf-8"><title>stock hls.js</title>
<video id="video" playsinline controls width="640"></video>
<script src="/hls.js"></script>
<script>
  window.errors = [];
  window.requests = [];
  const video = document.getElementById('video');
  const hls = new Hls({ lowLatencyMode: true });
  window.hls = hls;
  hls.on(Hls.Events.ERROR, (_, data) => errors.push({ details: data.details, fatal: data.fatal, at: performance.now() }));
  hls.on(Hls.Events.LEVEL_UPDATED, (_, data) => {
    window.edge = { msn: data.details.endSN, live: data.details.live, sequence: data.details.startSN };
  });
  hls.loadSource(${JSON.stringify(playlist)});
  hls.attachMedia(video);
  video.play();
</script>`;
  const server = createServer((request, response) => {
    if (request.url === '/hls.js') response.setHeader('content-type', 'text/javascript').end(script);
    else if (request.url === '/') response.setHeader('content-type', 'text/html').end(html);
    else response.writeHead(404).end();
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
