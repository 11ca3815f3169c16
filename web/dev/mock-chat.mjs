/**
 * The chat of the mock server: a lively room of made-up people that keeps the contract of `millrace.chat.v1` as far as
 * the page can tell. Who one is comes from `/mock/demo?as=ada|bob|none` (ada owns the channels), what the room does from
 * `&chat=lively|calm|empty|away|off|storm`, `&slow=10`, `&rules=…`.
 */
import { createHash } from 'node:crypto';

const PEOPLE = [
  ['mira', 'Mira', ['moderator']],
  ['old_miller', 'Old Miller', ['vip']],
  ['jonas', 'Jonas', []],
  ['quietriver', 'quietriver', []],
  ['nightowl_77', 'NightOwl', []],
  ['sanne', 'Sanne V.', []],
  ['kestrel', 'kestrel', []],
  ['tidepool', 'tidepool', []],
  ['bramble', 'Bramble', []],
  ['millbot', 'MillBot', ['bot']],
].map(([name, display_name, badges]) => ({ id: `u-${name}`, name, display_name, badges }));
const LINES = [
  'good evening everyone',
  'the picture looks great today',
  'is this the same wood as last week?',
  'yes, oak. @ada explained it at the start',
  'what bitrate do you use?',
  'that joint is so clean 👏',
  'I tried this at home and glued my sleeve to the table',
  'there is a good write-up at https://example.org/boats/steam-bending?part=2 if anyone wants to read more about how steam bending works',
  'first time here, hello from Ghent',
  'welcome!',
  'how long does it take to dry?',
  'about two days',
  'lol',
  'this is better than television',
  'can you show the plan again?',
  'Watching with my daughter, she wants to know the name of the boat',
  'volume is a bit low for me',
  'sounds fine here',
  '2 weeks until launch day!',
  'https://bank.example@evil.example/ is not a link',
];

const now = () => new Date().toISOString();
const author = ({ id, name, display_name, badges }) => ({ id, name, display_name, badges });

