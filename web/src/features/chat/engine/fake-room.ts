import type { Socket } from './chat-connection';
import type { ClientFrame, Message, Poll, Room, You } from './protocol';

/** A message of somebody, for tests. */
export function messageNamed(id: string, more: Partial<Message> = {}): Message {
  return {
    id,
    at: '2026-11-21T20:00:00Z',
    kind: 'text',
    author: { id: 'id-bob', name: 'bob', display_name: 'Bob', badges: [] },
    text: `text of ${id}`,
    mentions: [],
    ...more,
  };
}

export const ROOM: Room = {
  channel: 'boatyard',
  slow_mode_s: 0,
  followers_only_s: null,
  emote_only: false,
  emotes: 0,
  unique: false,
  subscribers_only: false,
  account_age_s: 0,
  links: 'allowed',
  rules: '',
  pinned: null,
  max_length: 500,
  raid: null,
};

export const ADA: You = {
  id: 'id-ada',
  name: 'ada',
  display_name: 'Ada',
  badges: [],
  moderates: false,
  may_send: true,
  why_not: null,
};

/** One socket as the server sees it; what either side sends waits until the test lets it through. */
export class FakeSocket implements Socket {
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  /** What the page sent and the server has not read. */
  up: ClientFrame[] = [];
  /** What the server sent and the page has not read. */
  down: object[] = [];
  open = true;
  /** Whether the server has heard hello. */
  joined = false;

  #accepted = false;

  /** The connection stands. */
  accept(): void {
    if (this.#accepted) return;
    this.#accepted = true;
    this.onopen?.();
  }

  send(text: string): void {
    if (this.open) this.up.push(JSON.parse(text) as ClientFrame);
  }

  close(): void {
    this.open = false;
  }

  /** The connection is gone, with all that was on its way. */
  cut(code = 1006, reason = ''): void {
    if (!this.open) return;
    this.open = false;
    this.onclose?.({ code, reason });
  }

  /** The page reads this now. */
  tell(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

/** A server of one room that keeps the contract: one message per nonce, an order, and resuming. */
export class FakeRoom {
  readonly messages: Message[] = [];
  readonly sockets: FakeSocket[] = [];
  room: Room = ROOM;
  you: You | null = ADA;
  poll: Poll | null = null;
  /** Refuses what is sent as temporarily unavailable. */
  away = false;
  /** How many messages a socket gets that does not resume. */
  tail = 100;
  /** Whether it still knows where sockets stopped. */
  resumes = true;
  readonly #byNonce = new Map<string, Message>();

  readonly connect = (): FakeSocket => {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return socket;
  };

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('nobody has connected');
    return socket;
  }

  /** Reads everything that the page sent over the newest socket and lets it read every answer. */
  settle(): void {
    const { socket } = this;
    socket.accept();
    for (let more = true; more; ) {
      const said = socket.up.shift();
      if (said !== undefined) this.hear(socket, said);
      const heard = socket.down.shift();
      if (heard !== undefined) socket.tell(heard);
      more = socket.open && (said !== undefined || heard !== undefined);
    }
  }

  /** Somebody says something. */
  speak(message: Message): void {
    this.messages.push(message);
    for (const socket of this.sockets) {
      if (socket.open && socket.joined) socket.down.push({ type: 'messages', messages: [message] });
    }
  }

  /** Does what the page asks; `ackFirst`: the word that a message was taken comes before the message. */
  hear(socket: FakeSocket, frame: ClientFrame, ackFirst = true): void {
    switch (frame.type) {
      case 'hello': {
        const at = this.messages.findIndex(({ id }) => id === frame.resume);
        const resumed = this.resumes && at >= 0;
        socket.joined = true;
        socket.down.push({
          type: 'welcome',
          room: this.room,
          you: this.you,
          messages: resumed ? this.messages.slice(at + 1) : this.messages.slice(-this.tail),
          resumed,
          chatters: { count: 2, names: ['ada', 'bob'], readers: 3 },
          poll: this.poll,
          heartbeat_s: 30,
        });
        return;
      }
      case 'send': {
        const { nonce, text } = frame;
        const known = this.#byNonce.get(nonce);
        if (this.away && known === undefined) {
          socket.down.push({ type: 'refused', nonce, code: 'temporarily_unavailable', detail: 'Wait.', retry_after_ms: 900 });
          return;
        }
        const message = known ?? messageNamed(`own-${nonce}`, { text, nonce, author: this.you });
        const ack = { type: 'ack', nonce, id: message.id };
        if (ackFirst) socket.down.push(ack);
        if (known === undefined) {
          this.#byNonce.set(nonce, message);
          this.speak(message);
        }
        if (!ackFirst) socket.down.push(ack);
        return;
      }
      case 'ping':
        socket.down.push({ type: 'pong' });
    }
  }
}
