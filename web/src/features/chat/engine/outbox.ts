import type { Message } from './protocol';

/** Where a message of one's own stands. */
export type PendingState =
  /** Waits for its turn, the server or the connection. */
  | 'waiting'
  /** The server has it; it comes back as a message of the room in a moment. */
  | 'accepted'
  /** A moderator looks at it first. */
  | 'held'
  /** Will not be sent by itself any more. */
  | 'failed';

/** A message of one's own that the room has not shown yet. */
export interface Pending {
  readonly nonce: string;
  readonly text: string;
  readonly replyTo: { readonly id: string; readonly name: string; readonly text: string } | null;
  /** Unix milliseconds. */
  readonly at: number;
  readonly state: PendingState;
  /** What the server called it; once accepted. */
  readonly id: string | null;
  /** Why it failed or is held; `null` for no answer in time. */
  readonly why: { readonly code: string; readonly detail: string } | null;
}

export interface OutboxLimits {
  /** An answer that takes longer is lost. The nonce makes it harmless to send again. */
  readonly answerMs: number;
  /** What could not be sent for so long is no longer of the moment: the person decides. */
  readonly giveUpMs: number;
  /** Connections that a message may cost before it is taken for the reason. */
  readonly closes: number;
  readonly most: number;
}

export const OUTBOX_LIMITS: OutboxLimits = { answerMs: 10_000, giveUpMs: 120_000, closes: 2, most: 20 };

/** When the server says `temporarily_unavailable` without a time. */
const UNAVAILABLE_WAIT_MS = 2_000;

interface Item extends Pending {
  /** Connections that the server closed over it. */
  readonly closes: number;
  /** When it was accepted. */
  readonly acceptedAt: number;
}

/**
 * One's own messages on their way. One at a time is under way, so that they arrive in the order in which they were
 * written; each keeps its nonce for good, so that none arrives twice.
 *
 * Pure: time is an argument. After each call ask {@link next} what to send and {@link wakeAt} when to look again.
 */
export class Outbox {
  readonly #limits: OutboxLimits;
  #items: readonly Item[] = [];
  /** The nonce that is under way on this connection, and since when. */
  #underWay: { readonly nonce: string; readonly since: number } | null = null;
  /** Nothing is sent before. */
  #pausedUntil = 0;

  constructor(limits: OutboxLimits = OUTBOX_LIMITS) {
    this.#limits = limits;
  }

  get items(): readonly Pending[] {
    return this.#items;
  }

  /** Whether so many wait that another would be too much. */
  get full(): boolean {
    return this.#items.filter(({ state }) => state === 'waiting').length >= this.#limits.most;
  }

  add(now: number, nonce: string, text: string, replyTo: Pending['replyTo']): void {
    const item: Item = { nonce, text, replyTo, at: now, state: 'waiting', id: null, why: null, closes: 0, acceptedAt: 0 };
    this.#items = [...this.#items, item];
  }

