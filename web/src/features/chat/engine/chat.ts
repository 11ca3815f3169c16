import { Emitter } from '@/lib/emitter';
import { ChatConnection, type ConnectionDeps, type Phase } from './chat-connection';
import { ChatLog, LOG_LIMITS, type Entry, type LogLimits } from './chat-log';
import { Outbox, OUTBOX_LIMITS, type OutboxLimits, type Pending } from './outbox';
import { CLOSE, type Chatters, type Held, type Message, type Poll, type Quote, type Room, type ServerFrame, type You } from './protocol';

/** A page of history, newest first. */
export interface HistoryPage {
  readonly messages: readonly Message[];
  readonly more: boolean;
}

export interface ChatDeps extends ConnectionDeps {
  /** Reads what was said before a message, or the newest. */
  readonly history: (before: string | null) => Promise<HistoryPage>;
  /** A new nonce: 1 to 64 of `[A-Za-z0-9_-]`, never twice. */
  readonly nonce: () => string;
  /** Runs `work` before the next picture, or whenever is a good moment to show many changes at once. */
  readonly soon: (work: () => void) => void;
  readonly limits?: { readonly log?: LogLimits; readonly outbox?: OutboxLimits };
}

/** What there is to show. A new object whenever something changed. */
export interface ChatView {
  readonly phase: Phase;
  /** Whether there ever was a welcome: before that there is nothing to show. */
  readonly welcomed: boolean;
  /** Tries since the last good connection. */
  readonly tries: number;
  readonly room: Room | null;
  readonly you: You | null;
  readonly entries: readonly Entry[];
  readonly pending: readonly Pending[];
  readonly chatters: Chatters;
  /** The poll that runs, or the last one. */
  readonly poll: Poll | null;
  /** Whether it began while one was here: nobody can have voted in it from another page before. */
  readonly newPoll: boolean;
  readonly older: 'more' | 'loading' | 'failed' | 'none';
  /** Messages that came while one read further up. */
  readonly unseen: number;
  /** Before this one may not write again (Unix milliseconds). */
  readonly quietUntil: number;
  /** What the server did not like, where it was no message; `null` if nothing. */
  readonly complaint: string | null;
}

interface ChatEvents {
  view: undefined;
  /** Messages that are new, as they come; not those that one joins with. */
  news: readonly Message[];
  /** For who moderates: what waits for them has changed; `null`: in a way that nobody told. */
  queue: { readonly waiting: readonly Held[]; readonly reviewed: readonly string[] } | null;
  /** The server knows the person no longer. */
  sessionEnded: undefined;
}

const NOBODY: Chatters = { count: 0, names: [], readers: 0 };

/** Whether slow mode is not for them. */
const exempt = (you: You | null): boolean => you === null || you.moderates || you.badges.includes('vip');

/** A room as this page sees it: connection, log and outbox put together. Knows nothing of React. */
export class Chat {
  readonly events = new Emitter<ChatEvents>();
  readonly #deps: ChatDeps;
  readonly #connection: ChatConnection;
  readonly #log: ChatLog;
  readonly #outbox: Outbox;
  #room: Room | null = null;
  #you: You | null = null;
  #chatters = NOBODY;
  #poll: Poll | null = null;
  #newPoll = false;
  #older: 'idle' | 'loading' | 'failed' = 'idle';
  #unseen = 0;
  #following = true;
  #quietUntil = 0;
  #complaint: string | null = null;
  #cancelWake: () => void = () => undefined;
  #told = false;
  #view: ChatView;

  constructor(deps: ChatDeps) {
    this.#deps = deps;
    this.#log = new ChatLog(deps.limits?.log ?? LOG_LIMITS);
    this.#outbox = new Outbox(deps.limits?.outbox ?? OUTBOX_LIMITS);
    this.#connection = new ChatConnection(deps, () => this.#log.lastId);
    this.#connection.events.on('frame', (frame) => this.#take(frame));
    this.#connection.events.on('lost', (code) => this.#lost(code));
    this.#connection.events.on('phase', () => this.#changed());
    this.#view = this.#look();
  }

  get view(): ChatView {
    return this.#view;
  }

  start(): void {
    this.#connection.start();
  }

  stop(): void {
    this.#cancelWake();
    this.#connection.stop();
  }

  /** The network, the page or the person is back. */
  nudge(): void {
    this.#connection.nudge();
  }

