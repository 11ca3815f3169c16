// CPU time and memory of a ladder: the transcoder beside the plain ffmpeg command that makes the same rungs of the same input with
// the same encoder settings, taking turns in real time.   node ladder.mjs [seconds] [rounds]
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { cpuSeconds, fixture, heading, quantile, record, seconds, start, until } from "./lib.mjs";

const [duration = 15, rounds = 2] = process.argv.slice(2).map(Number);
const file = fixture("2500k");
const RUNGS = [
  { size: [854, 480], bitrate: 1_400_000 },
  { size: [640, 360], bitrate: 800_000 },
  { size: [426, 240], bitrate: 400_000 },
];
const MIB = 1 << 20;

// The messages of core/src/transcode.rs, in the encoding of postcard.
const varint = (number) => {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  return Buffer.from([...bytes, number]);
};
const bytes = (data) => Buffer.concat([varint(data.length), data]);
const message = (...parts) => {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
};
const configure = (data) => message(varint(0), bytes(data));
const rungsOrder = (rungs) =>
  message(varint(1), varint(rungs.length), ...rungs.flatMap(({ size, bitrate }, id) => [
    Buffer.from([id]), varint(size[0]), varint(size[1]), Buffer.from([1]), varint(bitrate), varint(0), bytes(Buffer.alloc(0)),
  ]));
const picture = ({ pts, sync, data }) =>
  message(varint(3), varint(pts * 2), Buffer.from([sync ? 1 : 0, sync ? 1 : 0]), bytes(data));

/** The video of an FLV file: its record, and its pictures with their times in milliseconds. */
function video(path) {
  const flv = readFileSync(path);
  const pictures = [];
  let record;
  for (let at = 13; at + 11 < flv.length; ) {
    const size = flv.readUIntBE(at + 1, 3);
    const body = flv.subarray(at + 11, at + 11 + size);
    if (flv[at] === 9 && body[1] === 0) record = body.subarray(5);
    if (flv[at] === 9 && body[1] === 1) {
      const dts = flv.readUIntBE(at + 4, 3) + flv[at + 7] * 2 ** 24;
      pictures.push({ ms: dts, pts: (dts + body.readIntBE(2, 3)) * 90, sync: body[0] >> 4 === 1, data: body.subarray(5) });
    }
    at += 11 + size + 4;
  }
  return { record, pictures };
}

const { record: avc, pictures } = video(file);
const round = pictures.at(-1).ms + pictures[1].ms - pictures[0].ms;
const resident = (pid) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;

/** Starts the transcoder and hands it the file over and over, each picture when it is due. */
function ours(rungs) {
  const program = resolve(process.env.BENCH_BINARY ?? "target/release/millrace", "../millrace-transcoder");
  const child = start(program, ["ladder"], { stdio: ["pipe", "pipe", "inherit"] });
  let made = 0;
  child.stdout.on("data", (data) => (made += data.length));
  child.stdin.write(Buffer.concat([rungsOrder(rungs), configure(avc)]));
  const began = performance.now();
  let next = 0;
  const feed = setInterval(() => {
    for (;;) {
      const [turn, one] = [Math.floor(next / pictures.length), pictures[next % pictures.length]];
      if (one.ms + turn * round > performance.now() - began) return;
      child.stdin.write(picture({ ...one, pts: one.pts + turn * round * 90 }));
      next += 1;
    }
  }, 10);
  const end = async () => {
    clearInterval(feed);
    child.stdin.end();
    await child.ended;
  };
  return { pid: child.pid, ready: () => made > 0, end };
}

/** The same by the ffmpeg command: what it makes is thrown away. One thread each, which costs it least. */
function ffmpeg(rungs) {
  const split = `[0:v]split=${rungs.length}${rungs.map((_, id) => `[in${id}]`).join("")}`;
  const scaled = rungs.map(({ size }, id) => `[in${id}]scale=${size[0]}:${size[1]}:flags=bicubic[out${id}]`);
  const child = start("ffmpeg", [
    "-loglevel", "error", "-nostdin", "-y", "-re", "-stream_loop", "-1", "-threads", "1", "-i", file,
    "-filter_complex_threads", "1", "-filter_complex", [split, ...scaled].join(";"),
    ...rungs.flatMap(({ bitrate }, id) => [
      "-map", `[out${id}]`, "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-threads", "1", "-bf", "0",
      "-g", "60", "-sc_threshold", "0", "-b:v", `${bitrate}`, "-maxrate", `${bitrate}`, "-bufsize", `${bitrate}`,
      "-f", "h264", "/dev/null",
    ]),
  ]);
  const end = async () => {
    child.kill("SIGKILL");
    await child.ended;
  };
  return { pid: child.pid, ready: () => cpuSeconds(child.pid) > 0.3, end };
}

/** Milliseconds of CPU per second of media, and resident bytes at the end. */
async function measure(make, rungs) {
  const running = make(rungs);
  await until("the first pictures", running.ready);
  await seconds(1);
  const [before, began] = [cpuSeconds(running.pid), performance.now()];
  await seconds(duration);
  const used = ((cpuSeconds(running.pid) - before) * 1000) / ((performance.now() - began) / 1000);
  const memory = resident(running.pid);
  await running.end();
  return { used, memory };
}

const all = { transcoder: [], ffmpeg: [] };
for (let turn = 0; turn < rounds; turn += 1) {
  all.transcoder.push(await measure(ours, RUNGS));
  all.ffmpeg.push(await measure(ffmpeg, RUNGS));
}
const one = await measure(ours, RUNGS.slice(0, 1));
const cpu = (of) => quantile(all[of].map(({ used }) => used), 0.5);
const list = (of) => all[of].map(({ used }) => used.toFixed(0)).join(" ");
const sizes = RUNGS.map(({ size }) => `${size[1]}p`).join(", ");
heading(`A ladder of ${sizes} of 720p30, milliseconds of CPU per second, ${rounds} turns of ${duration} s`);
console.log(`  millrace-transcoder    median ${cpu("transcoder").toFixed(0)}   (${list("transcoder")})`);
console.log(`  ffmpeg                 median ${cpu("ffmpeg").toFixed(0)}   (${list("ffmpeg")})`);
record({
  what: `CPU of a ladder of ${RUNGS.length} rungs, ratio to ffmpeg`,
  value: cpu("transcoder") / cpu("ffmpeg"),
  unit: "",
  budget: 1.05,
  beside: `${cpu("transcoder").toFixed(0)} ms against ${cpu("ffmpeg").toFixed(0)} ms per second`,
});
const memory = all.transcoder.at(-1).memory;
record({
  what: "Memory per rung",
  value: (memory - one.memory) / (RUNGS.length - 1) / MIB,
  unit: "MiB",
  digits: 1,
  beside: `${(memory / MIB).toFixed(0)} MiB with ${RUNGS.length}, ffmpeg ${(all.ffmpeg.at(-1).memory / MIB).toFixed(0)} MiB`,
});
process.exit(0);
