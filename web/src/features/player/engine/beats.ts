/** Sends one beat; answers in how many seconds the next is due, or `null` if it did not arrive. */
export type SendBeat = (viewer: string) => Promise<number | null>;

/** When nobody said when the next beat is due. */
const WAIT_AFTER_FAILURE_S = 4;
/** No answer makes us beat more often, or so rarely that we are forgotten. */
const LEAST_S = 1;
const MOST_S = 60;

/**
 * Tells the server that somebody watches, for as long as it is on. The viewer is a number made up for this page: it
 * says nothing about the person, and is gone with the page.
 */
export class Beats {
  readonly #send: SendBeat;
  readonly #viewer: string;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #on = false;

  constructor(send: SendBeat, viewer: string) {
    this.#send = send;
    this.#viewer = viewer;
  }

  start(): void {
    if (this.#on) return;
    this.#on = true;
    // Whoever paused a moment ago has a beat on its way already.
    if (this.#timer === undefined) void this.#beat();
  }

  stop(): void {
    this.#on = false;
  }

  async #beat(): Promise<void> {
    this.#timer = undefined;
    if (!this.#on) return;
    const wait = (await this.#send(this.#viewer)) ?? WAIT_AFTER_FAILURE_S;
    const milliseconds = Math.min(MOST_S, Math.max(LEAST_S, wait)) * 1_000;
    this.#timer = setTimeout(() => void this.#beat(), milliseconds);
  }
}

/** 64 random bits in hexadecimal. */
export function madeUpViewer(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Beats for a channel. Without cookies: who is signed in has nothing to do with it. */
export function beatFor(channel: string, source: () => string | null): SendBeat {
  return async (viewer) => {
    try {
      const answer = await fetch(`/api/v1/streams/${encodeURIComponent(channel)}/beats`, {
        method: 'POST',
        credentials: 'omit',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ viewer, native: source() === 'native' }),
      });
      if (!answer.ok) return null;
      const body = (await answer.json()) as { readonly next_beat?: unknown };
      return typeof body.next_beat === 'number' ? body.next_beat : null;
    } catch {
      return null;
    }
  };
}