  /** Sends a message as soon as that can be done. @returns whether there was room for it */
  say(text: string, replyTo: Quote | null = null): boolean {
    if (this.#outbox.full) return false;
    const now = this.#deps.clock.now();
    this.#outbox.add(now, this.#deps.nonce(), text, replyTo);
    this.#complaint = null;
    this.#pump();
    return true;
  }

  /** Sends one that failed again. */
  again(nonce: string): void {
    this.#outbox.again(this.#deps.clock.now(), nonce, this.#deps.nonce());
    this.#pump();
  }

  /** Takes one that failed or is held out of sight. */
  drop(nonce: string): void {
    this.#outbox.drop(nonce);
    this.#changed();
  }

  /** Whether the newest message is in sight. */
  follow(following: boolean): void {
    if (following === this.#following) return;
    this.#following = following;
    if (following) this.#unseen = 0;
    this.#log.follow(following);
    this.#changed();
  }

  /** Reads the page of history before what is shown. */
  async loadOlder(): Promise<void> {
    if (this.#older === 'loading' || !this.#log.more) return;
    const { epoch } = this.#log;
    this.#older = 'loading';
    this.#changed();
    try {
      const first = this.#log.entries[0]?.message.id ?? null;
      const { messages, more } = await this.#deps.history(first);
      // A page that no longer fits is asked for again when the list wants it.
      this.#log.prepend([...messages].reverse(), more, epoch);
      this.#older = 'idle';
    } catch {
      this.#older = 'failed';
    }
    this.#changed();
  }

  /** What the server did not like has been read. */
  excuse(): void {
    this.#complaint = null;
    this.#changed();
  }

  #take(frame: ServerFrame): void {
    switch (frame.type) {
      case 'welcome': {
        const first = this.#room === null;
        this.#room = frame.room;
        this.#you = frame.you;
        this.#chatters = frame.chatters;
        this.#newPoll &&= frame.poll?.id === this.#poll?.id;
        this.#poll = frame.poll;
        this.#outbox.arrived(frame.messages);
        const news = frame.resumed ? this.#log.append(frame.messages) : this.#log.replace(frame.messages);
        if (!frame.resumed) this.#outbox.replaced();
        this.#outbox.ask(this.#deps.clock.now());
        if (!first) {
          this.#heard(news);
          this.events.emit('queue', null);
        }
        break;
      }
      case 'messages':
        this.#outbox.arrived(frame.messages);
        this.#heard(this.#log.append(frame.messages));
        break;
      case 'ack':
        this.#outbox.accepted(this.#deps.clock.now(), frame.nonce, frame.id);
        // The message may have come before the word of it.
        this.#outbox.arrived(this.#log.entries.slice(-200).map(({ message }) => message));
        if (this.#room !== null && !exempt(this.#you)) this.#quiet(this.#room.slow_mode_s * 1_000);
        break;
      case 'held':
        this.#outbox.held(frame.nonce, frame.detail);
        break;
      case 'queue':
        this.events.emit('queue', frame);
        return;
      case 'refused':
        if (frame.nonce === null) this.#complaint = frame.detail;
        else this.#outbox.refused(this.#deps.clock.now(), frame.nonce, frame.code, frame.detail, frame.retry_after_ms);
        if (frame.code === 'slow_mode' || frame.code === 'rate_limited') this.#quiet(frame.retry_after_ms ?? 0);
        break;
      case 'removed':
        this.#log.remove(frame.what);
        if ('all' in frame.what) this.#unseen = 0;
        break;
      case 'room':
        this.#room = frame.room;
        if (frame.room.slow_mode_s === 0) this.#quietUntil = 0;
        break;
      case 'poll':
        this.#newPoll = frame.poll.id === this.#poll?.id ? this.#newPoll : frame.poll.open;
        this.#poll = frame.poll;
        break;
      case 'you':
        this.#you = frame.you;
        break;
      case 'chatters':
        this.#chatters = frame.chatters;
        break;
      case 'reconnect':
      case 'pong':
        return;
    }
    this.#pump();
  }

  #heard(news: readonly Message[]): void {
    if (news.length === 0) return;
    if (!this.#following) this.#unseen += news.length;
    this.events.emit('news', news);
  }

  #lost(code: number): void {
    this.#outbox.closed(this.#deps.clock.now(), code === CLOSE.protocolError || code === CLOSE.tooManyFrames);
    if (code === CLOSE.sessionEnded) {
      this.#you = null;
      this.events.emit('sessionEnded', undefined);
    }
    this.#pump();
  }

  #quiet(ms: number): void {
    if (ms === 0) return;
    this.#quietUntil = Math.max(this.#quietUntil, this.#deps.clock.now() + ms);
  }

  /** Sends what can be sent, and looks again when that may have changed. */
  #pump(): void {
    const { clock } = this.#deps;
    const open = this.#connection.phase.kind === 'open';
    const item = open ? this.#outbox.next(clock.now()) : null;
    if (item !== null) {
      const { nonce, text, replyTo } = item;
      this.#connection.send({ type: 'send', nonce, text, ...(replyTo !== null && { reply_to: replyTo.id }) });
    }
    this.#outbox.age(clock.now());
    this.#cancelWake();
    const wake = this.#outbox.wakeAt(open);
    if (wake !== null) this.#cancelWake = clock.after(Math.max(0, wake - clock.now()), () => this.#pump());
    this.#changed();
  }

  /** In a busy room much changes between two pictures; it is shown once. */
  #changed(): void {
    if (this.#told) return;
    this.#told = true;
    this.#deps.soon(() => {
      this.#told = false;
      this.#view = this.#look();
      this.events.emit('view', undefined);
    });
  }

  #look(): ChatView {
    const { phase, tries } = this.#connection;
    return {
      phase,
      tries,
      welcomed: this.#room !== null,
      room: this.#room,
      you: this.#you,
      entries: this.#log.entries,
      pending: this.#outbox.items,
      chatters: this.#chatters,
      poll: this.#poll,
      newPoll: this.#newPoll,
      older: this.#older === 'idle' ? (this.#log.more ? 'more' : 'none') : this.#older,
      unseen: this.#unseen,
      quietUntil: this.#quietUntil,
      complaint: this.#complaint,
    };
  }
}
