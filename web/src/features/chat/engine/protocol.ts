import { shape } from '@/lib/shape';

/** The WebSocket subprotocol that this page speaks. */
export const SUBPROTOCOL = 'millrace.chat.v1';

/** Why the server closes a socket, where the page acts on it. */
export const CLOSE = {
  protocolError: 4000,
  sessionEnded: 4001,
  notAllowed: 4003,
  noChannel: 4004,
  tooManyConnections: 4009,
  serverStops: 4012,
  tooManyFrames: 4029,
  wrongVersion: 4099,
} as const;

/** Who wrote a message. */
export interface Author {
  readonly id: string;
  /** What they log in with, and what mentions name. */
  readonly name: string;
  readonly display_name: string;
  /** `broadcaster`, `moderator`, `vip`, `admin`, `bot`, and what later servers have. */
  readonly badges: readonly string[];
}

/** The message that another one answers. */
export interface Quote {
  readonly id: string;
  readonly name: string;
  readonly text: string;
}

export interface Message {
  readonly id: string;
  /** RFC 3339. */
  readonly at: string;
  readonly kind: 'text' | 'action' | 'system';
  /** `null` for what the system says. */
  readonly author: Author | null;
  readonly text: string;
  /** Only on one's own messages: the number that the page gave it. */
  readonly nonce?: string;
  readonly reply_to?: Quote;
  /** Login names. */
  readonly mentions: readonly string[];
  /** What happened, of a system message. */
  readonly event?: string;
  /** What people did, of a system message; kinds that this page does not know are left out. */
  readonly news?: News;
}

export type News =
  | { readonly kind: 'follow' }
  /** Viewers of another channel come. */
  | { readonly kind: 'raid'; readonly channel: string };

/** The broadcaster sends everybody to another channel. */
export interface Raid {
  readonly id: string;
  readonly target: string;
  /** RFC 3339: when, unless it is called off. */
  readonly at: string;
  /** They go now. */
  readonly gone: boolean;
}

/** Why one may not write. */
export interface WhyNot {
  readonly code: string;
  /** The sentence for the person. */
  readonly detail: string;
  /** RFC 3339; absent if it does not pass by itself. */
  readonly until?: string;
}

/** Who the server takes us for, and what we may do. */
export interface You {
  readonly id: string;
  readonly name: string;
  readonly display_name: string;
  readonly badges: readonly string[];
  readonly moderates: boolean;
  readonly may_send: boolean;
  readonly why_not: WhyNot | null;
}

/** Who may send links: everybody, moderators and VIPs, or nobody else but moderators. */
export type Links = 'allowed' | 'trusted' | 'nobody';

/** How a room is set up. */
export interface Room {
  readonly channel: string;
  /** Seconds between two messages of one person; 0 is off. */
  readonly slow_mode_s: number;
  /** Seconds one must have followed for; `null` is off. */
  readonly followers_only_s: number | null;
  readonly emote_only: boolean;
  /** Another number: the emotes are others. */
  readonly emotes: number;
  readonly unique: boolean;
  readonly subscribers_only: boolean;
  /** Seconds an account must be old. */
  readonly account_age_s: number;
  readonly links: Links;
  /** Shown to who joins; empty for none. */
  readonly rules: string;
  readonly pinned: Message | null;
  /** Most characters of a message. */
  readonly max_length: number;
  readonly raid: Raid | null;
}

/** Who is here. */
export interface Chatters {
  /** How many are signed in. */
  readonly count: number;
  /** Their login names; a sample when there are many. */
  readonly names: readonly string[];
  /** Everybody, signed in or not. */
  readonly readers: number;
}

/** A message that waits for who moderates. */
export interface Held {
  readonly message: Message;
  /** `link`, `blocked_term`, `new_person`, `everything`, and what later servers have. */
  readonly why: string;
  /** RFC 3339: when it expires. */
  readonly until: string;
}

/** A question to everybody in the room. */
export interface Poll {
  readonly id: string;
  readonly question: string;
  readonly answers: readonly string[];
  /** Votes for each answer; as many as there are answers. */
  readonly counts: readonly number[];
  /** RFC 3339: when it closes, or closed. */
  readonly closes_at: string;
  readonly open: boolean;
}