  /** What to send now over an open connection; it is under way then. */
  next(now: number): Pending | null {
    this.age(now);
    if (this.#underWay !== null || now < this.#pausedUntil) return null;
    const item = this.#items.find(({ state }) => state === 'waiting');
    if (item === undefined) return null;
    this.#underWay = { nonce: item.nonce, since: now };
    return item;
  }

  /** When to look again, with the connection open or not; `null` if only an event changes anything. */
  wakeAt(open: boolean): number | null {
    const ends = this.#items.flatMap(({ state, at, acceptedAt }) => {
      if (state === 'waiting') return [at + this.#limits.giveUpMs];
      return state === 'accepted' ? [acceptedAt + this.#limits.answerMs] : [];
    });
    if (ends.length === 0) return null;
    const expires = Math.min(...ends);
    if (!open || !this.#items.some(({ state }) => state === 'waiting')) return expires;
    const answer = this.#underWay === null ? this.#pausedUntil : this.#underWay.since + this.#limits.answerMs;
    return Math.min(expires, answer);
  }

  accepted(now: number, nonce: string, id: string): void {
    this.#settle(nonce);
    this.#change(nonce, { state: 'accepted', id, why: null, acceptedAt: now });
  }

  refused(now: number, nonce: string, code: string, detail: string, retryAfterMs: number | null): void {
    this.#settle(nonce);
    if (code === 'temporarily_unavailable') this.#pausedUntil = now + (retryAfterMs ?? UNAVAILABLE_WAIT_MS);
    else this.#change(nonce, { state: 'failed', why: { code, detail } });
  }

  /** Somebody who moderates looks at it first. What comes of it is said later, or when it is asked for again. */
  held(nonce: string, detail: string): void {
    this.#settle(nonce);
    this.#change(nonce, { state: 'held', why: { code: 'held', detail } });
  }

  /** The word of what became of those that wait may have been missed: they are sent again, which asks for it. */
  ask(now: number): void {
    this.#items = this.#items.map((item) => (item.state === 'held' ? { ...item, state: 'waiting', at: now } : item));
  }

  /** The room said these: what of them is one's own has arrived. */
  arrived(messages: readonly Message[]): void {
    const nonces = new Set(messages.map(({ nonce }) => nonce));
    const ids = new Set(messages.map(({ id }) => id));
    const here = (item: Item) => nonces.has(item.nonce) || (item.id !== null && ids.has(item.id));
    if (!this.#items.some(here)) return;
    for (const item of this.#items.filter(here)) this.#settle(item.nonce);
    this.#items = this.#items.filter((item) => !here(item));
  }

  /** The connection is gone; what was under way is sent again over the next one, unless it is what ends them. */
  closed(now: number, itsFault: boolean): void {
    const nonce = this.#underWay?.nonce;
    this.#underWay = null;
    const item = this.#items.find((candidate) => candidate.nonce === nonce);
    if (itsFault && item !== undefined) {
      const closes = item.closes + 1;
      const failed = closes >= this.#limits.closes;
      this.#replace({ ...item, closes, ...(failed && { state: 'failed', why: null }) });
    }
    this.age(now);
  }

  /** What was accepted stands in a history that was loaded anew, even if not among its newest. */
  replaced(): void {
    this.#items = this.#items.filter(({ state }) => state !== 'accepted');
  }

  /**
   * Tries one that failed again, at the end of the line but with its nonce; with the `fresh` one if the server has decided
   * about its own.
   */
  again(now: number, nonce: string, fresh: string): void {
    const item = this.#items.find((candidate) => candidate.nonce === nonce);
    if (item?.state !== 'failed') return;
    const others = this.#items.filter((candidate) => candidate !== item);
    const decided = item.why?.code === 'review_expired';
    this.#items = [...others, { ...item, nonce: decided ? fresh : nonce, at: now, state: 'waiting', why: null, closes: 0 }];
  }

  /** Forgets one that failed or is held. */
  drop(nonce: string): void {
    this.#items = this.#items.filter((item) => item.nonce !== nonce || item.state === 'waiting');
  }

  /**
   * Gives up what has waited for too long. What was accepted long ago and does not come stands further up in a history
   * that was loaded anew.
   */
  age(now: number): void {
    const { answerMs, giveUpMs } = this.#limits;
    if (this.#underWay !== null && now - this.#underWay.since >= answerMs) this.#underWay = null;
    const late = (item: Item) => item.state === 'accepted' && now - item.acceptedAt >= answerMs;
    if (this.#items.some(late)) this.#items = this.#items.filter((item) => !late(item));
    for (const item of this.#items) {
      if (item.state !== 'waiting' || now - item.at < giveUpMs) continue;
      this.#settle(item.nonce);
      this.#replace({ ...item, state: 'failed', why: null });
    }
  }

  #settle(nonce: string): void {
    if (this.#underWay?.nonce === nonce) this.#underWay = null;
  }

  #change(nonce: string, change: Partial<Item>): void {
    const item = this.#items.find((candidate) => candidate.nonce === nonce);
    if (item !== undefined) this.#replace({ ...item, ...change });
  }

  #replace(item: Item): void {
    this.#items = this.#items.map((other) => (other.nonce === item.nonce ? item : other));
  }
}
