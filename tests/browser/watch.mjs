// Watches a broadcast in Chromium and prints one line of JSON per sample until its standard input ends.
//
//   node watch.mjs --mode stock --url http://…/live/studio/index.m3u8
//   node watch.mjs --mode page  --url http://…/@studio
//
// `stock` is a bare page with unmodified hls.js; `page` is whatever the server shows at the URL.
import { launch, options, say, serveStockPage } from './lib.mjs';

const { mode, url, every, autoplay, screenshot } = options({
  mode: 'stock', url: '', every: '250', autoplay: 'yes', screenshot: '',
});

const browser = await launch({ autoplay: autoplay === 'yes' });
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const page = await context.newPage();
const complaints = [];
let navigations = 0;
page.on('pageerror', (error) => complaints.push(String(error)));
page.on('console', (message) => {
  if (message.type() === 'error') complaints.push(message.text());
});
// Documents that were loaded; what a router does within one does not count.
page.on('domcontentloaded', () => { navigations += 1; });
const stock = mode === 'stock' ? await serveStockPage(url) : null;
await page.goto(stock ? stock.url : url, { waitUntil: 'domcontentloaded' });

// What runs in the page.
const look = () => {
  const video = document.querySelector('video');
  const root = document.querySelector('[data-state]');
  const state = {
    state: root?.dataset.state ?? null,
    shownLatency: root?.dataset.latency ? Number(root.dataset.latency) : null,
    shownMuted: root?.dataset.muted ?? null,
    errors: window.errors ?? [],
    edge: window.edge ?? null,
  };
  if (!video) return { ...state, video: false };
  const quality = video.getVideoPlaybackQuality();
  // A coarse fingerprint of the picture: it changes when the picture moves.
  let picture = null;
  if (video.videoWidth > 0) {
    const canvas = (window.canvasOfTest ??= Object.assign(document.createElement('canvas'), { width: 32, height: 18 }));
    const drawing = canvas.getContext('2d', { willReadFrequently: true });
    drawing.drawImage(video, 0, 0, 32, 18);
    picture = drawing.getImageData(0, 0, 32, 18).data.reduce((sum, value, at) => (sum * 31 + value * (at % 7 + 1)) % 1000000007, 7);
  }
  const ranges = video.buffered;
  return {
    ...state,
    video: true,
    time: video.currentTime,
    frames: quality.totalVideoFrames,
    dropped: quality.droppedVideoFrames,
    audioBytes: video.webkitAudioDecodedByteCount ?? 0,
    paused: video.paused,
    muted: video.muted,
    rate: video.playbackRate,
    ready: video.readyState,
    ended: video.ended,
    width: video.videoWidth,
    height: video.videoHeight,
    buffered: ranges.length ? ranges.end(ranges.length - 1) - video.currentTime : 0,
    latency: window.hls ? window.hls.latency : null,
    picture,
  };
};

// Playwright's own `evaluate` counts as a gesture of the person, which would lift the autoplay rule.
const inspector = await context.newCDPSession(page);
const sample = async () => {
  const { result, exceptionDetails } = await inspector.send('Runtime.evaluate', {
    expression: `(${look})()`, returnByValue: true, userGesture: false,
  });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
};

let stopping = false;
process.stdin.on('end', () => { stopping = true; });
process.stdin.on('data', async (data) => {
  for (const word of data.toString().split('\n').map((w) => w.trim()).filter(Boolean)) {
    if (word === 'stop') stopping = true;
    // Loudness while it plays: the largest swing the analyser sees within a second.
    if (word === 'listen') {
      const swing = await page.evaluate(async () => {
        const video = document.querySelector('video');
        const audio = new AudioContext();
        await audio.resume();
        const analyser = audio.createAnalyser();
        audio.createMediaElementSource(video).connect(analyser);
        analyser.connect(audio.destination);
        const samples = new Float32Array(analyser.fftSize);
        let most = 0;
        for (let i = 0; i < 40; i += 1) {
          await new Promise((done) => setTimeout(done, 25));
          analyser.getFloatTimeDomainData(samples);
          most = Math.max(most, ...samples.map(Math.abs));
        }
        return most;
      }).catch((error) => String(error));
      say({ loudness: swing });
    }
    if (word.startsWith('click ')) {
      const clicked = await page.click(word.slice(6), { timeout: 5000 }).then(() => true, (error) => String(error));
      say({ clicked });
    }
    if (word.startsWith('press ')) {
      await page.keyboard.press(word.slice(6));
      say({ pressed: word.slice(6) });
    }
    if (word.startsWith('shot ')) {
      await page.screenshot({ path: word.slice(5) });
      say({ shot: word.slice(5) });
    }
  }
});

const start = Date.now();
while (!stopping) {
  const now = await sample().catch((error) => ({ failed: String(error) }));
  say({ at: (Date.now() - start) / 1000, navigations, complaints: complaints.slice(-5), ...now });
  await new Promise((done) => setTimeout(done, Number(every)));
}
if (screenshot) await page.screenshot({ path: screenshot });
await browser.close();
stock?.close();
process.exit(0);
