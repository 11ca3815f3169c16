// Chat: deliveries per CPU-second, latency, memory per socket, and how long everybody takes to come back, beside a bare
// tokio-tungstenite broadcaster in turns.
//   node chat.mjs [seconds] [sockets,…] [rooms,…]
import { heading, load, millrace, record, stop } from "./lib.mjs";

const [seconds = "10", sockets = "1000,10000", rooms = "1,100"] = process.argv.slice(2);
const PASSWORD = "kettle-harbour-violet-42";

/** A server with one person who has all the rooms; an API token of theirs. */
async function site(count) {
  const server = await millrace({
    MILLRACE_CHAT__MESSAGES_PER_30S: "1000",
    MILLRACE_CHAT__FRAMES_PER_10S: "10000",
    MILLRACE_CHAT__CONNECTIONS_PER_ADDRESS: "100000",
    MILLRACE_CHAT__CONNECTIONS_PER_PERSON: "1000",
    MILLRACE_CHANNELS__MAX_PER_PERSON: "100",
    MILLRACE_HTTP__MAX_CONNECTIONS: "18000",
  });
  const jar = new Map();
  const ask = async (method, path, body, token) => {
    const headers = { "content-type": "application/json", origin: server.http };
    if (token) headers.authorization = `Bearer ${token}`;
    else headers.cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const csrf = [...jar].find(([name]) => name.endsWith("csrf"))?.[1];
    if (csrf && !token) headers["x-csrf-token"] = csrf;
    const answer = await fetch(`${server.http}/api/v1${path}`, { method, headers, body: JSON.stringify(body) });
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(";")[0].split("=");
      jar.set(name, value);
    }
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? null : answer.json();
  };
  await ask("POST", "/auth/register", { name: "speaker", password: PASSWORD });
  const { secret: token } = await ask("POST", "/me/tokens", { name: "bench", scopes: ["chat", "channels"] });
  for (let room = 0; room < count; room += 1) await ask("POST", "/channels", { name: `load_${room}` }, token);
  return { server, token };
}

const numbers = (list) => list.split(",").map(Number);
heading(`Chat, ${seconds} s each, beside a bare tokio-tungstenite broadcaster`);
for (const count of numbers(sockets)) {
  for (const of of numbers(rooms)) {
    // About as many deliveries per second whatever the number of rooms.
    const rate = of === 1 ? 5 : 1;
    const plan = { rooms: of, sockets: count, rate, seconds, storm: true };
    const { server, token } = await site(of);
    const ours = await load("chat", { ...plan, http: server.http.replace("http://", ""), pid: server.pid, token });
    await stop(server.child);
    const floor = await load("chat", plan);
    const what = `${count} sockets in ${of} room${of === 1 ? "" : "s"}`;
    const lost = ours.expected - ours.deliveries;
    record({
      what: `CPU per chat delivery, ${what}, ratio to a bare broadcaster`,
      value: floor.deliveries_per_cpu_s / ours.deliveries_per_cpu_s,
      unit: "",
      budget: 1.25,
      beside: `${Math.round(ours.deliveries_per_cpu_s)} deliveries per CPU-second against ${Math.round(floor.deliveries_per_cpu_s)}; ${lost} of ${ours.expected} missing`,
    });
    record({
      what: `chat latency p99, ${what}`, value: ours.latency_ms.p99, unit: "ms", digits: 1, budget: 100,
      beside: `p50 ${ours.latency_ms.p50.toFixed(1)}; the bare broadcaster ${floor.latency_ms.p50.toFixed(1)} and ${floor.latency_ms.p99.toFixed(1)}`,
    });
    record({
      what: `chat memory per socket, ${what}`, value: ours.bytes_per_socket / 1024, unit: "KiB", digits: 1, budget: 12,
      beside: `the bare broadcaster ${(floor.bytes_per_socket / 1024).toFixed(1)}`,
    });
    record({
      what: `chat join storm, ${what}`, value: ours.storm_s, unit: "s", digits: 1,
      beside: `the bare broadcaster ${floor.storm_s.toFixed(1)} s`,
    });
  }
}
process.exit(0);
