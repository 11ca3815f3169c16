import { Backoff, type BackoffLimits } from '@/lib/backoff';
import { Emitter } from '@/lib/emitter';
import type { Clock } from './clock';
import { CLOSE, parseFrame, type ClientFrame, type ServerFrame } from './protocol';

/** What the connection needs of a `WebSocket`. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface ConnectionDeps {
  readonly clock: Clock;
  /** In `[0, 1)`. */
  readonly random: () => number;
  /** Opens a new socket to the room. */
  readonly open: () => Socket;
  /** Whatever must be done before, as renewing the session; its failure is no obstacle. */
  readonly prepare?: () => Promise<void>;
}

/** How the connection stands. */
export type Phase =
  | { readonly kind: 'idle' }
  /** On its way, for the first time or again. */
  | { readonly kind: 'connecting' }
  | { readonly kind: 'open' }
  /** Lost; the next try is at `until` (Unix milliseconds). */
  | { readonly kind: 'waiting'; readonly until: number }
  /** The server has no use for another try. */
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string };

export interface ConnectionLimits {
  readonly backoff: BackoffLimits;
  /** From opening the socket to the welcome. */
  readonly welcomeMs: number;
  /** How long a ping waits for anything at all. */
  readonly pongMs: number;
  /** Pings without an answer after which the connection is dead. */
  readonly pings: number;
  /** A connection that held so long was a good one: the waits begin anew. */
  readonly steadyMs: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  backoff: { first: 500, most: 20_000, factor: 1.7, jitter: 0.4 },
  welcomeMs: 15_000,
  pongMs: 5_000,
  pings: 2,
  steadyMs: 10_000,
};

interface ConnectionEvents {
  phase: Phase;
  /** Every frame of the server but the heartbeat. */
  frame: ServerFrame;
  /** The socket closed, with this code; 1006 for a connection that just went away. */
  lost: number;
}

/** After these the server is asked no more until the person wants it. */
const FINAL: readonly number[] = [CLOSE.notAllowed, CLOSE.noChannel, CLOSE.wrongVersion];
/** Coming back at once would bring the same again. */
const SLOW: readonly number[] = [CLOSE.tooManyConnections, CLOSE.tooManyFrames];
const SLOW_WAIT_MS = 8_000;
/** What browsers say of a connection that broke. */
const BROKEN = 1006;

/**
 * One connection to a room, kept alive: says hello with where it stopped, notices silence, and comes back after growing
 * waits with jitter, or when the server said it should.
 *
 * Contract: docs of `millrace.chat.v1`. Knows nothing of what frames mean but `welcome` and `reconnect`.
 */
export class ChatConnection {
  readonly events = new Emitter<ConnectionEvents>();
  readonly #deps: ConnectionDeps;
  readonly #limits: ConnectionLimits;
  readonly #resume: () => string | null;
  readonly #backoff: Backoff;
  #phase: Phase = { kind: 'idle' };
  #socket: Socket | null = null;
  /** Counts the tries, so that what belongs to an older one is known. */
  #attempt = 0;
  #heartbeatMs = 30_000;
  #unanswered = 0;
  /** When the server wants us back, if it said so. */
  #hint: number | null = null;
  #cancelHint = nothing;
  #cancelTimer = nothing;
  #cancelSteady = nothing;

