import type { Message, Removal } from './protocol';

/** One line of the log. */
export interface Entry {
  readonly message: Message;
  /** A moderator took it away: that something was here is still shown, what it was is not. */
  readonly removed: boolean;
}

export interface LogLimits {
  /** Most entries while the newest is in sight. */
  readonly following: number;
  /** Most entries while somebody reads further up. */
  readonly reading: number;
}

export const LOG_LIMITS: LogLimits = { following: 500, reading: 10_000 };

/** How many ids of passed messages are known, so that a replay adds nothing. */
const REMEMBERED = 20_000;

/**
 * What was said, in the order of the room: each message once, whatever is replayed.
 *
 * Bounded; what falls off is the oldest, which history has. Every change makes a new `entries`.
 */
export class ChatLog {
  readonly #limits: LogLimits;
  /** In the order in which they came. */
  readonly #seen = new Set<string>();
  #entries: readonly Entry[] = [];
  #lastId: string | null = null;
  #following = true;
  #more = true;
  #epoch = 0;

  constructor(limits: LogLimits = LOG_LIMITS) {
    this.#limits = limits;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** The newest message that came, even if it was taken away again: where to resume. */
  get lastId(): string | null {
    return this.#lastId;
  }

  /** Whether history may have what is older than the first entry. */
  get more(): boolean {
    return this.#more;
  }

  /** Changes when a page of history that was asked for before no longer fits. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Adds what the room said last. @returns the messages that are new */
  append(messages: readonly Message[]): readonly Message[] {
    const news: Message[] = [];
    for (const message of messages) {
      if (this.#seen.has(message.id)) continue;
      this.#see(message.id);
      news.push(message);
    }
    const last = news.at(-1);
    if (last === undefined) return news;
    this.#lastId = last.id;
    this.#entries = [...this.#entries, ...news.map((message) => ({ message, removed: false }))];
    this.#trim();
    return news;
  }

  /**
   * Takes the newest messages of the room for what is shown. Where they overlap with it, what is older stays;
   * otherwise something is missing between the two, and history has it.
   *
   * @returns the messages that are new
   */
  replace(messages: readonly Message[]): readonly Message[] {
    const [first] = messages;
    const overlap = first === undefined ? -1 : this.#entries.findIndex(({ message }) => message.id === first.id);
    const kept = overlap < 0 ? [] : this.#entries.slice(0, overlap);
    if (overlap < 0) {
      // History pages that are on their way join on to what is no longer here.
      this.#epoch += 1;
      this.#more = messages.length > 0;
    }
    const before = new Set(this.#entries.map(({ message }) => message.id));
    const once = new Map(messages.map((message) => [message.id, message]));
    this.#entries = [...kept, ...Array.from(once.values(), (message) => ({ message, removed: false }))];
    for (const id of once.keys()) this.#see(id);
    this.#lastId = messages.at(-1)?.id ?? null;
    this.#trim();
    return [...once.values()].filter(({ id }) => !before.has(id));
  }

  /** Adds a page of history, oldest first, that was asked for at `epoch`. @returns whether it still fitted */
  prepend(messages: readonly Message[], more: boolean, epoch: number): boolean {
    if (epoch !== this.#epoch) return false;
    const shown = new Set(this.#entries.map(({ message }) => message.id));
    const older = messages.filter(({ id }) => !shown.has(id)).map((message) => ({ message, removed: false }));
    this.#entries = [...older, ...this.#entries].slice(-this.#limits.reading);
    this.#lastId ??= messages.at(-1)?.id ?? null;
    this.#more = more && this.#entries.length < this.#limits.reading;
    return true;
  }

  remove(what: Removal): void {
    this.#epoch += 1;
    if ('all' in what) {
      this.#entries = [];
      this.#more = false;
      return;
    }
    const gone =
      'author' in what
        ? ({ message }: Entry) => message.author?.id === what.author
        : ({ message }: Entry) => what.messages.includes(message.id);
    const ids = new Set(this.#entries.filter(gone).map(({ message }) => message.id));
    if (ids.size === 0) return;
    this.#entries = this.#entries.map((entry) => {
      if (ids.has(entry.message.id)) return { message: { ...entry.message, text: '' }, removed: true };
      const quote = entry.message.reply_to;
      // What answers it does not keep it alive.
      if (quote === undefined || !ids.has(quote.id)) return entry;
      return { ...entry, message: { ...entry.message, reply_to: { ...quote, text: '' } } };
    });
  }

  /** Whether the newest is in sight: then few are kept. */
  follow(following: boolean): void {
    this.#following = following;
    this.#trim();
  }

  #trim(): void {
    const most = this.#following ? this.#limits.following : this.#limits.reading;
    if (this.#entries.length <= most) return;
    this.#entries = this.#entries.slice(-most);
    this.#more = true;
    this.#epoch += 1;
  }

  #see(id: string): void {
    this.#seen.add(id);
    if (this.#seen.size <= REMEMBERED) return;
    const [oldest] = this.#seen;
    if (oldest !== undefined) this.#seen.delete(oldest);
  }
}
