// How soon: from starting the process to ready, and from a publisher's connect to the first playlist that can be played,
// beside nginx-rtmp.   node start.mjs [rounds]
import { connect } from "node:net";
import {
  addresses, fixture, freePort, heading, load, millrace, nginxRtmp, quantile, record, seconds, startMillrace, stop, until,
} from "./lib.mjs";

const [rounds = 10] = process.argv.slice(2).map(Number);
const file = fixture("2500k");

/** Asks for /readyz on a fresh connection; whether the answer is 200. */
const ready = (port) =>
  new Promise((answer) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("GET /readyz HTTP/1.0\r\nHost: a\r\n\r\n"));
    socket.on("data", (data) => (socket.destroy(), answer(/^HTTP\/1\.[01] 200 /.test(data.toString("latin1")))));
    socket.on("error", () => answer(false));
  });

async function startToReady() {
  const port = await freePort();
  const began = performance.now();
  const child = startMillrace({ MILLRACE_HTTP_ADDR: `127.0.0.1:${port}` });
  child.stderr.resume();
  while (!(await ready(port))) await seconds(0.001);
  const took = performance.now() - began;
  await stop(child);
  return took;
}

heading("How soon");
const starts = [];
for (let round = 0; round < rounds; round += 1) starts.push(await startToReady());
record({
  what: "process start to /readyz 200, median",
  value: quantile(starts, 0.5),
  unit: "ms",
  digits: 0,
  budget: 300,
  beside: `${rounds} starts, most ${Math.max(...starts).toFixed(0)} ms`,
});

const server = await millrace();
const ours = await load("first", { ...addresses(server), file, rounds });
await stop(server.child);
const nginx = await nginxRtmp();
await until("nginx to listen", () =>
  new Promise((answer) => {
    const socket = connect(Number(nginx.address.split(":")[1]), "127.0.0.1", () => (socket.destroy(), answer(true)));
    socket.on("error", () => answer(false));
  }));
const theirs = await load("first", { rtmp: nginx.address, folder: nginx.hls, file, rounds });
await stop(nginx.child);
record({
  what: "publisher's connect to first playable playlist, median",
  value: ours.first_playlist_ms.p50 / 1000,
  unit: "s",
  budget: 0.7,
  beside: `most ${(ours.first_playlist_ms.max / 1000).toFixed(2)} s; nginx-rtmp ${(theirs.first_playlist_ms.p50 / 1000).toFixed(2)} s`,
});
process.exit(0);
