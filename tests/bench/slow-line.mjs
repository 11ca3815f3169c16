// What a viewer notices of a line that goes from 10 to 1 Mbit/s and back: our page in Chromium behind a proxy that lets no more
// through, with the rungs 480p, 360p and 240p of 720p with 2.5 Mbit/s.   node slow-line.mjs [seconds a stretch]
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fixture, heading, millrace, publish, record, stop, until } from "./lib.mjs";

const [hold = "15"] = process.argv.slice(2);
const RUNGS = [[480, 1_400_000], [360, 600_000], [240, 300_000]];
const server = await millrace({
  MILLRACE_TRANSCODE__LADDER__MODE: "always",
  MILLRACE_TRANSCODE__LADDER__RUNGS: `[${RUNGS.map(([height, bitrate]) => `{height=${height},bitrate=${bitrate}}`)}]`,
});
const publisher = publish(fixture("2500k"), `${server.rtmp}/studio`);
await until("the broadcast", async () => (await fetch(`${server.http}/live/studio/index.m3u8`)).ok);
const script = fileURLToPath(new URL("../browser/ladder.mjs", import.meta.url));
const options = { origin: server.http, channel: "studio", fast: 10e6, slow: 1e6, patience: 60, hold };
const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
const { stdout } = await promisify(execFile)("node", [script, ...words]);
publisher.kill("SIGKILL");
await stop(server.child);
const said = stdout.trim().split("\n").map((line) => JSON.parse(line));
heading("Our page on a line of 10, then 1, then 10 Mbit/s");
for (const { line, after, height } of said.filter(({ event }) => event === "picture")) {
  console.log(`  ${line}: ${height}p after ${after.toFixed(1)} s`);
}
for (const { line, still, reached, height } of said.filter(({ event, line }) => event === "line" && line !== "fast")) {
  record({
    what: `seconds that playback stood still, ${line === "slow" ? "10 to 1" : "1 to 10"} Mbit/s`,
    value: still,
    unit: "s",
    budget: 0,
    beside: reached === null ? `still at ${height}p` : `${height}p after ${reached.toFixed(1)} s`,
  });
}
process.exit(0);
