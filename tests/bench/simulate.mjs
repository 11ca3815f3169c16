// What arithmetic does not tell about sites larger than this machine (docs/scaling.md): no measurement, a model fed with
// measured costs. The same numbers come out of every run.   node simulate.mjs
//
// 1. A part is asked for by all viewers of a stream at once. How late is the last of them, when several such waves meet on
//    one edge? Viewers of a stream wait in one line, behind those of streams that came before.
// 2. An outage ends. How many players return in the same second, when each has its own growing waits?

/** CPU of nginx for a part and the reload before it, in seconds: 0.57 ms a second and viewer, three times a second. */
const CPU_SECONDS = 0.57e-3 / 3;
/** Bytes of a part of 333 ms at 2.5 Mbit/s, and of a playlist. */
const PART_BYTES = 113_000 + 1_000;
const PART_SECONDS = 1 / 3;
/** PART-HOLD-BACK is three parts: one is being made, and what is left of another goes for the network and the decoder. */
const STALLS_AFTER_SECONDS = 0.5;
/** web/src/features/player/engine/player.ts and web/src/lib/backoff.ts. */
const RECONNECT = { first: 300, most: 4_000, factor: 1.7, jitter: 0.3 };

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
function chance(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Viewers of each stream, the k-th most watched having 1/k of the first's. */
function popularity(streams, viewers) {
  const weights = Array.from({ length: streams }, (_, index) => 1 / (index + 1));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => Math.round((viewers * weight) / sum));
}

/** How late answers end, for a minute of parts on an edge that serves one viewer every `service` seconds. */
function waves(streams, service, seed) {
  const random = chance(seed);
  const arrivals = streams.flatMap((viewers) => {
    const phase = random() * PART_SECONDS;
    return Array.from({ length: 180 }, (_, part) => ({ at: phase + part * PART_SECONDS, viewers }));
  });
  arrivals.sort((a, b) => a.at - b.at);
  const late = [];
  let free = 0;
  for (const { at, viewers } of arrivals) {
    const begins = Math.max(free, at);
    // Every hundredth of a line stands for its neighbours.
    const step = Math.max(1, Math.floor(viewers / 100));
    for (let place = step; place <= viewers; place += step) late.push(begins + place * service - at);
    free = begins + viewers * service;
  }
  return late.sort((a, b) => a - b);
}

/** Requests per second of `players` that lose the server at 0 and find it again after `outage` seconds. */
function returns(players, outage, { first, most, factor, jitter }, seed) {
  const random = chance(seed);
  const perSecond = new Map();
  const count = (at) => perSecond.set(Math.floor(at), (perSecond.get(Math.floor(at)) ?? 0) + 1);
  for (let player = 0; player < players; player += 1) {
    let at = 0;
    for (let tries = 0; at < outage; tries += 1) {
      at += (Math.min(most, first * factor ** tries) * (1 + jitter * (2 * random() - 1))) / 1000;
      count(at);
    }
  }
  const within = (from, to) => Math.max(0, ...[...perSecond].filter(([at]) => at >= from && at < to).map(([, n]) => n));
  // The first second is of those who all lost it in one moment.
  return { asking: within(Math.min(4, outage / 2), outage), back: within(outage, Infinity) };
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
const ms = (seconds) => `${Math.round(seconds * 1000)}`.padStart(6);

console.log("1. An edge of 4 cores and 10 Gbit/s, 2.5 Mbit/s streams: lateness of parts in ms\n");
console.log("viewers  busy  streams     p50    p99   most   later than 0.5 s");
const service = Math.max(CPU_SECONDS / 4, (PART_BYTES * 8) / 10e9);
for (const busy of [0.3, 0.5, 0.7, 0.9, 0.97]) {
  const viewers = Math.round((busy * PART_SECONDS) / service);
  for (const streams of [1, 10, 100]) {
    const late = waves(popularity(streams, viewers), service, 1 + streams);
    const missed = late.filter((value) => value > STALLS_AFTER_SECONDS).length / late.length;
    console.log(
      `${`${viewers}`.padStart(7)}  ${`${Math.round(busy * 100)} %`.padStart(4)}  ${`${streams}`.padStart(7)}  ` +
        `${ms(quantile(late, 0.5))} ${ms(quantile(late, 0.99))} ${ms(late.at(-1))}   ${(missed * 100).toFixed(1)} %`,
    );
  }
}

console.log("\n2. 100,000 players lose the server at one moment: most requests in a second\n");
console.log("away    while away   when it is back");
for (const outage of [2, 5, 15, 60, 300]) {
  const { asking, back } = returns(100_000, outage, RECONNECT, 7);
  console.log(`${`${outage} s`.padStart(5)}   ${`${asking}`.padStart(10)}   ${`${back}`.padStart(15)}`);
}
