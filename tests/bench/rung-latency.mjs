// How much later than the source's a part of a rung can be had: 720p30 with 2.5 Mbit/s, rungs of 480, 360 and 240 lines, and a
// player for each that waits for the next part as players do.   node rung-latency.mjs [seconds]
import { fixture, heading, millrace, publish, quantile, record, seconds, stop, until } from "./lib.mjs";

const [duration = "20"] = process.argv.slice(2);
const RUNGS = [[480, 1_400_000], [360, 800_000], [240, 400_000]];
/** A part of `low` latency, in milliseconds: a rung that is later than that is a part behind. */
const PART_MS = 334;
const server = await millrace({
  MILLRACE_TRANSCODE__LADDER__MODE: "always",
  MILLRACE_TRANSCODE__LADDER__RUNGS: `[${RUNGS.map(([height, bitrate]) => `{height=${height},bitrate=${bitrate}}`)}]`,
});
const publisher = publish(fixture("2500k"), `${server.rtmp}/studio`);
await until("the broadcast", async () => (await fetch(`${server.http}/live/studio/index.m3u8`)).ok);
await seconds(3);

/** Where a playlist ends: segment and part. */
function edge(text) {
  const first = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)[1]);
  const lines = text.split("\n");
  const last = lines.findLastIndex((line) => line.startsWith("#EXTINF"));
  const complete = lines.filter((line) => line.startsWith("#EXTINF")).length;
  return [first + complete, lines.slice(last + 1).filter((line) => line.startsWith("#EXT-X-PART:")).length];
}

const ends = performance.now() + Number(duration) * 1000;
/** When each part could be had. */
async function follow(rendition) {
  const seen = new Map();
  const at = `${server.http}/live/studio/${rendition}/index.m3u8`;
  let [msn, part] = edge(await (await fetch(at)).text());
  while (performance.now() < ends) {
    const answer = await fetch(`${at}?_HLS_msn=${msn}&_HLS_part=${part}`);
    const text = await answer.text();
    seen.set(`${msn}/${part}`, performance.now());
    [msn, part] = edge(text);
  }
  return seen;
}

const [source, ...rungs] = await Promise.all(["main", ...RUNGS.map(([height]) => `${height}p`)].map(follow));
publisher.kill("SIGKILL");
await stop(server.child);
heading(`Parts of rungs beside those of the source, ${duration} s`);
RUNGS.forEach(([height], index) => {
  const later = [...rungs[index]].filter(([part]) => source.has(part)).map(([part, time]) => time - source.get(part));
  record({
    what: `a part of ${height}p after the source's, p99`,
    value: quantile(later, 0.99),
    unit: "ms",
    digits: 0,
    budget: PART_MS,
    beside: `p50 ${quantile(later, 0.5).toFixed(0)} ms, ${later.length} parts`,
  });
});
process.exit(0);
