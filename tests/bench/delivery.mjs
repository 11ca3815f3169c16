// CPU time of the server per gigabyte delivered to viewers of one broadcast, beside a bare loop that writes answers of
// the same length as often to as many sockets, and beside nginx that has them as a file, in turns.
//   node delivery.mjs [viewers] [seconds] [rounds]
import { addresses, fixture, heading, load, millrace, nginxFile, perGigabyte, record, stop } from "./lib.mjs";

const [viewers = 1000, seconds = 8, rounds = 2] = process.argv.slice(2).map(Number);
const file = fixture("2500k");

async function ours(mode) {
  const server = await millrace();
  const found = await load("watch", { ...addresses(server), pid: server.pid, file, mode, viewers, seconds });
  await stop(server.child);
  return found;
}

/** The same length, as often, of a bare loop or of `peer`: segments one viewer after the other, parts all at once. */
const others = (of, spread, peer = {}) =>
  load("floor", {
    viewers,
    seconds,
    bytes: Math.round(of.media.mean_bytes),
    every: Math.round((of.seconds * 1000 * viewers) / of.media.answers),
    ...(spread && { spread }),
    ...peer,
  });

async function nginx(of, spread) {
  const { child, pid, address: peer } = await nginxFile(Math.round(of.media.mean_bytes));
  const found = await others(of, spread, { peer, pid, path: "/file" });
  await stop(child);
  return found;
}

const runs = { segments: [], segmentFloor: [], segmentNginx: [], hints: [], partFloor: [], partNginx: [], reloads: [] };
for (let round = 0; round < rounds; round += 1) {
  for (const [mode, what, spread] of [["segments", "segment", true], ["hints", "part", false]]) {
    const found = await ours(mode);
    runs[mode].push(found);
    runs[`${what}Floor`].push(await others(found, spread));
    runs[`${what}Nginx`].push(await nginx(found, spread));
  }
  runs.reloads.push(await ours("reloads"));
}

heading(`CPU per gigabyte delivered to ${viewers} viewers of one 2.5 Mbit/s stream, ${rounds} turns of ${seconds} s, seconds`);
const cost = Object.fromEntries(Object.entries(runs).map(([name, found]) => [name, perGigabyte(found)]));
const row = (what, name, under, beside, budget) =>
  record({
    what: `CPU per GB, ${what}, ratio to ${beside}`,
    value: cost[name] / cost[under],
    unit: "",
    budget,
    beside: `${cost[name].toFixed(3)} s against ${cost[under].toFixed(3)} s`,
  });
// 0.22 and 0.35 s per GB where the bare loop takes 0.19 and nginx 0.20.
const [loop, nginxName] = ["a bare write loop", "nginx with a file"];
row("segments", "segments", "segmentFloor", loop, 1.16);
row("segments", "segments", "segmentNginx", nginxName, 1.1);
row("parts", "hints", "partFloor", loop, 1.84);
row("parts", "hints", "partNginx", nginxName, 1.75);
row("parts with a reload before each", "reloads", "partFloor", loop);
process.exit(0);
