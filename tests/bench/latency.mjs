// Part latency: from the write of the last picture of a part by the publisher to the first byte of the answer that a
// viewer had waited for. Publisher and viewers are one program with one clock.   node latency.mjs [seconds]
import { addresses, fixture, heading, load, millrace, record, stop } from "./lib.mjs";

const [seconds = 15] = process.argv.slice(2).map(Number);
const file = fixture("2500k");

heading("Part latency, milliseconds");
for (const [streams, viewers, budget, factor] of [[1, 1, 5, 3], [50, 1000, 20, 1]]) {
  for (const mode of ["hints", "reloads"]) {
    const server = await millrace();
    const found = await load("watch", {
      ...addresses(server), pid: server.pid, file, mode, streams, viewers, seconds: seconds * factor,
    });
    await stop(server.child);
    const { latency_ms: latency, answers, asked_before: waited } = mode === "hints" ? found.media : found.reloads;
    const among = `${streams} stream${streams > 1 ? "s" : ""}, ${viewers} viewer${viewers > 1 ? "s" : ""}`;
    const cores = (cpu) => (cpu / found.seconds).toFixed(2);
    record({
      what: `${mode === "hints" ? "hinted part" : "blocked reload"}, ${among}, p99`,
      value: latency.p99,
      unit: "ms",
      budget,
      beside:
        `p50 ${latency.p50.toFixed(2)} ms, most ${latency.max.toFixed(2)} ms, ${answers} answers, ` +
        `${((100 * waited) / answers).toFixed(0)} % waited`,
    });
    console.log(
      `    cores: server ${cores(found.server_cpu_seconds)}, load ${cores(found.client_cpu_seconds)}; ` +
        `publishers late by p99 ${found.publisher_late_ms.p99.toFixed(1)} ms`,
    );
    if (mode === "reloads") {
      const { p50, p99 } = found.media.latency_ms;
      console.log(`    the part itself, asked for after the reload: p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}`);
    }
  }
}
process.exit(0);