export function mockChat() {
  const ada = { id: 'u-ada', name: 'ada', display_name: 'Ada L.', badges: ['broadcaster'] };
  const bob = { id: 'u-bob', name: 'bob', display_name: 'Bob', badges: [] };
  const state = { as: 'ada', mode: 'lively' };
  const rooms = new Map();
  let counter = 0;

  const who = () => ({ ada, bob })[state.as] ?? null;
  const you = (room) => {
    const person = who();
    if (person === null) return null;
    const until = room.sanctions.get(person.name);
    const silenced = until !== undefined && until > Date.now();
    const why = { code: 'timed_out', detail: 'A moderator gave you a break.', until: new Date(until ?? 0).toISOString() };
    return { ...person, moderates: person === ada, may_send: !silenced, why_not: silenced ? why : null };
  };
  const message = (person, text, more = {}) => ({
    id: `m-${String(counter++).padStart(6, '0')}`,
    at: now(),
    kind: 'text',
    author: person && author(person),
    text,
    mentions: [...text.matchAll(/@([a-z0-9_]{3,25})/g)].map((found) => found[1]),
    ...more,
  });
  const roomOf = (channel) => {
    const known = rooms.get(channel);
    if (known) return known;
    const settings = {
      channel, slow_mode_s: 0, followers_only_s: null, emote_only: false, unique: false, subscribers_only: false,
      account_age_s: 0, links: 'allowed', rules: '', pinned: null, max_length: 500,
    };
    const room = { settings, messages: [], sockets: new Set(), sanctions: new Map(), nonces: new Map() };
    if (state.mode !== 'empty') {
      for (let n = 0; n < 340; n++) {
        const person = PEOPLE[(n * 7 + (n >> 2)) % PEOPLE.length];
        const said = message(person, LINES[(n * 11) % LINES.length], { at: new Date(Date.now() - (340 - n) * 9_000).toISOString() });
        if (n % 13 === 5) said.reply_to = { id: room.messages.at(-2).id, name: room.messages.at(-2).author.name, text: room.messages.at(-2).text };
        if (n % 29 === 7) Object.assign(said, { kind: 'action', text: 'waves from the back row' });
        room.messages.push(said);
      }
      room.messages.push(message(null, `${channel} went live`, { kind: 'system', event: 'went_live' }));
    }
    rooms.set(channel, room);
    return room;
  };
  const tell = (room, frame) => {
    for (const socket of room.sockets) socket.say(frame);
  };
  const speak = (room, said) => {
    room.messages.push(said);
    tell(room, { type: 'messages', messages: [said] });
  };
  const chatters = (room) => ({ count: PEOPLE.length + 1, names: ['ada', ...PEOPLE.map(({ name }) => name)], readers: room.sockets.size + 41 });

  setInterval(() => {
    for (const room of rooms.values()) {
      if (room.sockets.size === 0 || !['lively', 'storm'].includes(state.mode)) continue;
      for (let n = state.mode === 'storm' ? 60 : 1; n > 0; n--) {
        const person = PEOPLE[Math.floor(Math.random() * PEOPLE.length)];
        speak(room, message(person, LINES[Math.floor(Math.random() * LINES.length)]));
      }
    }
  }, 900).unref();

  function heard(room, socket, frame) {
    if (frame.type === 'hello') {
      const at = room.messages.findIndex(({ id }) => id === frame.resume);
      const messages = at < 0 ? room.messages.slice(-100) : room.messages.slice(at + 1);
      room.sockets.add(socket);
      socket.say({ type: 'welcome', room: room.settings, you: you(room), messages, resumed: at >= 0, chatters: chatters(room), heartbeat_s: 30 });
    } else if (frame.type === 'ping') socket.say({ type: 'pong' });
    else if (frame.type === 'send') {
      const { nonce, text, reply_to } = frame;
      const refuse = (code, detail, retry_after_ms) => socket.say({ type: 'refused', nonce, code, detail, retry_after_ms });
      const person = who();
      if (person === null) return refuse('not_signed_in', 'Sign in to write.');
      if (/badword/.test(text)) return refuse('blocked_term', 'This chat does not allow that word.');
      if (/holdme/.test(text)) return refuse('held', 'A moderator looks at it before others see it.');
      if (state.mode === 'away') return refuse('temporarily_unavailable', 'Wait a moment.', 1_000);
      const before = room.nonces.get(nonce);
      if (before) return socket.say({ type: 'ack', nonce, id: before });
      const quoted = room.messages.find(({ id }) => id === reply_to);
      const action = /^\/me\s+/.test(text);
      const said = message(person, text.replace(/^\/me\s+/, ''), {
        kind: action ? 'action' : 'text',
        nonce,
        ...(quoted && { reply_to: { id: quoted.id, name: quoted.author.name, text: quoted.text.slice(0, 100) } }),
      });
      room.nonces.set(nonce, said.id);
      setTimeout(() => {
        socket.say({ type: 'ack', nonce, id: said.id });
        speak(room, said);
      }, 150);
    }
  }

  /** The WebSocket side: RFC 6455 as far as a browser needs it. */
  function upgrade(request, socket) {
    const channel = /^\/chat\/v1\/([a-z0-9_]+)$/.exec(request.url)?.[1];
    if (channel === undefined || state.mode === 'off' || state.mode === 'refusing') return socket.destroy();
    const key = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\nSec-WebSocket-Protocol: millrace.chat.v1\r\n\r\n`,
    );
    const room = roomOf(channel);
    const peer = {
      say(frame) {
        const body = Buffer.from(JSON.stringify(frame));
        const head = body.length < 126 ? Buffer.from([0x81, body.length]) : body.length < 65_536 ? Buffer.from([0x81, 126, body.length >> 8, body.length & 255]) : Buffer.from([0x81, 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((by) => (body.length >>> by) & 255)]);
        if (socket.writable) socket.write(Buffer.concat([head, body]));
      },
      close(code, reason) {
        const body = Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
        if (socket.writable) socket.end(Buffer.concat([Buffer.from([0x88, body.length]), body]));
      },
    };
    let buffer = Buffer.alloc(0);
    socket.on('data', (data) => {
      buffer = Buffer.concat([buffer, data]);
      for (;;) {
        if (buffer.length < 6) return;
        const short = buffer[1] & 127;
        const at = short === 126 ? 4 : 2;
        const length = short === 126 ? buffer.readUInt16BE(2) : short;
        if (buffer.length < at + 4 + length) return;
        const mask = buffer.subarray(at, at + 4);
        const body = buffer.subarray(at + 4, at + 4 + length).map((byte, n) => byte ^ mask[n & 3]);
        const kind = buffer[0] & 15;
        buffer = buffer.subarray(at + 4 + length);
        if (kind === 8) return socket.end();
        if (kind === 1) heard(room, peer, JSON.parse(body.toString()));
      }
    });
    socket.on('close', () => room.sockets.delete(peer));
    socket.on('error', () => socket.destroy());
  }

  /** The REST side, below `/api/v1/channels/{channel}/chat`. Answers `undefined` for what it does not know. */
  function rest(method, channel, rest, query, body) {
    if (state.mode === 'off') return { status: 404 };
    const room = roomOf(channel);
    const [what, which] = rest;
    const change = (settings) => {
      Object.assign(room.settings, settings);
      tell(room, { type: 'room', room: room.settings });
      return { status: 200, body: { ...room.settings } };
    };
    if (what === undefined) return method === 'PATCH' ? change(body) : { status: 200, body: { ...room.settings, you: you(room) } };
    if (what === 'messages' && method === 'GET') {
      const end = room.messages.findIndex(({ id }) => id === (query.get('before') ?? query.get('cursor')));
      const page = room.messages.slice(0, end < 0 ? undefined : end).slice(-Number(query.get('limit') ?? 50));
      return { status: 200, body: { items: page.reverse(), next_cursor: page.length > 0 && page.at(-1) !== room.messages[0] ? page.at(-1).id : null } };
    }
    if (what === 'messages') {
      const all = which === undefined;
      room.messages = all ? [] : room.messages.filter(({ id }) => id !== which);
      tell(room, { type: 'removed', ...(all ? { all: true } : { messages: [which] }) });
      return { status: 204 };
    }
    if (what === 'pinned') return change({ pinned: method === 'PUT' ? (room.messages.find(({ id }) => id === body.message) ?? null) : null });
    if (what === 'sanctions') {
      if (method === 'DELETE') return room.sanctions.delete(which) ? { status: 204 } : { status: 404 };
      room.sanctions.set(which, Date.now() + (body.seconds ?? 1e9) * 1_000);
      room.messages = room.messages.filter(({ author: by }) => by?.name !== which);
      tell(room, { type: 'removed', author: `u-${which}` });
      if (who()?.name === which) tell(room, { type: 'you', you: you(room) });
      return { status: 200, body: {} };
    }
    return undefined;
  }

  /** What `/mock/{channel}?…` changes. */
  function control(channel, query) {
    if (query.has('as')) state.as = query.get('as');
    if (query.has('chat')) state.mode = query.get('chat');
    const room = roomOf(channel);
    if (query.has('slow')) room.settings.slow_mode_s = Number(query.get('slow'));
    if (query.has('rules')) room.settings.rules = query.get('rules');
    if (query.has('pin')) room.settings.pinned = message(ada, query.get('pin'));
    if (query.has('say')) speak(room, message(PEOPLE[0], query.get('say')));
    if (query.has('timeout')) {
      room.sanctions.set(query.get('timeout'), Date.now() + 600_000);
      tell(room, { type: 'you', you: you(room) });
    }
    if (query.has('close')) for (const socket of room.sockets) socket.close(Number(query.get('close')), query.get('reason') ?? '');
    else tell(room, { type: 'room', room: room.settings });
  }

  /** Who is signed in, as `/api/v1/me` says it; `null` for nobody. */
  function me() {
    const person = who();
    return person && {
      id: person.id, name: person.name, display_name: person.display_name, email: null, email_verified: false, role: 'streamer',
      bio: '', avatar_url: null, two_factor: false, has_password: true, created_at: now(),
    };
  }

  return { upgrade, rest, control, me };
}
