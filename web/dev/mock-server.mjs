/**
 * A stand-in for the server, to work on the app without it: `npm run build && npm run mock`, or `npm run mock` beside
 * `npm run dev`. Serves the built app under the real Content-Security-Policy, a made-up list of channels, and one
 * channel that plays (`demo`: a test picture by ffmpeg as plain live HLS). Other channels take any state:
 * `/mock/demo?state=live|interrupted|offline|down`. Its chat is in mock-chat.mjs.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mockChat } from './mock-chat.mjs';

const PORT = Number(process.env.PORT ?? 8080);
const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const media = mkdtempSync(join(tmpdir(), 'millrace-mock-'));
const CSP =
  "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; img-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.mp4': 'video/mp4',
  '.m4s': 'video/mp4',
};

const encoder = spawn(
  'ffmpeg',
  `-loglevel error -re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=330:beep_factor=4
   -c:v libx264 -preset ultrafast -tune zerolatency -g 30 -b:v 2500k -pix_fmt yuv420p -c:a aac -ac 2
   -f hls -hls_time 1 -hls_list_size 12 -hls_segment_type fmp4 -master_pl_name index.m3u8
   -hls_flags program_date_time+independent_segments+delete_segments ${join(media, 'media.m3u8')}`.split(/\s+/),
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    encoder.kill();
    rmSync(media, { recursive: true, force: true });
    process.exit(0);
  });
}

const startedAt = new Date().toISOString();
const stream = (channel, viewers, minutes, more = {}) => ({
  channel,
  broadcast: '019a2f00-0000-7000-8000-000000000000',
  state: 'live',
  started_at: minutes ? new Date(Date.now() - minutes * 60_000).toISOString() : startedAt,
  viewers,
  title: '',
  category: '',
  tags: [],
  language: '',
  encoder: 'obs-output module (libobs version 29.0.2)',
  playback_url: `/live/${channel}/index.m3u8`,
  health: {
    video: {
      codec: 'avc1.64001f',
      width: 1280,
      height: 720,
      frame_rate: 30,
      keyframe_interval: 1,
      bitrate: 2_500_000,
      b_frames: false,
    },
    audio: { codec: 'mp4a.40.2', sample_rate: 48_000, channels: 2, bitrate: 128_000 },
    bitrate: 2_628_000,
    warnings: [],
  },
  ...more,
});
const states = new Map([['demo', 'live']]);
const lists = {
  full: () => [
    stream('demo', 12, 0),
    stream('night_train', 1834, 127),
    stream('pottery_hour', 246, 41),
    stream('chess_cellar', 58, 220),
    stream('lofi_mill', 731, 900, { state: 'interrupted' }),
    stream('ada_codes', 1, 3),
  ],
  one: () => [stream('demo', 12, 0)],
  none: () => [],
};
let list = 'full';
const chat = mockChat();

function problem(response, status, title, detail) {
  response.writeHead(status, { 'content-type': 'application/problem+json', 'cache-control': 'max-age=1' });
  response.end(JSON.stringify({ type: 'about:blank', title, status, detail }));
}

function json(response, value) {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

async function file(response, folder, name) {
  try {
    const body = await readFile(join(folder, normalize(name)));
    response.writeHead(200, {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'content-security-policy': CSP,
      'cache-control': 'no-cache',
    });
    response.end(body);
    return true;
  } catch {
    return false;
  }
}

function find(channel) {
  const state = states.get(channel) ?? 'offline';
  if (state === 'offline') return null;
  const until = new Date(Date.now() + 24_000).toISOString();
  const warnings = [
    {
      code: 'keyframe_interval',
      sentence: 'Your encoder sends a keyframe every 8.3 s. Set the keyframe interval to 2 s, so that viewers join faster.',
    },
  ];
  const base = stream(channel, 12, 0);
  return state === 'interrupted'
    ? { ...base, state, interrupted_until: until }
    : { ...base, health: { ...base.health, warnings: channel === 'demo' && list === 'one' ? warnings : [] } };
}

/** The REST side of the chat. */
async function talk(request, response, url) {
  const [, , , , channel, , ...rest] = url.pathname.split('/');
  let text = '';
  for await (const chunk of request) text += chunk;
  const { status = 404, body } = chat.rest(request.method, channel, rest, url.searchParams, text ? JSON.parse(text) : {}) ?? {};
  if (status >= 400) problem(response, status, 'Not found', 'There is no such thing.');
  else if (body === undefined) response.writeHead(status).end();
  else json(response, body);
}

createServer((request, response) => {
  const url = new URL(request.url, 'http://mock');
  const [, first, channel, ...rest] = url.pathname.split('/');
  const state = states.get(channel) ?? 'offline';
  if (first === 'mock') {
    if (url.searchParams.has('state')) states.set(channel, url.searchParams.get('state'));
    if (url.searchParams.has('list')) list = url.searchParams.get('list');
    if (channel) chat.control(channel, url.searchParams);
    json(response, Object.fromEntries(states));
  } else if (list === 'down' && first === 'api') problem(response, 503, 'Unavailable', 'The server is starting.');
  else if (url.pathname === '/api/v1/streams') json(response, { items: lists[list](), next_cursor: null });
  else if (url.pathname.startsWith('/api/v1/streams/')) {
    const found = find(rest[1]);
    if (found) json(response, found);
    else problem(response, 404, 'Not live', 'This channel is not live.');
  } else if (url.pathname === '/api/v1/me') {
    const person = chat.me();
    if (person) json(response, person);
    else problem(response, 401, 'Not signed in', 'Sign in, then try again.');
  } else if (/^\/api\/v1\/channels\/[a-z0-9_]+\/chat/.test(url.pathname)) void talk(request, response, url);
  else if (first === 'api') problem(response, 404, 'Not found', 'The mock server has no accounts and no channels.');
  else if (first === 'live') {
    if (state === 'down') request.socket.destroy();
    else if (state === 'offline') problem(response, 404, 'Not live', 'This channel is not live.');
    else void file(response, media, rest.join('/')).then((ok) => ok || problem(response, 404, 'Gone', 'No such file.'));
  } else {
    const name = extname(url.pathname) ? url.pathname : 'index.html';
    void file(response, DIST, name).then((ok) => ok || problem(response, 404, 'Not found', 'No such file.'));
  }
})
  .on('upgrade', chat.upgrade)
  .listen(PORT, '127.0.0.1', () => process.stdout.write(`mock server on http://127.0.0.1:${PORT}\n`));