/** What the server says. */
export type ServerFrame =
  | {
      readonly type: 'welcome';
      readonly room: Room;
      readonly you: You | null;
      readonly messages: readonly Message[];
      readonly resumed: boolean;
      readonly chatters: Chatters;
      readonly poll: Poll | null;
      readonly heartbeat_s: number;
    }
  | { readonly type: 'messages'; readonly messages: readonly Message[] }
  | { readonly type: 'ack'; readonly nonce: string; readonly id: string }
  | { readonly type: 'held'; readonly nonce: string; readonly detail: string }
  /** `reviewed` are ids of what waits no more. */
  | { readonly type: 'queue'; readonly waiting: readonly Held[]; readonly reviewed: readonly string[] }
  | {
      readonly type: 'refused';
      readonly nonce: string | null;
      readonly code: string;
      readonly detail: string;
      readonly retry_after_ms: number | null;
    }
  | { readonly type: 'removed'; readonly what: Removal }
  | { readonly type: 'room'; readonly room: Room }
  | { readonly type: 'poll'; readonly poll: Poll }
  | { readonly type: 'you'; readonly you: You | null }
  | { readonly type: 'chatters'; readonly chatters: Chatters }
  | { readonly type: 'reconnect'; readonly after_ms: number }
  | { readonly type: 'pong' };

/** What a moderator took away. */
export type Removal = { readonly messages: readonly string[] } | { readonly author: string } | { readonly all: true };

/** What the page says. */
export type ClientFrame =
  | { readonly type: 'hello'; readonly resume?: string }
  | { readonly type: 'send'; readonly nonce: string; readonly text: string; readonly reply_to?: string }
  | { readonly type: 'ping' };

const MOST_WAIT_MS = 24 * 3_600_000;
const MOST_PEOPLE = Number.MAX_SAFE_INTEGER;

/** Reads one text frame; `null` if it is of no type that this page knows, or not what that type must be. */
export function parseFrame(text: string): ServerFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const from = shape.record(value);
  switch (from.type) {
    case 'welcome': {
      const room = roomOf(from.room);
      return (
        room && {
          type: 'welcome',
          room,
          you: youOf(from.you),
          messages: messagesOf(from.messages),
          resumed: from.resumed === true,
          chatters: chattersOf(from.chatters),
          poll: pollOf(from.poll),
          heartbeat_s: shape.number(from.heartbeat_s, 1, 3_600) ?? 30,
        }
      );
    }
    case 'messages':
      return { type: 'messages', messages: messagesOf(from.messages) };
    case 'ack':
      return isText(from.nonce) && isText(from.id) ? { type: 'ack', nonce: from.nonce, id: from.id } : null;
    case 'held':
      return isText(from.nonce) ? { type: 'held', nonce: from.nonce, detail: textOf(from.detail) } : null;
    case 'queue':
      return {
        type: 'queue',
        waiting: listOf(from.waiting)
          .map(heldOf)
          .filter((held) => held !== null),
        reviewed: listOf(from.reviewed)
          .map((one) => shape.record(one).id)
          .filter(isText),
      };
    case 'refused':
      return {
        type: 'refused',
        nonce: isText(from.nonce) ? from.nonce : null,
        code: textOf(from.code),
        detail: textOf(from.detail),
        retry_after_ms: shape.number(from.retry_after_ms, 0, MOST_WAIT_MS) ?? null,
      };
    case 'removed':
      if (from.all === true) return { type: 'removed', what: { all: true } };
      if (isText(from.author)) return { type: 'removed', what: { author: from.author } };
      return { type: 'removed', what: { messages: listOf(from.messages).filter(isText) } };
    case 'room': {
      const room = roomOf(from.room);
      return room && { type: 'room', room };
    }
    case 'poll': {
      const poll = pollOf(from.poll);
      return poll && { type: 'poll', poll };
    }
    case 'you':
      return { type: 'you', you: youOf(from.you) };
    case 'chatters':
      return { type: 'chatters', chatters: chattersOf(from.chatters) };
    case 'reconnect':
      return { type: 'reconnect', after_ms: shape.number(from.after_ms, 0, MOST_WAIT_MS) ?? 0 };
    case 'pong':
      return { type: 'pong' };
    default:
      return null;
  }
}