  /** `resume` is asked for the last message that is shown whenever a connection opens. */
  constructor(deps: ConnectionDeps, resume: () => string | null, limits: ConnectionLimits = CONNECTION_LIMITS) {
    this.#deps = deps;
    this.#limits = limits;
    this.#resume = resume;
    this.#backoff = new Backoff(limits.backoff);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The tries since the last good connection. */
  get tries(): number {
    return this.#backoff.tries;
  }

  /** Connects, now. */
  start(): void {
    if (this.#socket !== null || this.#phase.kind === 'connecting') return;
    this.#cancelTimer();
    this.#connect();
  }

  /** Closes for good, unless started again. */
  stop(): void {
    this.#end(BROKEN, { kind: 'idle' });
  }

  /** The network or the person is back: tries at once, or sees whether the connection still lives. */
  nudge(): void {
    if (this.#phase.kind === 'waiting' && this.#hint === null) this.start();
    else if (this.#phase.kind === 'open' && this.#unanswered === 0) this.#ping();
  }

  /** Sends a frame; `false` if there is no connection to send it over. */
  send(frame: ClientFrame): boolean {
    if (this.#phase.kind !== 'open' || this.#socket === null) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #connect(): void {
    const attempt = ++this.#attempt;
    this.#hint = null;
    this.#cancelHint();
    this.#turn({ kind: 'connecting' });
    this.#cancelTimer = this.#deps.clock.after(this.#limits.welcomeMs, () => this.#lost(BROKEN, ''));
    const { prepare } = this.#deps;
    if (prepare === undefined) this.#open(attempt);
    else {
      const go = () => this.#open(attempt);
      prepare().then(go, go);
    }
  }

  #open(attempt: number): void {
    if (attempt !== this.#attempt || this.#phase.kind !== 'connecting') return;
    let socket: Socket;
    try {
      socket = this.#deps.open();
    } catch {
      this.#lost(BROKEN, '');
      return;
    }
    this.#socket = socket;
    socket.onopen = () => {
      const resume = this.#resume();
      const hello: ClientFrame = { type: 'hello', ...(resume !== null && { resume }) };
      socket.send(JSON.stringify(hello));
    };
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  #heard(data: unknown): void {
    const frame = typeof data === 'string' ? parseFrame(data) : null;
    if (this.#phase.kind === 'connecting') {
      // Nothing makes sense before the welcome.
      if (frame?.type !== 'welcome') return;
      this.#heartbeatMs = frame.heartbeat_s * 1_000;
      this.#unanswered = 0;
      this.#cancelSteady = this.#deps.clock.after(this.#limits.steadyMs, () => this.#backoff.reset());
      // First what it says, so that who hears of the open connection knows it.
      this.#phase = { kind: 'open' };
      this.#rest();
      this.events.emit('frame', frame);
      this.events.emit('phase', this.#phase);
      return;
    }
    if (this.#unanswered > 0) {
      this.#unanswered = 0;
      this.#rest();
    }
    if (frame === null || frame.type === 'pong') return;
    if (frame.type === 'reconnect') {
      this.#hint = this.#deps.clock.now() + frame.after_ms;
      this.#cancelHint();
      this.#cancelHint = this.#deps.clock.after(frame.after_ms, () => {
        this.#end(CLOSE.serverStops, { kind: 'connecting' });
        this.#connect();
      });
    }
    this.events.emit('frame', frame);
  }

  /**
   * Pings after each heartbeat, however much is heard: the server, too, wants to hear from us.
   */
  #rest(): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#deps.clock.after(this.#heartbeatMs, () => this.#ping());
  }

  #ping(): void {
    this.#cancelTimer();
    if (this.#unanswered >= this.#limits.pings) {
      this.#lost(BROKEN, '');
      return;
    }
    this.#unanswered += 1;
    this.send({ type: 'ping' });
    this.#cancelTimer = this.#deps.clock.after(this.#limits.pongMs, () => this.#ping());
  }

  #lost(code: number, reason: string): void {
    if (FINAL.includes(code)) {
      this.#end(code, { kind: 'closed', code, reason });
      return;
    }
    const now = this.#deps.clock.now();
    const hint = this.#hint;
    const wait = this.#backoff.next(this.#deps.random());
    const least = SLOW.includes(code) ? SLOW_WAIT_MS * (1 + this.#deps.random()) : 0;
    const until = hint === null ? now + Math.max(wait, least) : Math.max(hint, now);
    this.#end(code, { kind: 'waiting', until });
    this.#hint = hint;
    this.#cancelTimer = this.#deps.clock.after(until - now, () => this.#connect());
  }

  /** Leaves the connection, and says so when the phase is the new one already: nothing is sent any more. */
  #end(code: number, phase: Phase): void {
    this.#drop();
    this.#phase = phase;
    this.events.emit('lost', code);
    this.events.emit('phase', phase);
  }

  /** Leaves the socket, if there is one, and every timer. */
  #drop(): void {
    this.#attempt += 1;
    this.#cancelTimer();
    this.#cancelSteady();
    this.#cancelHint();
    this.#hint = null;
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  #turn(phase: Phase): void {
    this.#phase = phase;
    this.events.emit('phase', phase);
  }
}

function nothing(): void {
  // No timer runs.
}
