// What a viewer costs the origin with and without nginx before it, and how much later nginx answers those who wait.
//   node edge.mjs [viewers] [seconds] [rounds]
// Viewers ask for the next reload, which blocks, and then for each new part, as players do. Behind the edge the origin's
// time is that of the broadcast and of one viewer, so what a broadcast costs alone is taken off both.
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  cpuSeconds, fixture, freePort, heading, millrace, publish, quantile, record, seconds, start, stop, until,
} from './lib.mjs';

const [viewers = 200, length = 15, rounds = 2] = process.argv.slice(2).map(Number);
const file = fixture('2500k');
const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

/** Status and body of an address. */
const fetched = (url) =>
  new Promise((done, fail) => {
    get(url, { agent }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => done({ status: answer.statusCode, body: Buffer.concat(chunks) }));
      answer.on('error', fail);
    }).on('error', fail);
  });

/** What a playlist lists of parts, and what comes next. */
function read(text) {
  const parts = [];
  let msn = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)[1]);
  let index = 0;
  for (const line of text.split('\n')) {
    const part = /^#EXT-X-PART:.*URI="([^"]+)"/.exec(line);
    if (part) {
      parts.push({ msn, index, uri: part[1], gap: line.includes('GAP=YES') });
      index += 1;
    } else if (line !== '' && !line.startsWith('#')) {
      msn += 1;
      index = 0;
    }
  }
  return { parts, msn, index };
}

const state = { counting: false, parts: 0, bytes: 0, first: new Map(), late: [] };

async function view(rendition, over) {
  let next = read((await fetched(`${rendition}/index.m3u8`)).body.toString());
  while (!over()) {
    const { msn, index } = next;
    const reload = await fetched(`${rendition}/index.m3u8?_HLS_msn=${msn}&_HLS_part=${index}`);
    if (reload.status !== 200) throw new Error(`reload ${msn}.${index}: ${reload.status}`);
    const now = performance.now();
    const key = `${msn}.${index}`;
    if (!state.first.has(key)) state.first.set(key, now);
    if (state.counting) state.late.push(now - state.first.get(key));
    next = read(reload.body.toString());
    for (const part of next.parts.filter((part) => !part.gap && (part.msn > msn || (part.msn === msn && part.index >= index)))) {
      const { status, body } = await fetched(`${rendition}/${part.uri}`);
      if (status !== 200) throw new Error(`${part.uri}: ${status}`);
      if (state.counting) [state.parts, state.bytes] = [state.parts + 1, state.bytes + body.length];
    }
  }
}

/** nginx as we ship it, before this origin. */
async function edge(origin) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-edge-'));
  const shipped = resolve('docker_compose/nginx');
  const port = await freePort();
  const secrets = join(folder, 'secrets');
  writeFileSync(secrets, '');
  const site = readFileSync(join(shipped, 'millrace.conf.template'), 'utf8')
    .replaceAll('${MILLRACE_ORIGIN}', new URL(origin).host)
    .replaceAll('${MILLRACE_CHAT}', new URL(origin).host)
    .replaceAll('${MILLRACE_LISTEN}', `127.0.0.1:${port}`)
    .replaceAll('${MILLRACE_CACHE}', join(folder, 'cache'))
    .replaceAll('${MILLRACE_PLAYBACK_SECRETS}', secrets)
    .replaceAll('/dev/stdout', join(folder, 'access.log'));
  writeFileSync(join(folder, 'millrace.conf'), site);
  copyFileSync(join(shipped, 'playback.js'), join(folder, 'playback.js'));
  writeFileSync(join(folder, 'nginx.conf'), `
    load_module /usr/lib/nginx/modules/ngx_http_js_module.so;
    daemon off; user root; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log warn;
    events { worker_connections 8192; }
    http { client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
      uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s; include ${folder}/millrace.conf; }
  `);
  const child = start('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')]);
  return { child, pid: child.pid, url: `http://127.0.0.1:${port}` };
}

/** CPU seconds of the origin, and of nginx, per second of wall time, with so many viewers there. */
async function run(count, behind) {
  const server = await millrace({ MILLRACE_HLS__COUNT_REQUESTS: 'false' });
  const publisher = publish(file, `${server.rtmp}/studio`);
  const nginx = behind ? await edge(server.http) : undefined;
  const rendition = `${nginx?.url ?? server.http}/live/studio/main`;
  await until('a segment', async () => {
    const { status, body } = await fetched(`${rendition}/index.m3u8`).catch(() => ({}));
    return status === 200 && body.toString().includes('#EXTINF');
  });
  let over = false;
  Object.assign(state, { counting: false, parts: 0, bytes: 0, first: new Map(), late: [] });
  const watching = Array.from({ length: count }, () => view(rendition, () => over));
  await seconds(3);
  const before = [cpuSeconds(server.pid), nginx ? cpuSeconds(nginx.pid) : 0, performance.now()];
  state.counting = true;
  // Viewers end only by failing.
  await Promise.race([seconds(length), ...(count > 0 ? [Promise.all(watching)] : [])]);
  state.counting = false;
  const took = (performance.now() - before[2]) / 1000;
  const found = {
    origin: (cpuSeconds(server.pid) - before[0]) / took,
    nginx: nginx ? (cpuSeconds(nginx.pid) - before[1]) / took : 0,
    late: [...state.late],
    parts: state.parts / took,
  };
  over = true;
  await Promise.all(watching);
  await stop(publisher);
  if (nginx) await stop(nginx.child);
  await stop(server.child);
  return found;
}

const kinds = { alone: [0, false], direct: [viewers, false], behind: [viewers, true] };
const all = { alone: [], direct: [], behind: [] };
heading(`${viewers} viewers of one 2.5 Mbit/s stream, with and without nginx, ${rounds} turns of ${length} s`);
for (let round = 0; round < rounds; round += 1) {
  for (const [kind, [count, behind]] of Object.entries(kinds)) all[kind].push(await run(count, behind));
}
const mean = (kind, of) => all[kind].reduce((sum, one) => sum + of(one), 0) / rounds;
const alone = mean('alone', (one) => one.origin);
const perViewer = (kind) => ((mean(kind, (one) => one.origin) - alone) / viewers) * 1000;
const [direct, behind] = [perViewer('direct'), perViewer('behind')];
const ms = (value) => `${value.toFixed(3)} ms`;
record({ what: 'CPU of the origin for a viewer and second, without an edge', value: direct, unit: 'ms', digits: 3 });
record({
  what: 'the same behind nginx, ratio to without',
  value: behind / direct,
  unit: '',
  digits: 3,
  beside: `${ms(behind)} against ${ms(direct)}; the broadcast alone ${ms(alone * 1000)} a second`,
});
record({
  what: 'CPU of nginx for a viewer and second',
  value: (mean('behind', (one) => one.nginx) / viewers) * 1000,
  unit: 'ms',
  digits: 3,
});
for (const kind of ['direct', 'behind']) {
  const late = all[kind].flatMap((one) => one.late);
  record({
    what: `a reload's answer after that of the first viewer, ${kind === 'direct' ? 'without an edge' : 'behind nginx'}, p50`,
    value: quantile(late, 0.5),
    unit: 'ms',
    digits: 0,
    beside: `p99 ${quantile(late, 0.99).toFixed(0)} ms; ${mean(kind, (one) => one.parts).toFixed(0)} parts a second`,
  });
}
process.exit(0);