/** Reads a message; `null` if it lacks what a message must have. */
export function messageOf(value: unknown): Message | null {
  const from = shape.record(value);
  if (!isText(from.id) || !isText(from.at)) return null;
  const author = authorOf(from.author);
  const kind = from.kind === 'action' || from.kind === 'system' ? from.kind : 'text';
  if (author === null && kind !== 'system') return null;
  const quote = shape.record(from.reply_to);
  return {
    id: from.id,
    at: from.at,
    kind,
    author,
    text: textOf(from.text),
    mentions: listOf(from.mentions).filter(isText),
    ...(isText(from.nonce) && { nonce: from.nonce }),
    ...(isText(quote.id) && { reply_to: { id: quote.id, name: textOf(quote.name), text: textOf(quote.text) } }),
    ...(isText(from.event) && { event: from.event }),
    ...newsOf(from.news),
  };
}

/** Reads a poll; `null` if there is none, or less of it than one needs to vote. */
export function pollOf(value: unknown): Poll | null {
  const from = shape.record(value);
  const answers = listOf(from.answers).filter(isText);
  if (!isText(from.id) || !isText(from.question) || !isText(from.closes_at) || answers.length < 2) return null;
  const counts = listOf(from.counts);
  return {
    id: from.id,
    question: from.question,
    answers,
    counts: answers.map((_, at) => shape.number(counts[at], 0, MOST_PEOPLE) ?? 0),
    closes_at: from.closes_at,
    open: from.open === true,
  };
}

/** Reads a message that waits; `null` if it lacks what one must have. */
export function heldOf(value: unknown): Held | null {
  const from = shape.record(value);
  const message = messageOf(from.message);
  return message && { message, why: textOf(from.why), until: textOf(from.until) };
}

function newsOf(value: unknown): { readonly news?: News } {
  const from = shape.record(value);
  if (from.kind === 'follow') return { news: { kind: 'follow' } };
  return from.kind === 'raid' && isChannel(from.channel) ? { news: { kind: 'raid', channel: from.channel } } : {};
}

function raidOf(value: unknown): Raid | null {
  const from = shape.record(value);
  if (!isText(from.id) || !isChannel(from.target) || !isText(from.at)) return null;
  return { id: from.id, target: from.target, at: from.at, gone: from.gone === true };
}

/** Reads a room; `null` without a channel. What an older server does not say is off. */
export function roomOf(value: unknown): Room | null {
  const from = shape.record(value);
  if (!isText(from.channel)) return null;
  const seconds = (given: unknown) => shape.number(given, 0, Number.MAX_SAFE_INTEGER);
  return {
    channel: from.channel,
    slow_mode_s: seconds(from.slow_mode_s) ?? 0,
    followers_only_s: seconds(from.followers_only_s) ?? null,
    emote_only: from.emote_only === true,
    emotes: seconds(from.emotes) ?? 0,
    unique: from.unique === true,
    subscribers_only: from.subscribers_only === true,
    account_age_s: seconds(from.account_age_s) ?? 0,
    links: from.links === 'trusted' || from.links === 'nobody' ? from.links : 'allowed',
    rules: textOf(from.rules),
    pinned: messageOf(from.pinned),
    max_length: shape.number(from.max_length, 1, 10_000) ?? 500,
    raid: raidOf(from.raid),
  };
}

/** Reads who we are; `null` for an anonymous reader. */
export function youOf(value: unknown): You | null {
  const author = authorOf(value);
  if (author === null) return null;
  const from = shape.record(value);
  const why = shape.record(from.why_not);
  const maySend = from.may_send === true;
  return {
    ...author,
    moderates: from.moderates === true,
    may_send: maySend,
    why_not: maySend
      ? null
      : { code: textOf(why.code), detail: textOf(why.detail), ...(isText(why.until) && { until: why.until }) },
  };
}

function authorOf(value: unknown): Author | null {
  const from = shape.record(value);
  if (!isText(from.id) || !isText(from.name)) return null;
  const shown = textOf(from.display_name);
  return { id: from.id, name: from.name, display_name: shown || from.name, badges: listOf(from.badges).filter(isText) };
}

function chattersOf(value: unknown): Chatters {
  const from = shape.record(value);
  return {
    count: shape.number(from.count, 0, MOST_PEOPLE) ?? 0,
    names: listOf(from.names).filter(isText),
    readers: shape.number(from.readers, 0, MOST_PEOPLE) ?? 0,
  };
}

const messagesOf = (value: unknown): Message[] =>
  listOf(value)
    .map(messageOf)
    .filter((message) => message !== null);
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
/** Whether it can be the name of a channel: it becomes part of an address. */
const isChannel = (value: unknown): value is string => typeof value === 'string' && /^[a-z0-9_]{3,25}$/.test(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
