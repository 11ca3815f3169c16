// What the measurements share: processes that end with this one, CPU time from /proc, conditions with a deadline.
import { execFile, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { homedir, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"]).toString());
const children = new Set();

process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

export const temporary = () => mkdtempSync(join(tmpdir(), "millrace-bench-"));

export function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["pipe", "ignore", "inherit"], ...options });
  children.add(child);
  child.ended = new Promise((done) => child.on("exit", (code) => (children.delete(child), done(code))));
  return child;
}

export async function stop(child) {
  child.kill("SIGTERM");
  await child.ended;
}

/** Asks `condition` until it answers something true; fails after `seconds`. */
export async function until(what, condition, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s for ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

export const seconds = (count) => new Promise((wake) => setTimeout(wake, count * 1000));

export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** CPU seconds (user and system) that a process and its children have used so far. */
export function cpuSeconds(pid) {
  const own = (id) => {
    const fields = readFileSync(`/proc/${id}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  };
  const childrenOf = (id) =>
    readdirSync(`/proc/${id}/task`).flatMap((task) =>
      readFileSync(`/proc/${id}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean));
  return [pid, ...childrenOf(pid)].reduce((sum, id) => sum + own(id), 0);
}

/** Starts the release binary on free ports; anyone may publish. */
export function startMillrace(environment = {}) {
  const binary = resolve(process.env.BENCH_BINARY ?? "target/release/millrace");
  const any = "127.0.0.1:0";
  return start(binary, ["serve"], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...process.env,
      MILLRACE_DATA_DIR: temporary(),
      MILLRACE_HTTP_ADDR: any,
      MILLRACE_RTMP_ADDR: any,
      MILLRACE_METRICS_ADDR: any,
      MILLRACE_PUBLISH_AUTH: "open",
      MILLRACE_LOG_FORMAT: "json",
      ...environment,
    },
  });
}

/** The same, resolved when it is ready. */
export async function millrace(environment = {}) {
  const child = startMillrace(environment);
  const ready = new Promise((done, fail) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      const { level, fields } = JSON.parse(line);
      if (fields.message === "ready") done(fields);
      else if (level === "ERROR") console.error(line);
    });
    child.ended.then((code) => fail(new Error(`millrace ended with ${code}`)));
  });
  const fields = await ready;
  return { child, pid: child.pid, rtmp: `rtmp://${fields["rtmp.addr"]}/live`, http: `http://${fields["http.addr"]}` };
}

/** Debian's nginx with libnginx-mod-rtmp, making HLS of two seconds, on a free port. */
export async function nginxRtmp() {
  const folder = temporary();
  const port = await freePort();
  const hls = join(folder, "hls");
  mkdirSync(hls);
  writeFileSync(join(folder, "nginx.conf"), `
    load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
    daemon off; user root; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log warn;
    events { worker_connections 1024; }
    rtmp { server { listen 127.0.0.1:${port}; chunk_size 4096; access_log off;
      application live { live on; hls on; hls_path ${hls}; hls_fragment 2s; } } }
  `);
  const child = start("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")]);
  return { child, pid: child.pid, address: `127.0.0.1:${port}`, rtmp: `rtmp://127.0.0.1:${port}/live`, hls };
}

/** Debian's nginx with a file of so many bytes, on a free port. */
export async function nginxFile(bytes) {
  const folder = temporary();
  const port = await freePort();
  writeFileSync(join(folder, "file"), randomBytes(bytes));
  writeFileSync(join(folder, "nginx.conf"), `
    daemon off; user root; worker_processes 1; worker_rlimit_nofile 20000; pid ${folder}/pid; error_log ${folder}/error.log warn;
    events { worker_connections 10000; }
    http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=10;
      server { listen 127.0.0.1:${port} backlog=4096; root ${folder}; } }
  `);
  const child = start("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")]);
  const worker = () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
  return { child, pid: await until("nginx's worker", worker), address: `127.0.0.1:${port}` };
}

/** Runs the load program (`tests/load`) and answers what it found. */
export async function load(command, options) {
  const binary = resolve(process.env.BENCH_LOAD ?? "target/release/millrace-load");
  const { stdout } = await promisify(execFile)(binary, loadArguments(command, options));
  return JSON.parse(stdout);
}

/** Starts the load program and leaves it running. */
export const startLoad = (command, options) =>
  start(resolve(process.env.BENCH_LOAD ?? "target/release/millrace-load"), loadArguments(command, options));

const loadArguments = (command, options) => [
  command,
  ...Object.entries(options).flatMap(([name, value]) => (value === true ? [`--${name}`] : [`--${name}`, `${value}`])),
];

/** What the load program needs to find a server of ours. */
export const addresses = (server) => ({
  http: new URL(server.http).host,
  rtmp: new URL(server.rtmp.replace("rtmp:", "http:")).host,
});

/** CPU seconds the server spent per gigabyte of media, over several runs of the load program. */
export function perGigabyte(runs) {
  const sum = (of) => runs.reduce((total, run) => total + of(run), 0);
  return sum((run) => run.server_cpu_seconds) / (sum((run) => run.media.bytes) / 1e9);
}

/**
 * Prints a result and keeps it for the table at the end. `budget` is the most that `value` may be; `beside` says what
 * the same run measured for comparison. A missed budget is said, and is no failure.
 */
export function record({ what, value, unit, digits = 2, budget, beside = "" }) {
  const row = { what, shown: `${value.toFixed(digits)} ${unit}`.trim(), beside, budget: "", verdict: "" };
  if (budget !== undefined) {
    row.budget = `${budget} ${unit}`.trim();
    row.verdict = value <= budget ? "met" : "MISSED";
  }
  console.log(`  ${what}: ${row.shown}${beside && `   (${beside})`}${row.budget && `   budget ${row.budget}: ${row.verdict}`}`);
  if (process.env.BENCH_RESULTS) appendFileSync(process.env.BENCH_RESULTS, `${JSON.stringify(row)}\n`);
}

/** A heading, with how busy the machine is otherwise. */
export const heading = (text) => console.log(`${text}   [load average ${loadavg()[0].toFixed(1)}]`);

/** Ten seconds of 720p30 with a tone and a keyframe every two, made once: `bitrate` is ffmpeg's, as `2500k`. */
export function fixture(bitrate) {
  const folder = join(homedir(), ".cache/millrace/bench");
  const path = join(folder, `720p30-${bitrate}-gop2s.flv`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  execFileSync("ffmpeg", [
    "-loglevel", "error", "-y", "-t", "10",
    "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30,noise=alls=20:allf=t",
    "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
    "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "60",
    // The test picture looks like a cut every few frames; only the interval may make keyframes.
    "-sc_threshold", "0", "-b:v", bitrate, "-maxrate", bitrate, "-bufsize", bitrate, "-c:a", "aac", "-b:a", "128k", "-t", "10",
    "-f", "flv", `${path}.new`,
  ]);
  renameSync(`${path}.new`, path);
  return path;
}

/** Publishes a file over and over in real time, without encoding. */
export const publish = (file, url) =>
  start("ffmpeg", ["-loglevel", "error", "-re", "-stream_loop", "-1", "-i", file, "-c", "copy", "-f", "flv", url]);

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}
