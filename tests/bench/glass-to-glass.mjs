// Glass to glass: the wall clock is burned into each frame as a bar code, the frame goes through ffmpeg, the server and
// our page in Chromium, and the page's picture is read back.   node glass-to-glass.mjs [seconds] [latency…]
import { createRequire } from "node:module";
import { heading, millrace, quantile, record, seconds, start, stop, until } from "./lib.mjs";

const { chromium } = createRequire(new URL("../browser/package.json", import.meta.url))("playwright-core");
const [duration = "20", ...asked] = process.argv.slice(2);
const profiles = asked.length > 0 ? asked : ["ultra", "low", "normal"];

/** Seconds, by profile (those that have one). */
const BUDGETS = { ultra: 1.0, low: 1.4 };

const WIDTH = 640;
const HEIGHT = 360;
const RATE = 30;
const BITS = 32;
const CELL = WIDTH / BITS;
const BAND = 40;

/** A grey frame with `millis` (32 bits, most significant first) as black and white cells in its top band. */
function frame(millis, count) {
  const picture = Buffer.alloc((WIDTH * HEIGHT * 3) / 2, 128);
  for (let bit = 0; bit < BITS; bit += 1) {
    const value = (millis >>> (BITS - 1 - bit)) & 1 ? 235 : 16;
    for (let y = 0; y < BAND; y += 1) picture.fill(value, y * WIDTH + bit * CELL, y * WIDTH + (bit + 1) * CELL);
  }
  // Something that moves, so that the encoder has work.
  const x = (count * 4) % (WIDTH - 40);
  for (let y = 160; y < 240; y += 1) picture.fill(200, y * WIDTH + x, y * WIDTH + x + 40);
  return picture;
}

function camera(url) {
  const encoder = start("ffmpeg", [
    "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", `${WIDTH}x${HEIGHT}`, "-r", `${RATE}`,
    "-probesize", "32", "-fflags", "nobuffer", "-i", "pipe:0",
    "-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo",
    "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", `${2 * RATE}`, "-b:v", "1500k",
    "-c:a", "aac", "-flush_packets", "1", "-f", "flv", url,
  ]);
  encoder.stdin.on("error", () => {});
  const began = performance.now();
  let count = 0;
  const timer = setInterval(() => {
    while (performance.now() - began >= (count * 1000) / RATE) {
      encoder.stdin.write(frame(Date.now() >>> 0, count));
      count += 1;
    }
  }, 2);
  return async () => {
    clearInterval(timer);
    encoder.stdin.destroy();
    await stop(encoder);
  };
}

/** In the page: reads the bar code of every presented frame for `duration` seconds and returns latencies in ms. */
const watch = ({ duration, BITS, CELL, BAND, WIDTH, HEIGHT }) =>
  new Promise((done) => {
    const video = document.querySelector("video");
    const canvas = new OffscreenCanvas(WIDTH, BAND);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const latencies = [];
    const end = performance.now() + duration * 1000;
    const read = () => {
      context.drawImage(video, 0, 0, video.videoWidth, (video.videoHeight * BAND) / HEIGHT, 0, 0, WIDTH, BAND);
      const { data } = context.getImageData(0, BAND / 2, WIDTH, 1);
      let millis = 0;
      for (let bit = 0; bit < BITS; bit += 1) {
        millis = millis * 2 + (data[Math.floor((bit + 0.5) * CELL) * 4] > 127 ? 1 : 0);
      }
      const latency = (Date.now() % 2 ** 32) - millis;
      if (latency > 0 && latency < 60_000) latencies.push(latency);
      if (performance.now() < end) video.requestVideoFrameCallback(read);
      else done(latencies);
    };
    video.requestVideoFrameCallback(read);
  });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
});
heading(`Glass to glass in Chromium, ${WIDTH}x${HEIGHT} at ${RATE} frames per second, ${duration} s each, milliseconds`);
for (const latency of profiles) {
  const server = await millrace({ MILLRACE_LATENCY: latency });
  const endCamera = camera(`${server.rtmp}/bench`);
  await until("the broadcast", async () => (await fetch(`${server.http}/live/bench/index.m3u8`)).ok);
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(`${server.http}/@bench`);
  await page.waitForFunction(() => document.querySelector("video")?.currentTime > 0, undefined, { timeout: 20_000 });
  // The player begins at the hold-back and needs a moment to settle.
  await seconds(10);
  const found = await page.evaluate(watch, { duration: Number(duration), BITS, CELL, BAND, WIDTH, HEIGHT });
  const shown = (q) => quantile(found, q).toFixed(0);
  record({
    what: `glass to glass, ${latency}, p50`,
    value: quantile(found, 0.5) / 1000,
    unit: "s",
    budget: BUDGETS[latency],
    beside: `p95 ${shown(0.95)} ms, least ${shown(0)} ms, ${found.length} frames`,
  });
  await page.close();
  await endCamera();
  await stop(server.child);
}
await browser.close();
process.exit(0);
