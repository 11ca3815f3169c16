// CPU time per published stream: Millrace making Low-Latency HLS beside nginx-rtmp making plain HLS, taking turns in
// one run with the same publishers.   node cpu-per-stream.mjs [streams] [seconds] [rounds]
import { readdirSync } from "node:fs";
import {
  cpuSeconds, fixture, heading, millrace, nginxRtmp, publish, quantile, record, seconds, stop, until,
} from "./lib.mjs";

const [streams = 10, duration = 15, rounds = 2] = process.argv.slice(2).map(Number);
const file = fixture("2500k");
const names = Array.from({ length: streams }, (_, index) => `bench_${index}`);

async function nginx() {
  const server = await nginxRtmp();
  const live = () => readdirSync(server.hls).filter((name) => name.endsWith(".m3u8")).length;
  return { name: "nginx-rtmp", live, ...server };
}

async function ours() {
  const server = await millrace();
  const live = async () => (await (await fetch(`${server.http}/api/v1/streams`)).json()).items.length;
  return { name: "millrace", live, ...server };
}

async function measure(make) {
  const server = await make();
  const publishers = await until(`${server.name} to listen`, () =>
    publishAll(server).catch(() => undefined));
  await until(`${streams} live streams on ${server.name}`, async () => (await server.live()) >= streams);
  const before = cpuSeconds(server.pid);
  const began = performance.now();
  await seconds(duration);
  const used = cpuSeconds(server.pid) - before;
  const elapsed = (performance.now() - began) / 1000;
  await Promise.all(publishers.map(stop));
  await stop(server.child);
  return (used * 1000) / (streams * elapsed);
}

async function publishAll(server) {
  const { hostname, port } = new URL(server.rtmp.replace("rtmp:", "http:"));
  const { connect } = await import("node:net");
  await new Promise((done, fail) => {
    const socket = connect(Number(port), hostname, () => (socket.destroy(), done()));
    socket.on("error", fail);
  });
  return names.map((name) => publish(file, `${server.rtmp}/${name}`));
}

const results = { millrace: [], nginx: [] };
for (let round = 0; round < rounds; round += 1) {
  results.millrace.push(await measure(ours));
  results.nginx.push(await measure(nginx));
}
const [a, b] = [quantile(results.millrace, 0.5), quantile(results.nginx, 0.5)];
const list = (values) => values.map((value) => value.toFixed(2)).join(" ");
heading(`CPU per stream-second, ${streams} streams of 2.5 Mbit/s, ${rounds} turns of ${duration} s, milliseconds`);
console.log(`  millrace (LL-HLS)      median ${a.toFixed(2)}   (${list(results.millrace)})`);
console.log(`  nginx-rtmp (HLS)       median ${b.toFixed(2)}   (${list(results.nginx)})`);
record({
  what: "CPU per published stream, ratio to nginx-rtmp",
  value: a / b,
  unit: "",
  // 0.7 ms against 1.84 ms, both on a quiet machine.
  budget: 0.38,
  beside: `${a.toFixed(2)} ms against ${b.toFixed(2)} ms per second`,
});
process.exit(0);
