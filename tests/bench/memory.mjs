// Resident memory: idle, per idle RTMP connection, and per live stream once its window and all that must stay
// downloadable is full.   node memory.mjs [streams] [seconds]
import { readFileSync, statSync } from "node:fs";
import { addresses, fixture, heading, load, millrace, record, seconds, startLoad, stop } from "./lib.mjs";

// A stream keeps a window of 8 target durations (32 s), and as much and 3 target durations (44 s) that has left it.
const [streams = 8, fill = 90] = process.argv.slice(2).map(Number);
const file = fixture("2500k");
const KEPT_SECONDS = 76;
const CONNECTIONS = 1000;
const MIB = 1 << 20;

const resident = (pid) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;

const server = await millrace();
const { rtmp } = addresses(server);
await fetch(`${server.http}/readyz`);
await seconds(2);
const base = resident(server.pid);
const publisher = startLoad("publish", { rtmp, file, streams });
await seconds(fill);
const full = resident(server.pid);
await stop(publisher);
await stop(server.child);

const other = await millrace();
const idle = await load("idle", { rtmp: addresses(other).rtmp, pid: other.pid, connections: CONNECTIONS });
await stop(other.child);

heading("Resident memory");
record({ what: "memory, idle", value: base / MIB, unit: "MiB", digits: 1, budget: 40 });
const rate = statSync(file).size / 10;
const budget = (1.3 * rate * KEPT_SECONDS) / MIB;
record({
  what: "memory per live stream of 2.5 Mbit/s",
  value: (full - base) / streams / MIB,
  unit: "MiB",
  digits: 1,
  budget: Number(budget.toFixed(1)),
  beside: `${streams} streams after ${fill} s; ${KEPT_SECONDS} s of media are ${((rate * KEPT_SECONDS) / MIB).toFixed(1)} MiB`,
});
record({
  what: "memory per idle RTMP connection",
  value: (idle.resident_after - idle.resident_before) / idle.connections / 1024,
  unit: "KiB",
  digits: 1,
  beside: `${idle.connections} after the handshake`,
});
process.exit(0);
